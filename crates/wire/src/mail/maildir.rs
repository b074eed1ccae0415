//! The names of files in a Maildir: `1795417651.M651P17.host,S=1234:2,FRS`.
//!
//! Knows names only; folders are in [`folder`](super::folder). Everything before `:` is the message's own and says nothing for
//! certain; that it begins with seconds since 1970 is custom.

use crate::mail::marks::Marks;

/// What a file's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// What names the message, whatever its flags.
    pub unique: &'a [u8],
    /// Its flags.
    pub marks: Marks,
    /// When it was delivered, as far as the name says: seconds since 1970.
    pub seconds: Option<u64>,
}

impl<'a> Name<'a> {
    /// Reads a name.
    pub fn read(name: &'a [u8]) -> Self {
        let at = memchr::memmem::find(name, INFO);
        let (unique, letters) = at.and_then(|at| name.split_at_checked(at)).unwrap_or((name, b""));
        let digits = unique.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is_moment = (1..=12).contains(&digits) && unique.get(digits) == Some(&b'.');
        let seconds = unique.get(..digits).filter(|_| is_moment);
        let seconds = seconds.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        Self { unique, marks: Marks::of_maildir(letters.get(INFO.len()..).unwrap_or_default()), seconds }
    }
}

/// A name for a message in `cur`. `token` tells it from others of that second; letters and digits.
pub fn write(seconds: u64, token: &str, size: u64, marks: Marks) -> String {
    format!("{seconds}.{token}.sportello,S={size}:2,{}", marks.to_maildir())
}

const INFO: &[u8] = b":2,";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_flags_and_seconds() {
        for (name, unique, marks, seconds) in [
            ("1795417651.M1P2.host,S=12:2,FRS", "1795417651.M1P2.host,S=12", "FRS", Some(1_795_417_651)),
            ("1795417651.M1P2.host", "1795417651.M1P2.host", "", Some(1_795_417_651)),
            ("1795417651.M1P2.host:2,", "1795417651.M1P2.host", "", Some(1_795_417_651)),
            ("1795417651.x:2,PSa", "1795417651.x", "S", Some(1_795_417_651)),
            ("1795417651.x:1,S", "1795417651.x:1,S", "", Some(1_795_417_651)),
            ("1795417651:2,S", "1795417651", "S", None),
            ("mail.eml", "mail.eml", "", None),
            ("9999999999999.x", "9999999999999.x", "", None),
            (":2,S", "", "S", None),
            ("", "", "", None),
        ] {
            let read = Name::read(name.as_bytes());
            assert_eq!(read.unique, unique.as_bytes(), "{name}");
            assert_eq!((read.marks, read.seconds), (Marks::of_maildir(marks.as_bytes()), seconds), "{name}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let marks = Marks::SEEN.with(Marks::DRAFT);
        let name = write(17, "ab3", 99, marks);
        assert_eq!(name, "17.ab3.sportello,S=99:2,DS");
        let read = Name::read(name.as_bytes());
        assert_eq!((read.marks, read.seconds, read.unique), (marks, Some(17), &b"17.ab3.sportello,S=99"[..]));
    }
}

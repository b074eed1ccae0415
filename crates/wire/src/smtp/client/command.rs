//! Commands as they leave.
//!
//! What would end a command early (CR, LF, `>`) never gets into one: [`Path`] is checked once, and what the session sends are
//! addresses that were parsed.

use super::extensions::Extensions;

/// A mail address as it may stand between `<` and `>` in MAIL and RCPT. Made only by [`Path::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// The most bytes of a path, its brackets counted (RFC 5321 §4.5.3.1.3).
    pub const MOST: usize = 256;

    /// Takes `local@domain`. It is not the full grammar, which the server knows better: it is what must hold so that the
    /// command is one command. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        let plain =
            !text.chars().any(|character| character.is_control() || character == ' ' || "<>".contains(character));
        let fits = text.len() + 2 <= Self::MOST;
        (plain && fits && !local.is_empty() && !domain.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Without brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether SMTPUTF8 is not needed for it.
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }
}

/// A message as MAIL announces it.
#[derive(Clone, Copy, Debug)]
pub struct Announcement {
    /// Its bytes as they are sent, without dot-stuffing and the final dot.
    pub size: u64,
    /// Whether it has bytes above 127.
    pub eight_bit: bool,
    /// Whether an address of its envelope has characters outside ASCII.
    pub beyond_ascii: bool,
}

/// Writes `MAIL FROM`, with the parameters that the server offered.
pub fn write_mail(sender: &Path, message: Announcement, offered: &Extensions, out: &mut Vec<u8>) {
    out.extend_from_slice(b"MAIL FROM:<");
    out.extend_from_slice(sender.0.as_bytes());
    out.push(b'>');
    if offered.size.is_some() {
        out.extend_from_slice(b" SIZE=");
        out.extend_from_slice(itoa::Buffer::new().format(message.size).as_bytes());
    }
    if message.eight_bit && offered.eight_bit {
        out.extend_from_slice(b" BODY=8BITMIME");
    }
    if message.beyond_ascii && offered.utf8 {
        out.extend_from_slice(b" SMTPUTF8");
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes `RCPT TO`.
pub fn write_rcpt(recipient: &Path, out: &mut Vec<u8>) {
    out.extend_from_slice(b"RCPT TO:<");
    out.extend_from_slice(recipient.0.as_bytes());
    out.extend_from_slice(b">\r\n");
}

/// Writes `BDAT` for a message of one chunk, whose bytes follow at once, with no dot doubled and no end of their own (RFC 3030 §2).
pub fn write_only_chunk(octets: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"BDAT ");
    out.extend_from_slice(itoa::Buffer::new().format(octets).as_bytes());
    out.extend_from_slice(b" LAST\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_end_its_command() {
        for good in ["a@b", "\"a@b\"@c", "grüße@example.org", &format!("{}@b", "a".repeat(252))] {
            assert_eq!(Path::parse(good).as_ref().map(Path::as_str), Some(good));
        }
        let too_long = format!("{}@b", "a".repeat(253));
        for bad in ["", "a", "@", "a@", "@b", "a@b>", "<a@b", "a@b\r\nRSET", "a b@c", "a@b\0", &too_long] {
            assert_eq!(Path::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn commands_carry_what_was_offered() {
        let check = |offered: Extensions, sender: &str, beyond_ascii: bool, expect: &str| {
            let mut out = Vec::new();
            let message = Announcement { size: 77, eight_bit: true, beyond_ascii };
            write_mail(&Path::parse(sender).unwrap(), message, &offered, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expect);
        };
        check(Extensions::default(), "a@b", false, "MAIL FROM:<a@b>\r\n");
        let all = Extensions { eight_bit: true, utf8: true, size: Some(None), ..Extensions::default() };
        check(all, "a@b", false, "MAIL FROM:<a@b> SIZE=77 BODY=8BITMIME\r\n");
        // RFC 6531 §3.4: MAIL says it also where only a recipient needs it.
        check(all, "a@b", true, "MAIL FROM:<a@b> SIZE=77 BODY=8BITMIME SMTPUTF8\r\n");
        check(all, "ü@b", true, "MAIL FROM:<ü@b> SIZE=77 BODY=8BITMIME SMTPUTF8\r\n");
        let mut out = Vec::new();
        write_rcpt(&Path::parse("x@y").unwrap(), &mut out);
        assert_eq!(out, b"RCPT TO:<x@y>\r\n");
        out.clear();
        write_only_chunk(0, &mut out);
        write_only_chunk(1_234, &mut out);
        assert_eq!(out, b"BDAT 0 LAST\r\nBDAT 1234 LAST\r\n");
    }
}

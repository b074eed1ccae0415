//! What a person has done with a message, as files of mail have said it for decades.
//!
//! Knows the letters of Maildir names and of the fields Status and X-Status; the store has flags of its own. A letter that is
//! not known says nothing (P, passed; small letters, which are keywords of one server's own).

/// The flags of RFC 9051 §2.3.2 that files of mail can say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u8);

impl Marks {
    /// None.
    pub const NONE: Self = Self(0);
    /// `\Seen`: read.
    pub const SEEN: Self = Self(1);
    /// `\Answered`.
    pub const ANSWERED: Self = Self(2);
    /// `\Flagged`.
    pub const FLAGGED: Self = Self(4);
    /// `\Deleted`.
    pub const DELETED: Self = Self(8);
    /// `\Draft`.
    pub const DRAFT: Self = Self(16);

    /// These and those.
    #[must_use]
    pub fn with(self, those: Self) -> Self {
        Self(self.0 | those.0)
    }

    /// Whether all of those are among them.
    pub fn has(self, those: Self) -> bool {
        self.0 & those.0 == those.0
    }

    /// What the letters in a Maildir name say, behind `:2,`.
    pub fn of_maildir(letters: &[u8]) -> Self {
        Self::of(&MAILDIR, letters)
    }

    /// The letters for a Maildir name, in the order of the alphabet, as they must stand there.
    pub fn to_maildir(self) -> String {
        self.letters(&MAILDIR)
    }

    /// What the field Status says.
    pub fn of_status(letters: &[u8]) -> Self {
        Self::of(&STATUS, letters)
    }

    /// The body of the field Status: `O`, since a program has seen the message, and `R` before it where a person has.
    pub fn to_status(self) -> String {
        self.letters(&STATUS) + "O"
    }

    /// What the field X-Status says.
    pub fn of_x_status(letters: &[u8]) -> Self {
        Self::of(&X_STATUS, letters)
    }

    /// The body of the field X-Status.
    pub fn to_x_status(self) -> String {
        self.letters(&X_STATUS)
    }

    fn of(known: &[(char, Self)], letters: &[u8]) -> Self {
        let mark = |letter: &u8| known.iter().find(|(known, _)| *known == char::from(*letter)).map(|(_, mark)| *mark);
        letters.iter().filter_map(mark).fold(Self::NONE, Self::with)
    }

    fn letters(self, known: &[(char, Self)]) -> String {
        known.iter().filter(|(_, mark)| self.has(*mark)).map(|(letter, _)| *letter).collect()
    }
}

const MAILDIR: [(char, Marks); 5] =
    [('D', Marks::DRAFT), ('F', Marks::FLAGGED), ('R', Marks::ANSWERED), ('S', Marks::SEEN), ('T', Marks::DELETED)];

const STATUS: [(char, Marks); 1] = [('R', Marks::SEEN)];

const X_STATUS: [(char, Marks); 4] =
    [('A', Marks::ANSWERED), ('F', Marks::FLAGGED), ('T', Marks::DRAFT), ('D', Marks::DELETED)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_read_as_they_are_written() {
        for bits in 0..32 {
            let marks = Marks(bits);
            assert_eq!(Marks::of_maildir(marks.to_maildir().as_bytes()), marks);
            let (status, more) = (marks.to_status(), marks.to_x_status());
            assert_eq!(Marks::of_status(status.as_bytes()).with(Marks::of_x_status(more.as_bytes())), marks);
            assert!(marks.to_maildir().is_ascii() && marks.to_maildir().chars().is_sorted());
        }
        assert_eq!(Marks(31).to_maildir(), "DFRST");
        assert_eq!((Marks::SEEN.to_status().as_str(), Marks::NONE.to_status().as_str()), ("RO", "O"));
        assert_eq!(Marks(31).to_x_status(), "AFTD");
        assert_eq!(Marks::of_maildir(b"PSabz\xff"), Marks::SEEN);
    }
}

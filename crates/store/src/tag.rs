//! Tags: words that people hang on messages.
//!
//! A tag belongs to the message, not to its place in a mailbox. Two spellings that differ only in the case of ASCII
//! letters are one tag, shown as it was first written. Bounded by the constants of [`Tag`].

use std::fmt;

/// A tag's name. Made only by [`Tag::parse`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Box<str>);

/// The text cannot be the name of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tag is 1 to {} characters without quotation marks, commas and control characters", Tag::LONGEST)]
pub struct NotATag;

impl Tag {
    /// The most characters of a name.
    pub const LONGEST: usize = 100;
    /// The most tags of one message.
    pub const MOST_OF_A_MESSAGE: usize = 32;
    /// The most different tags in one store.
    pub const MOST: usize = 1000;

    /// Reads a name: white space at its ends goes, runs of it within become one space. What a list of tags or a search
    /// could not hold (`,`, `"`, control characters) is refused.
    pub fn parse(text: &str) -> Result<Self, NotATag> {
        // Four bytes hold any character: a longer text is not worth splitting.
        if text.len() > Self::LONGEST * 8 {
            return Err(NotATag);
        }
        let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let fits = (1..=Self::LONGEST).contains(&name.chars().count());
        let plain = !name.chars().any(|letter| letter.is_control() || matches!(letter, ',' | '"'));
        if fits && plain { Ok(Self(name.into())) } else { Err(NotATag) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name that the database holds: it was parsed before it was written.
    pub(crate) fn stored(name: String) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A tag and how many messages have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagCount {
    /// The tag.
    pub tag: Tag,
    /// Messages that have it, one or more.
    pub messages: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_tidied_and_what_lists_cannot_hold_is_refused() {
        let longest = "ü".repeat(Tag::LONGEST);
        for (text, name) in [
            ("invoice", Some("invoice")),
            ("  two\t words ", Some("two words")),
            ("Größe 2.0/@home", Some("Größe 2.0/@home")),
            (&longest, Some(&longest)),
            (&format!("{longest}x"), None),
            ("", None),
            (" \n ", None),
            ("a,b", None),
            ("a\"b", None),
            ("a\0b", None),
            ("a\u{85}b", Some("a b")),
            ("a\u{7f}b", None),
        ] {
            assert_eq!(Tag::parse(text).ok().as_ref().map(Tag::as_str), name, "{text:?}");
        }
        assert_eq!(Tag::parse(&" ".repeat(Tag::LONGEST * 8 + 1)), Err(NotATag));
    }
}

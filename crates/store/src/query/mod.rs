//! What to search for, as people write it: a subset of Mailpit's language.
//!
//! Words and `"phrases"` must all be there; a `-` or `!` before a term turns it round; `from:`, `to:`, `cc:`,
//! `subject:`, `body:`, `message-id:` and `addressed:` look in one place only; `tag:`, `is:`, `has:`, `before:`,
//! `after:`, `larger:` and `smaller:` ask for something else than text. A word is found at the beginning of words
//! ("invo" finds "invoice"), whatever the case and the accents; a phrase is found as it stands. In scripts that put no
//! spaces between words (Han, Kana, Thai, …) any part of a text is found. Characters that are neither letters nor
//! digits separate words and are not looked for. A `word:` that is none of these is text.
//!
//! Knows nothing of how it is searched. Bounded by [`Query::LONGEST`] and [`Query::MOST_TERMS`].

mod moment;
#[cfg(test)]
mod tests;

use crate::tag::Tag;

/// A search, understood. Made only by [`Query::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// All of them must hold.
    pub(crate) terms: Vec<Term>,
}

/// Why a text is no search. The words can be shown to the person who typed it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAQuery {
    /// There is nothing to search for.
    #[error("there is nothing to search for")]
    Empty,
    /// It is too long.
    #[error("a search has at most {} bytes and {} terms", Query::LONGEST, Query::MOST_TERMS)]
    TooLong,
    /// No term, or the one after a `key:`, has a letter or a digit.
    #[error("there is no word to search for in '{0}'")]
    NoWord(String),
    /// What follows the colon is not what belongs there.
    #[error("'{key}:' takes {takes}")]
    Value {
        /// The word before the colon.
        key: &'static str,
        /// What belongs after it.
        takes: &'static str,
    },
}

/// One thing that must be so, or must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) sense: Sense,
    pub(crate) test: Test,
}

/// Whether a test must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sense {
    Is,
    IsNot,
}

/// What can be asked of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Text {
        place: Place,
        text: String,
        form: Form,
    },
    Tag(String),
    Tagged,
    Read,
    Attachment,
    /// Received before this moment, milliseconds since 1970.
    Before(i64),
    /// Received at this moment or later.
    After(i64),
    /// More bytes than this.
    Larger(i64),
    /// Fewer bytes than this.
    Smaller(i64),
}

/// Where a text is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Anywhere,
    From,
    To,
    Cc,
    /// From, To or Cc.
    Addressed,
    Subject,
    Body,
    MessageId,
}

/// How a text is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Its last word may go on.
    Beginning,
    /// As it stands: it was in quotation marks.
    Whole,
}

impl Query {
    /// The most bytes of a query.
    pub const LONGEST: usize = 1024;
    /// The most terms of a query.
    pub const MOST_TERMS: usize = 32;

    /// Reads a query. Dates without an offset are UTC.
    pub fn parse(text: &str) -> Result<Self, NotAQuery> {
        if text.len() > Self::LONGEST {
            return Err(NotAQuery::TooLong);
        }
        let words = words(text);
        let without = words.iter().find(|word| word.says_nothing()).map(|word| word.written.to_owned());
        let words = words.into_iter().filter(|word| !word.says_nothing());
        let terms = words.map(Term::of).collect::<Result<Vec<_>, _>>()?;
        match terms.len() {
            0 => Err(without.map_or(NotAQuery::Empty, NotAQuery::NoWord)),
            number if number > Self::MOST_TERMS => Err(NotAQuery::TooLong),
            _ => Ok(Self { terms }),
        }
    }

    /// Whether it can be answered without the text of messages.
    pub(crate) fn needs_no_text(&self) -> bool {
        !self.terms.iter().any(|term| matches!(term.test, Test::Text { .. } | Test::Attachment))
    }
}

/// One word as written.
struct Word<'a> {
    sense: Sense,
    /// All of it but the sign.
    body: &'a str,
    written: &'a str,
}

/// Takes a text apart at white space, but not within quotation marks; a mark that is never closed reaches to the end.
fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let mut quoted = false;
        let end = rest.find(|letter: char| {
            quoted ^= letter == '"';
            !quoted && letter.is_whitespace()
        });
        let (written, after) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(Word::of(written));
        rest = after.trim_start();
    }
    words
}

impl<'a> Word<'a> {
    fn of(written: &'a str) -> Self {
        let turned = written.strip_prefix(['-', '!']).filter(|rest| !rest.is_empty());
        let (sense, body) = turned.map_or((Sense::Is, written), |rest| (Sense::IsNot, rest));
        Self { sense, body, written }
    }

    /// "this & that": such a mark stands between words and is none.
    fn says_nothing(&self) -> bool {
        !self.written.chars().any(char::is_alphanumeric)
    }

    /// What `value`, a part of it, asks for as text.
    fn text(&self, place: Place, value: &str) -> Result<(Sense, Test), NotAQuery> {
        let form = if value.starts_with('"') { Form::Whole } else { Form::Beginning };
        let text = unquoted(value);
        if !text.chars().any(char::is_alphanumeric) {
            return Err(NotAQuery::NoWord(self.written.to_owned()));
        }
        Ok((Sense::Is, Test::Text { place, text, form }))
    }
}

fn unquoted(value: &str) -> String {
    value.replace('"', " ").trim().to_owned()
}

impl Term {
    fn of(word: Word<'_>) -> Result<Self, NotAQuery> {
        let keyed = word.body.split_once(':').and_then(|(key, value)| {
            let known = KEYS.iter().find(|known| known.0.eq_ignore_ascii_case(key))?;
            Some((known.0, known.1, value))
        });
        let (holds, test) = match keyed {
            Some((key, kind, value)) => kind.test(key, value, &word)?,
            None => word.text(Place::Anywhere, word.body)?,
        };
        // `-is:unread` is `is:read`.
        let sense = if word.sense == holds { Sense::Is } else { Sense::IsNot };
        Ok(Self { sense, test })
    }
}

/// What belongs after a key.
#[derive(Clone, Copy)]
enum Kind {
    Text(Place),
    Tag,
    State,
    Has,
    Moment(fn(i64) -> Test),
    Size(fn(i64) -> Test),
}

/// Every `key:`.
const KEYS: [(&str, Kind); 14] = [
    ("from", Kind::Text(Place::From)),
    ("to", Kind::Text(Place::To)),
    ("cc", Kind::Text(Place::Cc)),
    ("addressed", Kind::Text(Place::Addressed)),
    ("subject", Kind::Text(Place::Subject)),
    ("body", Kind::Text(Place::Body)),
    ("message-id", Kind::Text(Place::MessageId)),
    ("tag", Kind::Tag),
    ("is", Kind::State),
    ("has", Kind::Has),
    ("before", Kind::Moment(Test::Before)),
    ("after", Kind::Moment(Test::After)),
    ("larger", Kind::Size(Test::Larger)),
    ("smaller", Kind::Size(Test::Smaller)),
];

impl Kind {
    /// What is asked, and whether it must hold.
    fn test(self, key: &'static str, written: &str, word: &Word<'_>) -> Result<(Sense, Test), NotAQuery> {
        let takes = |takes| NotAQuery::Value { key, takes };
        let value = &unquoted(written);
        match self {
            Self::Text(_) if value.is_empty() => Err(takes("a word or a \"phrase\"")),
            Self::Text(place) => word.text(place, written),
            Self::Tag => Tag::parse(value)
                .map(|tag| (Sense::Is, Test::Tag(tag.to_string())))
                .map_err(|_| takes("the name of a tag")),
            Self::State => match () {
                () if value.eq_ignore_ascii_case("read") => Ok((Sense::Is, Test::Read)),
                () if value.eq_ignore_ascii_case("unread") => Ok((Sense::IsNot, Test::Read)),
                () if value.eq_ignore_ascii_case("tagged") => Ok((Sense::Is, Test::Tagged)),
                () => Err(takes("'read', 'unread' or 'tagged'")),
            },
            Self::Has if ["attachment", "attachments"].iter().any(|word| value.eq_ignore_ascii_case(word)) => {
                Ok((Sense::Is, Test::Attachment))
            }
            Self::Has => Err(takes("'attachment'")),
            Self::Moment(test) => moment::parse(value)
                .map(|moment| (Sense::Is, test(moment)))
                .ok_or(takes("a date such as 2026-07-31, or \"2026-07-31 14:30\"")),
            Self::Size(test) => {
                size(value).map(|bytes| (Sense::Is, test(bytes))).ok_or(takes("a size such as 500, 20k or 5M"))
            }
        }
    }
}

/// Bytes; `k`, `M` and `G` are powers of 1024, and `B` or `iB` may follow.
fn size(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.to_ascii_lowercase();
    let factor: i64 = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit) {
        "" if unit != "ib" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(factor)
}

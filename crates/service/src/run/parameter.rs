//! What a program takes: named arguments, each checked before the program is started, and where they stand among its words.
//!
//! Knows no program's meaning. Bounded by [`Template::MOST`] words and parameters.

use std::ops::RangeInclusive;

use thiserror::Error;

use crate::failure::{Class, Failure};

/// One argument that a client must give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name: what a fixed word mentions as `{name}`, and what HELP and COMMAND DOCS show.
    pub name: String,
    /// What it may be.
    pub takes: Takes,
}

/// What an argument may be. A leading `-` is refused but for the sign of an [`Takes::Integer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Any text without a NUL.
    Text,
    /// A decimal number in this range, without `+` and without leading zeros.
    Integer(RangeInclusive<i64>),
    /// One of these words, exactly.
    OneOf(Vec<String>),
}

/// The words of a program and what its clients add to them. The empty one adds all that a client sends, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    words: Vec<Word>,
    parameters: Vec<Parameter>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Fixed(String),
    Parameter(usize),
}

/// Why words and parameters do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// More than [`Template::MOST`].
    #[error("a program may have at most {most} words and {most} arguments", most = Template::MOST)]
    TooMany,
    /// A name that cannot be mentioned.
    #[error(
        "the argument name '{0}' must begin with a letter and hold at most 64 letters, digits, '_' and '-'; write for example: branch"
    )]
    Name(String),
    /// Two arguments of one name.
    #[error("the argument '{0}' is given twice")]
    Twice(String),
    /// A word mentions what is not an argument.
    #[error("the word '{{{0}}}' names no argument of this command")]
    Unknown(String),
    /// No number is in the range, or no word may be chosen.
    #[error("the argument '{0}' allows nothing at all")]
    Nothing(String),
    /// The words hold a NUL.
    #[error("a word of a program holds a NUL byte")]
    Nul,
}

impl Template {
    /// The most words, and the most parameters.
    pub const MOST: usize = 64;

    /// `words` stand behind the program's path; one that is exactly `{name}` becomes the argument of that name. Arguments that no
    /// word mentions follow in their order. Without parameters, all that a client sends follows the words.
    ///
    /// # Errors
    /// When they do not fit together.
    pub fn new(words: &[&str], parameters: Vec<Parameter>) -> Result<Self, TemplateError> {
        if words.len() > Self::MOST || parameters.len() > Self::MOST {
            return Err(TemplateError::TooMany);
        }
        for (place, Parameter { name, takes }) in parameters.iter().enumerate() {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            if name.len() > 64
                || !name.starts_with(|first: char| first.is_ascii_alphabetic())
                || !name.bytes().all(letters)
            {
                return Err(TemplateError::Name(name.clone()));
            }
            if parameters.iter().take(place).any(|other| other.name == *name) {
                return Err(TemplateError::Twice(name.clone()));
            }
            let nothing = match takes {
                Takes::Text => false,
                Takes::Integer(range) => range.is_empty(),
                Takes::OneOf(words) => words.is_empty(),
            };
            if nothing {
                return Err(TemplateError::Nothing(name.clone()));
            }
        }
        let words = words.iter().map(|word| Word::read(word, &parameters)).collect::<Result<_, _>>()?;
        Ok(Self { words, parameters })
    }

    /// The arguments that a client must give; none: it may give any.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// What stands behind the program's path, from what a client sent.
    pub(super) fn fill(&self, sent: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Failure> {
        if !self.parameters.is_empty() && sent.len() != self.parameters.len() {
            return Err(Failure::new(Class::BadRequest, format!("wrong number of arguments: write {}", self.usage())));
        }
        for (parameter, argument) in self.parameters.iter().zip(sent) {
            if !parameter.takes.admits(argument) {
                return Err(Failure::new(
                    Class::BadRequest,
                    format!("the argument {} must be {}", parameter.name, parameter.takes.said()),
                ));
            }
        }
        if self.parameters.is_empty() {
            // What begins with a dash would be an option, which is for the owner of the program to give.
            if sent.iter().any(|argument| argument.first() == Some(&b'-')) {
                return Err(Failure::new(Class::BadRequest, "an argument begins with '-'"));
            }
        }
        let mut filled = Vec::with_capacity(self.words.len().saturating_add(sent.len()));
        for word in &self.words {
            match word {
                Word::Fixed(text) => filled.push(text.clone().into_bytes()),
                Word::Parameter(place) => filled.extend(sent.get(*place).cloned()),
            }
        }
        let mentioned = |place: &usize| self.words.contains(&Word::Parameter(*place));
        filled.extend(sent.iter().enumerate().filter(|(place, _)| !mentioned(place)).map(|(_, word)| word.clone()));
        Ok(filled)
    }

    /// The arguments for people: `branch level`, or `[argument ...]`.
    pub fn usage(&self) -> String {
        if self.parameters.is_empty() {
            return "[argument ...]".to_owned();
        }
        let usage: Vec<String> = self
            .parameters
            .iter()
            .map(|parameter| match &parameter.takes {
                Takes::OneOf(words) => words.join("|"),
                _ => parameter.name.clone(),
            })
            .collect();
        usage.join(" ")
    }
}

impl Word {
    fn read(word: &str, parameters: &[Parameter]) -> Result<Self, TemplateError> {
        if word.contains('\0') {
            return Err(TemplateError::Nul);
        }
        let Some(name) = word.strip_prefix('{').and_then(|word| word.strip_suffix('}')) else {
            return Ok(Self::Fixed(word.to_owned()));
        };
        let place = parameters.iter().position(|parameter| parameter.name == name);
        place.map(Self::Parameter).ok_or_else(|| TemplateError::Unknown(name.to_owned()))
    }
}

impl Takes {
    fn admits(&self, argument: &[u8]) -> bool {
        match self {
            Self::Text => argument.first() != Some(&b'-'),
            Self::Integer(range) => integer(argument).is_some_and(|number| range.contains(&number)),
            Self::OneOf(words) => words.iter().any(|word| word.as_bytes() == argument),
        }
    }

    fn said(&self) -> String {
        match self {
            Self::Text => "text that does not begin with '-'".to_owned(),
            Self::Integer(range) => format!("a whole number from {} to {}", range.start(), range.end()),
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
        }
    }
}

/// A number written in the one way it can be: what a program reads is what was checked here.
fn integer(argument: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(argument).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == argument).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(name: &str, takes: Takes) -> Parameter {
        Parameter { name: name.to_owned(), takes }
    }

    fn fill(template: &Template, sent: &[&str]) -> Result<String, String> {
        let sent: Vec<Vec<u8>> = sent.iter().map(|word| word.as_bytes().to_vec()).collect();
        let filled = template.fill(&sent).map_err(|failure| failure.public.into_owned())?;
        Ok(filled.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn arguments_take_their_places() {
        let two = || vec![parameter("branch", Takes::Text), parameter("level", Takes::Integer(-3..=9))];
        let template = Template::new(&["--level", "{level}", "{x", "y}"], two()).unwrap();
        assert_eq!(fill(&template, &["main", "-3"]).unwrap(), "--level -3 {x y} main");
        assert_eq!(template.usage(), "branch level");
        let twice = Template::new(&["{branch}", "{branch}", "{level}"], two()).unwrap();
        assert_eq!(fill(&twice, &["a b", "9"]).unwrap(), "a b a b 9");
        assert_eq!(fill(&Template::default(), &["a", "b"]).unwrap(), "a b");
        assert_eq!(fill(&Template::new(&["-v"], Vec::new()).unwrap(), &["a"]).unwrap(), "-v a");
        assert_eq!(Template::default().usage(), "[argument ...]");
    }

    #[test]
    fn what_is_not_admitted_is_told() {
        let words = Takes::OneOf(vec!["up".to_owned(), "-down".to_owned()]);
        let parameters = vec![parameter("n", Takes::Integer(0..=9)), parameter("way", words)];
        let template = Template::new(&[], parameters).unwrap();
        assert_eq!(fill(&template, &["0", "-down"]).unwrap(), "0 -down");
        assert_eq!(fill(&template, &["9", "up"]).unwrap(), "9 up");
        for (sent, expect) in [
            (vec!["10", "up"], "the argument n must be a whole number from 0 to 9"),
            (vec!["-1", "up"], "from 0 to 9"),
            (vec!["+1", "up"], "from 0 to 9"),
            (vec!["01", "up"], "from 0 to 9"),
            (vec!["99999999999999999999", "up"], "from 0 to 9"),
            (vec!["", "up"], "from 0 to 9"),
            (vec!["1", "UP"], "the argument way must be one of up, -down"),
            (vec!["1"], "wrong number of arguments: write n up|-down"),
            (vec!["1", "up", "x"], "wrong number"),
        ] {
            let told = fill(&template, &sent).unwrap_err();
            assert!(told.contains(expect), "{sent:?}: {told}");
        }
        let text = Template::new(&[], vec![parameter("t", Takes::Text)]).unwrap();
        assert!(fill(&text, &["-x"]).is_err() && fill(&text, &[""]).is_ok());
        assert!(fill(&Template::default(), &["-x"]).is_err());
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let one = |name: &str, takes| Template::new(&["{a}"], vec![parameter(name, takes)]).unwrap_err();
        assert_eq!(one("b", Takes::Text), TemplateError::Unknown("a".to_owned()));
        assert!(matches!(one("", Takes::Text), TemplateError::Name(_)));
        assert!(matches!(one("a b", Takes::Text), TemplateError::Name(_)));
        #[allow(clippy::reversed_empty_ranges, reason = "that it is empty is what is tested")]
        let empty = Takes::Integer(1..=0);
        assert!(matches!(one("a", empty), TemplateError::Nothing(_)));
        assert!(matches!(one("a", Takes::OneOf(Vec::new())), TemplateError::Nothing(_)));
        let twice = vec![parameter("a", Takes::Text), parameter("a", Takes::Text)];
        assert!(matches!(Template::new(&[], twice), Err(TemplateError::Twice(_))));
        assert_eq!(Template::new(&["a\0"], Vec::new()), Err(TemplateError::Nul));
        assert!(Template::new(&["x"; Template::MOST], Vec::new()).is_ok());
        assert_eq!(Template::new(&["x"; Template::MOST + 1], Vec::new()), Err(TemplateError::TooMany));
    }
}

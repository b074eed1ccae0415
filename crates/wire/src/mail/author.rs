//! The addresses in a header field that names people: From, To, Cc, Bcc (RFC 5322 §3.4), names, comments and groups left out.
//!
//! Strict where two readers could see two addresses: what is no list of mailboxes is refused, not repaired. What a name may hold is
//! taken generously, since nobody sends mail by it. Bounded by: [`MOST`] addresses, [`DEEPEST`] comments within comments.

use thiserror::Error;

use super::address::{self, Address};

/// The most addresses of one field.
pub const MOST: usize = 1_000;
/// How deep comments may lie within each other.
pub const DEEPEST: usize = 16;

/// Why a field is no list of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// It does not follow the grammar.
    #[error("it is not written as: Name <address>, …")]
    Malformed,
    /// An address in it is none.
    #[error(transparent)]
    Address(#[from] address::Error),
    /// More than [`MOST`].
    #[error("it names more than {MOST} addresses")]
    TooMany,
}

/// All addresses of a field's body, in their order.
pub fn addresses(body: &[u8]) -> Result<Vec<Address>, Error> {
    let text = std::str::from_utf8(body).map_err(|_| Error::Malformed)?;
    let mut list = List { rest: text, found: Vec::new(), element: Element::default(), in_group: false };
    while let Some(token) = list.token()? {
        list.take(token)?;
    }
    if list.in_group {
        return Err(Error::Malformed);
    }
    list.end_element()?;
    Ok(list.found)
}

/// A piece of the grammar; white space and comments lie between pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// An atom with its dots, a quoted string with its quotes, or a literal with its brackets.
    Word(&'a str),
    /// `<`, `>`, `@`, `,`, `:` or `;`.
    Mark(char),
}

/// What has come since the last comma.
#[derive(Debug, Default)]
enum Element {
    #[default]
    Empty,
    /// Words: a name, or what is before the `@`. The latest, and how many.
    Words(String, usize),
    /// An address without brackets has come up to its `@`.
    Local(String),
    /// It is whole.
    Bare(String),
    /// Within `<` and `>`: what has come, and whether a word may follow.
    Angle(String, bool),
    /// Behind `>`.
    Done,
}

struct List<'a> {
    rest: &'a str,
    found: Vec<Address>,
    element: Element,
    in_group: bool,
}

impl<'a> List<'a> {
    fn token(&mut self) -> Result<Option<Token<'a>>, Error> {
        self.rest = skip_space(self.rest)?;
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let is_literal = first == '[' && matches!(self.element, Element::Local(_) | Element::Angle(_, true));
        let length = match first {
            '<' | '>' | '@' | ',' | ':' | ';' => 1,
            '"' => quoted(self.rest).ok_or(Error::Malformed)?,
            '[' if is_literal => self.rest.find(']').ok_or(Error::Malformed)? + 1,
            ')' | '\\' => return Err(Error::Malformed),
            _ if first.is_control() => return Err(Error::Malformed),
            _ => self.rest.find(ends_word).unwrap_or(self.rest.len()),
        };
        let (token, rest) = self.rest.split_at_checked(length).ok_or(Error::Malformed)?;
        self.rest = rest;
        Ok(Some(match first {
            '<' | '>' | '@' | ',' | ':' | ';' => Token::Mark(first),
            _ => Token::Word(token),
        }))
    }

    fn take(&mut self, token: Token<'_>) -> Result<(), Error> {
        let element = std::mem::take(&mut self.element);
        self.element = match (element, token) {
            (Element::Empty, Token::Word(word)) => Element::Words(word.to_owned(), 1),
            (Element::Words(_, count), Token::Word(word)) => Element::Words(word.to_owned(), count.saturating_add(1)),
            (Element::Words(local, 1), Token::Mark('@')) => Element::Local(local + "@"),
            (Element::Local(text), Token::Word(word)) => Element::Bare(text + word),
            (Element::Empty | Element::Words(..), Token::Mark('<')) => Element::Angle(String::new(), true),
            (Element::Angle(text, true), Token::Word(word)) => Element::Angle(text + word, false),
            (Element::Angle(text, _), Token::Mark('@')) => Element::Angle(text + "@", true),
            // RFC 5322 §4.4: a route, which is passed over.
            (Element::Angle(text, false), Token::Mark(mark @ (',' | ':'))) if text.starts_with('@') => {
                let text = if mark == ':' { String::new() } else { text };
                Element::Angle(text, true)
            }
            (Element::Angle(text, false), Token::Mark('>')) => {
                self.add(&text)?;
                Element::Done
            }
            (element, Token::Mark(',')) => {
                self.element = element;
                self.end_element()?;
                Element::Empty
            }
            (Element::Words(..), Token::Mark(':')) if !self.in_group => {
                self.in_group = true;
                Element::Empty
            }
            (element, Token::Mark(';')) if self.in_group => {
                self.element = element;
                self.end_element()?;
                self.in_group = false;
                Element::Done
            }
            _ => return Err(Error::Malformed),
        };
        Ok(())
    }

    /// A comma, a semicolon or the end has come.
    fn end_element(&mut self) -> Result<(), Error> {
        match std::mem::take(&mut self.element) {
            Element::Bare(text) => self.add(&text),
            Element::Empty | Element::Done => Ok(()),
            _ => Err(Error::Malformed),
        }
    }

    fn add(&mut self, text: &str) -> Result<(), Error> {
        if self.found.len() >= MOST {
            return Err(Error::TooMany);
        }
        self.found.push(Address::parse(text.as_bytes())?);
        Ok(())
    }
}

fn ends_word(character: char) -> bool {
    matches!(character, '<' | '>' | '@' | ',' | ':' | ';' | '"' | '(' | ')' | '\\')
        || character == ' '
        || character.is_control()
}

/// How long the quoted string at the start of `text` is.
fn quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Passes over white space, folds and comments (RFC 5322 §3.2.2).
fn skip_space(text: &str) -> Result<&str, Error> {
    let (mut depth, mut escaped) = (0_usize, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if depth > 0 => escaped = true,
            b'(' if depth >= DEEPEST => return Err(Error::Malformed),
            b'(' => depth += 1,
            b')' if depth > 0 => depth = depth.saturating_sub(1),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ if depth > 0 => {}
            _ => return text.get(at..).ok_or(Error::Malformed),
        }
    }
    if depth == 0 { Ok("") } else { Err(Error::Malformed) }
}

/// What stands behind white space and comments.
pub(super) fn behind_space(text: &str) -> Option<&str> {
    skip_space(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expect: Result<&[&str], Error>) {
        let read = addresses(body.as_bytes());
        let read = read.map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>());
        let expect = expect.map(|expect| expect.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(read, expect, "{body:?}");
    }

    #[test]
    fn people_as_they_are_written() {
        check("alice@example.org", Ok(&["alice@example.org"]));
        check(" Alice <alice@example.org>\r\n", Ok(&["alice@example.org"]));
        check("\"Liddell, Alice\" <alice@example.org>, bob@example.org", Ok(&["alice@example.org", "bob@example.org"]));
        check("=?utf-8?Q?Andr=C3=A9?= <a@b>,\r\n Caf\u{e9} Inc. <c@d>", Ok(&["a@b", "c@d"]));
        check("John Q. Public [at work] <j@b> (it's \\) (me))", Ok(&["j@b"]));
        check("a@b (Alice)", Ok(&["a@b"]));
        check("a @ b", Ok(&["a@b"]));
        check("\"a b\"@c, <\"d\\\"e\"@f>", Ok(&["\"a b\"@c", "\"d\\\"e\"@f"]));
        check("x@[192.0.2.1], <y@[IPv6:2001:db8::1]>", Ok(&["x@[192.0.2.1]", "y@[IPv6:2001:db8::1]"]));
        check("<@one,@two:a@b>", Ok(&["a@b"]));
        check("Friends: a@b, Carol <c@d>; , e@f", Ok(&["a@b", "c@d", "e@f"]));
        check("undisclosed-recipients:;", Ok(&[]));
        check("", Ok(&[]));
        check(",a@b,,", Ok(&["a@b"]));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for body in [
            "boss@example.org <alice@example.org>",
            "boss@example.org alice@example.org",
            "<boss@example.org> <alice@example.org>",
            "<boss@example.org> alice@example.org",
            "alice@example.org boss",
            "john smith@example.org",
            "<john smith@example.org>",
            "a@b@c",
            "<a@b",
            "a@b>",
            "<a@b>>",
            "\"a@b",
            "(a@b",
            "a@b)",
            "Friends: a@b",
            "Friends: Close: a@b; ;",
            "a@b;",
            "Alice",
            "<>",
            "a\\@b",
            "a@b\u{0}",
            "=?utf-8?Q?boss=40example=2Eorg?=",
        ] {
            let read = addresses(body.as_bytes());
            assert!(read.is_err(), "{body:?}: {read:?}");
        }
        assert_eq!(addresses(b"\xff <a@b>"), Err(Error::Malformed));
        check("a..b@c", Err(Error::Address(address::Error::Local)));
    }

    #[test]
    fn it_is_bounded() {
        let of = |count: usize| vec!["a@b"; count].join(",");
        assert_eq!(addresses(of(MOST).as_bytes()).map(|found| found.len()), Ok(MOST));
        assert_eq!(addresses(of(MOST + 1).as_bytes()), Err(Error::TooMany));
        let deep = |depth: usize| format!("{}{} a@b", "(".repeat(depth), ")".repeat(depth));
        assert!(addresses(deep(DEEPEST).as_bytes()).is_ok() && addresses(deep(DEEPEST + 1).as_bytes()).is_err());
    }
}

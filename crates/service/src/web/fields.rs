//! Field lines of a request or of an answer (RFC 9110 §5): names in lower case, values that can be sent as they are.
//!
//! What is in here cannot split a message: a name is a token, a value holds no CR, LF or NUL, and neither begins nor ends with white space.
//! So whoever writes fields, to a client, an upstream or a log, need not look again. Bounded by whoever fills it; a request's by the
//! channel's limits.

use bytes::Bytes;
use sportello_wire::http1::field;
use thiserror::Error;

/// Field lines in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(Bytes, Bytes)>);

/// What cannot stand in a field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadField {
    /// RFC 9110 §5.1: a token.
    #[error("the name of a field is not a token")]
    Name,
    /// RFC 9110 §5.5.
    #[error("the value of a field holds a line end, a NUL or another control character")]
    Value,
}

impl Fields {
    /// None.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// None, with room for so many.
    pub fn with_room(lines: usize) -> Self {
        Self(Vec::with_capacity(lines))
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All lines in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        // Invariant: names are tokens, so ASCII.
        self.0.iter().map(|(name, value)| (text(name), &**value))
    }

    /// The first value of a field (`name` in lower case).
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known == name.as_bytes()).map(|(_, value)| &**value)
    }

    /// The first value of a field, where it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.value(name)?).ok()
    }

    /// All values of a field in their order.
    pub fn values<'f>(&'f self, name: &str) -> impl Iterator<Item = &'f [u8]> {
        self.0.iter().filter(move |(known, _)| known == name.as_bytes()).map(|(_, value)| &**value)
    }

    /// Whether there is such a field.
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Adds one line behind the others.
    ///
    /// # Errors
    /// When it cannot stand in a message; then nothing is added.
    pub fn add(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<(), BadField> {
        let (name, value) = (lower(name.into()), trimmed(value.into()));
        if !is_token(&name) {
            return Err(BadField::Name);
        }
        if !field::is_value(&value) {
            return Err(BadField::Value);
        }
        self.0.push((name, value));
        Ok(())
    }

    /// Adds one line that a parser has checked as [`Fields::add`] does, its name in lower case: it is not checked again.
    pub fn add_parsed(&mut self, name: Bytes, value: Bytes) {
        debug_assert!(is_token(&name) && field::is_value(&value), "no parser of ours says so");
        self.0.push((name, value));
    }

    /// The lines as they are held, to be passed on.
    pub fn lines(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// One line in place of all of that name.
    ///
    /// # Errors
    /// As [`Fields::add`]; then all stays as it was.
    pub fn set(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<(), BadField> {
        self.add(name, value)?;
        if let Some((name, value)) = self.0.pop() {
            self.remove(text(&name));
            self.0.push((name, value));
        }
        Ok(())
    }

    /// Takes out all lines of that name (in lower case).
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name.as_bytes());
    }

    /// Keeps the lines that `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &[u8]) -> bool) {
        self.0.retain(|(name, value)| keep(text(name), value));
    }
}

impl field::Lines for Fields {
    fn values_of<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f [u8]> {
        self.values(name)
    }
}

fn text(name: &[u8]) -> &str {
    std::str::from_utf8(name).unwrap_or_default()
}

fn lower(name: Bytes) -> Bytes {
    if name.iter().any(u8::is_ascii_uppercase) { name.to_ascii_lowercase().into() } else { name }
}

/// Without optional white space around it (RFC 9110 §5.6.3); a line end is none.
fn trimmed(value: Bytes) -> Bytes {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_space(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    if start == 0 && end == value.len() { value } else { value.slice(start..end) }
}

/// RFC 9110 §5.6.2.
fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| field::is_token_byte(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_stand_in_a_message_and_nothing_else() {
        for (name, value, expect) in [
            ("X-Word", &b" a b\t"[..], Ok(("x-word", &b"a b"[..]))),
            ("x", b"", Ok(("x", b""))),
            ("x", b"\xc3\xa9\xff", Ok(("x", b"\xc3\xa9\xff"))),
            ("x", b"a\r\nset-cookie: b", Err(BadField::Value)),
            ("x", b"a\nb", Err(BadField::Value)),
            ("x", b"a\rb", Err(BadField::Value)),
            ("x", b"a\0b", Err(BadField::Value)),
            ("x", b"a\x7fb", Err(BadField::Value)),
            ("", b"a", Err(BadField::Name)),
            ("a b", b"a", Err(BadField::Name)),
            ("a:", b"a", Err(BadField::Name)),
            ("a\n", b"a", Err(BadField::Name)),
            ("\u{e9}", b"a", Err(BadField::Name)),
        ] {
            let mut fields = Fields::new();
            let added = fields.add(name.to_owned(), value.to_vec());
            assert_eq!(added.map(|()| fields.iter().next().unwrap()), expect, "{name:?} {value:?}");
        }
    }

    #[test]
    fn lines_are_found_set_and_taken_out_by_name() {
        let mut fields = Fields::new();
        for (name, value) in [("accept", "a"), ("x", "1"), ("Accept", "b"), ("y", "2")] {
            fields.add(name, value).unwrap();
        }
        assert_eq!(fields.values("accept").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(fields.text("x"), Some("1"));
        fields.set("accept", "c").unwrap();
        assert_eq!(fields.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["x", "y", "accept"]);
        assert_eq!(fields.set("accept", "d\n"), Err(BadField::Value));
        assert_eq!(fields.text("accept"), Some("c"));
        fields.remove("accept");
        assert!(!fields.has("accept") && fields.len() == 2);
    }
}

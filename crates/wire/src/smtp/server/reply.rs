//! One reply of the server: a code, an enhanced code, a sentence (RFC 5321 §4.2, RFC 2034, RFC 3463).

use std::borrow::Cow;
use std::fmt;

/// A reply of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: &'static str,
    text: Cow<'static, str>,
}

impl Reply {
    /// The most octets of text; with codes and CR LF the line stays within the 512 of RFC 5321 §4.5.3.1.5.
    pub const LONGEST_TEXT: usize = 490;

    /// A reply. `enhanced` is its code of RFC 3463, as `5.5.2`, of the same class as `code`; empty for a 3xx.
    pub const fn new(code: u16, enhanced: &'static str, text: &'static str) -> Self {
        Self { code, enhanced, text: Cow::Borrowed(text) }
    }

    /// A reply whose text is made at run time. What could end the line early becomes a space.
    pub fn with_text(code: u16, enhanced: &'static str, text: String) -> Self {
        Self { code, enhanced, text: Cow::Owned(text) }
    }

    /// The three digits.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Its code of RFC 3463, or nothing.
    pub(super) fn enhanced(&self) -> &'static str {
        self.enhanced
    }

    /// Whether it says that something was not done: 4xx and 5xx.
    pub fn is_failure(&self) -> bool {
        self.code >= 400
    }

    /// Appends the line with its CR LF.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(self.code).as_bytes());
        out.push(b' ');
        if !self.enhanced.is_empty() {
            out.extend_from_slice(self.enhanced.as_bytes());
            out.push(b' ');
        }
        let text = self.text.as_bytes();
        let text = text.get(..Self::LONGEST_TEXT).unwrap_or(text);
        out.extend(text.iter().map(|&byte| if matches!(byte, b' '..=b'~') { byte } else { b' ' }));
        out.extend_from_slice(b"\r\n");
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.code)?;
        if !self.enhanced.is_empty() {
            write!(formatter, " {}", self.enhanced)?;
        }
        write!(formatter, " {}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_line_whatever_the_text() {
        assert_eq!(written(&Reply::new(250, "2.0.0", "Ok")), "250 2.0.0 Ok\r\n");
        assert_eq!(written(&Reply::new(354, "", "Go ahead")), "354 Go ahead\r\n");
        let sly = Reply::with_text(550, "5.1.1", "no\r\n250 2.0.0 Ok\0".into());
        assert_eq!(written(&sly), "550 5.1.1 no  250 2.0.0 Ok \r\n");
    }

    #[test]
    fn a_text_is_cut_at_its_limit() {
        for (length, line) in
            [(Reply::LONGEST_TEXT, 502), (Reply::LONGEST_TEXT + 1, 502), (Reply::LONGEST_TEXT - 1, 501)]
        {
            let reply = Reply::with_text(550, "5.1.1", "x".repeat(length));
            assert_eq!(written(&reply).len(), line);
        }
    }
}

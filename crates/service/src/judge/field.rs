//! The field in which a message carries what we found: `Authentication-Results` (RFC 8601).
//!
//! What a stranger chose is written as a token or in quotes, so that it can neither end the field nor say something in our name.
//! Bounded by: [`VALUE_LONGEST`], and by how many signatures are looked at.

use super::dmarc::Dmarc;
use super::signatures::{Chain, Signature, SignatureResult};
use super::source::{Listed, Source};
use super::spf::{Identity, Spf};

/// The most bytes of a value that is written.
const VALUE_LONGEST: usize = 255;

/// A field that is being written.
#[derive(Debug)]
pub(super) struct Field {
    text: String,
}

impl Field {
    /// By whom it is written (§2.5).
    pub(super) fn new(server: &str) -> Self {
        Self { text: format!("Authentication-Results: {}", value(server)) }
    }

    pub(super) fn source(&mut self, source: &Source) {
        self.method("iprev", source.iprev.word(), "");
        self.property("policy.iprev", &source.address.to_string());
        for listing in &source.listings {
            // A method of our own (RFC 8601 §2.7.6), its properties named as those of lists of the good (RFC 8904).
            let (result, why, code) = match &listing.listed {
                Listed::Yes(code) => ("fail", "", code.to_string()),
                Listed::No => ("pass", "", String::new()),
                Listed::Unknown(why) => ("temperror", why.as_str(), String::new()),
            };
            self.method("x-dnsbl", result, why);
            self.property("dns.zone", &listing.list);
            self.property("policy.ip", &code);
        }
    }

    pub(super) fn spf(&mut self, spf: &Spf) {
        self.method("spf", spf.result.word(), &spf.why);
        let property = match spf.identity {
            Identity::MailFrom => "smtp.mailfrom",
            Identity::Helo => "smtp.helo",
        };
        self.property(property, &spf.domain);
    }

    pub(super) fn signatures(&mut self, signatures: &[Signature]) {
        if signatures.is_empty() {
            self.method("dkim", SignatureResult::None.word(), "");
        }
        for signature in signatures {
            self.method("dkim", signature.result.word(), &signature.why);
            self.property("header.d", &signature.domain);
            self.property("header.s", &signature.selector);
            self.property("header.a", signature.algorithm);
            self.property("header.b", &signature.begins);
        }
    }

    pub(super) fn chain(&mut self, chain: &Chain) {
        if chain.result != SignatureResult::None {
            self.method("arc", chain.result.word(), &chain.why);
        }
    }

    pub(super) fn dmarc(&mut self, dmarc: &Dmarc) {
        self.method("dmarc", dmarc.result.word(), &dmarc.why);
        self.property("policy.dmarc", dmarc.wish.word());
        self.property("header.from", &dmarc.domain);
    }

    /// The whole field, with its line end.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.text.push_str("\r\n");
        self.text.into_bytes()
    }

    fn method(&mut self, method: &str, result: &str, why: &str) {
        self.text.push_str(&format!(";\r\n\t{method}={result}"));
        if !why.is_empty() {
            self.text.push_str(&format!(" reason={}", quoted(why)));
        }
    }

    fn property(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.text.push_str(&format!("\r\n\t {name}={}", value(text)));
        }
    }
}

/// As a token where it is one (RFC 2045 §5.1), else in quotes.
fn value(text: &str) -> String {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte);
    if !text.is_empty() && text.len() <= VALUE_LONGEST && text.bytes().all(is_token) {
        return text.to_owned();
    }
    quoted(text)
}

/// In quotes (RFC 5322 §3.2.4), without what is not printable ASCII.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars().filter(|letter| matches!(letter, ' '..='~')).take(VALUE_LONGEST) {
        if matches!(letter, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_chose_says_nothing_in_our_name() {
        for (text, expect) in [
            ("example.org", "example.org"),
            ("", "\"\""),
            ("a;b", "\"a;b\""),
            ("a\r\n b\0", "\"a b\""),
            ("say \"hi\" \\", r#""say \"hi\" \\""#),
            ("b\u{fc}cher", "\"bcher\""),
            ("abc+/=", "\"abc+/=\""),
        ] {
            assert_eq!(value(text), expect, "{text:?}");
        }
        let long = "x".repeat(VALUE_LONGEST);
        assert_eq!(value(&long), long);
        assert_eq!(value(&format!("{long}y")), format!("\"{long}\""));
    }
}

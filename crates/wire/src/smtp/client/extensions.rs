//! What a server offers.

use super::reply::Reply;

/// What a server offers in its reply to EHLO (RFC 5321 §4.1.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// PIPELINING (RFC 2920): commands may be sent before the replies to earlier ones.
    pub pipelining: bool,
    /// 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub utf8: bool,
    /// CHUNKING (RFC 3030): a message may come by BDAT.
    pub chunking: bool,
    /// BINARYMIME (RFC 3030): a chunk may hold anything.
    pub binary: bool,
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// DSN (RFC 3461): it takes wishes for reports of delivery.
    pub dsn: bool,
    /// REQUIRETLS (RFC 8689): it passes the message on over TLS only.
    pub require_tls: bool,
    /// SIZE (RFC 1870): offered, and the largest message if the server named it.
    pub size: Option<Option<u64>>,
    /// AUTH (RFC 4954): by which mechanisms.
    pub mechanisms: Mechanisms,
}

impl Extensions {
    /// Reads the lines after the greeting; what is not known is passed over.
    pub fn of(reply: &Reply) -> Self {
        let mut offered = Self::default();
        for line in reply.lines.iter().skip(1) {
            let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
            let keyword = words.next().unwrap_or_default();
            if let Some(flag) = offered.flag(keyword) {
                *flag = true;
            } else if keyword.eq_ignore_ascii_case(b"SIZE") {
                let largest = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
                // RFC 1870 §4: zero means that there is no fixed maximum.
                offered.size = Some(largest.filter(|size| *size != 0));
            } else if keyword.eq_ignore_ascii_case(b"AUTH") {
                words.for_each(|word| offered.mechanisms.add(word));
            }
        }
        offered
    }

    /// What a keyword without parameters turns on.
    fn flag(&mut self, keyword: &[u8]) -> Option<&mut bool> {
        let flags: [(&[u8], &mut bool); 8] = [
            (b"PIPELINING", &mut self.pipelining),
            (b"8BITMIME", &mut self.eight_bit),
            (b"SMTPUTF8", &mut self.utf8),
            (b"CHUNKING", &mut self.chunking),
            (b"BINARYMIME", &mut self.binary),
            (b"STARTTLS", &mut self.starttls),
            (b"DSN", &mut self.dsn),
            (b"REQUIRETLS", &mut self.require_tls),
        ];
        flags.into_iter().find(|(word, _)| keyword.eq_ignore_ascii_case(word)).map(|(_, flag)| flag)
    }
}

/// The mechanisms of SASL that we know of those which a server names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mechanisms {
    /// PLAIN (RFC 4616).
    pub plain: bool,
    /// LOGIN, which no RFC has and many servers have.
    pub login: bool,
    /// SCRAM-SHA-256 (RFC 7677).
    pub scram_sha_256: bool,
    /// SCRAM-SHA-256-PLUS: bound to the TLS connection.
    pub scram_sha_256_plus: bool,
}

impl Mechanisms {
    fn add(&mut self, word: &[u8]) {
        let known: [(&[u8], &mut bool); 4] = [
            (b"PLAIN", &mut self.plain),
            (b"LOGIN", &mut self.login),
            (b"SCRAM-SHA-256", &mut self.scram_sha_256),
            (b"SCRAM-SHA-256-PLUS", &mut self.scram_sha_256_plus),
        ];
        known.into_iter().filter(|(name, _)| word.eq_ignore_ascii_case(name)).for_each(|(_, flag)| *flag = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::client::Limits;

    #[test]
    fn extensions_are_read_in_any_case_and_the_greeting_is_none() {
        let check = |text: &str, expect: Extensions| {
            let (reply, _) = Reply::parse(text.as_bytes(), &Limits::default()).unwrap().unwrap();
            assert_eq!(Extensions::of(&reply), expect, "{text}");
        };
        check("250 PIPELINING\r\n", Extensions::default());
        check(
            "250-host\r\n250-Pipelining\r\n250-8bitmime\r\n250-SIZE 1000\r\n250 XYZ\r\n",
            Extensions { pipelining: true, eight_bit: true, size: Some(Some(1_000)), ..Extensions::default() },
        );
        check(
            "250-host\r\n250-SIZE\r\n250-chunking\r\n250 SMTPUTF8\r\n",
            Extensions { size: Some(None), utf8: true, chunking: true, ..Extensions::default() },
        );
        check("250-host\r\n250 SIZE 0\r\n", Extensions { size: Some(None), ..Extensions::default() });
        check("250-host\r\n250 SIZE x\r\n", Extensions { size: Some(None), ..Extensions::default() });
        let mechanisms = Mechanisms { plain: true, scram_sha_256: true, ..Mechanisms::default() };
        let all = Extensions {
            binary: true,
            starttls: true,
            dsn: true,
            require_tls: true,
            mechanisms,
            ..Extensions::default()
        };
        check(
            "250-h\r\n250-AUTH GSSAPI plain SCRAM-SHA-256\r\n250-BINARYMIME\r\n250-StartTLS\r\n250-DSN\r\n250 REQUIRETLS\r\n",
            all,
        );
        check("250-h\r\n250 AUTH=PLAIN LOGIN\r\n", Extensions::default());
    }
}

//! The messages of SCRAM, read and written (RFC 5802 §5 and §7).
//!
//! Strict: attributes come in the order of the grammar, a mandatory extension that is not known ends the exchange. Borrowed from
//! what came. Bounded by: [`super::super::LONGEST_MESSAGE`], which whoever calls has checked.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{HASH, LONGEST_SALT};

/// What the client says of channel binding (`gs2-cbind-flag`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag<'a> {
    /// `n`: it knows none.
    None,
    /// `y`: it does, and believes that the server does not.
    Unoffered,
    /// `p=`: it uses this one.
    Used(&'a str),
}

/// client-first-message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFirst<'a> {
    pub(crate) flag: Flag<'a>,
    /// As whom it wants to act; empty for itself.
    pub(crate) authorization: String,
    pub(crate) name: String,
    pub(crate) nonce: &'a str,
    /// `gs2-header`: what comes before the rest, its last comma included.
    pub(crate) header: &'a str,
    /// `client-first-message-bare`.
    pub(crate) bare: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Option<Self> {
        let message = std::str::from_utf8(message).ok()?;
        let (flag, rest) = message.split_once(',')?;
        let (authorization, bare) = rest.split_once(',')?;
        let header = message.get(..message.len().checked_sub(bare.len())?)?;
        let flag = match flag {
            "n" => Flag::None,
            "y" => Flag::Unoffered,
            _ => Flag::Used(flag.strip_prefix("p=").filter(|name| !name.is_empty())?),
        };
        let authorization = match authorization {
            "" => String::new(),
            _ => unescaped(authorization.strip_prefix("a=")?)?,
        };
        // `m=` would come first: an extension that must be understood. Others may follow and are passed over.
        let mut attributes = bare.split(',');
        let name = unescaped(attributes.next()?.strip_prefix("n=")?)?;
        let nonce = attributes.next()?.strip_prefix("r=").filter(|nonce| is_nonce(nonce))?;
        Some(Self { flag, authorization, name, nonce, header, bare })
    }
}

/// server-first-message, as a client reads it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServerFirst<'a> {
    /// The client's nonce and the server's.
    pub(crate) nonce: &'a str,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
}

impl<'a> ServerFirst<'a> {
    pub(crate) fn parse(message: &'a str) -> Option<Self> {
        let mut attributes = message.split(',');
        let nonce = attributes.next()?.strip_prefix("r=").filter(|nonce| is_nonce(nonce))?;
        let salt = BASE64_STANDARD.decode(attributes.next()?.strip_prefix("s=")?).ok()?;
        let iterations = attributes.next()?.strip_prefix("i=")?;
        let iterations = iterations.parse().ok().filter(|_| iterations.bytes().all(|byte| byte.is_ascii_digit()))?;
        (!salt.is_empty() && salt.len() <= LONGEST_SALT && iterations > 0).then_some(Self { nonce, salt, iterations })
    }
}

/// client-final-message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFinal<'a> {
    /// `gs2-header` again, and the data of the channel binding.
    pub(crate) binding: Vec<u8>,
    pub(crate) nonce: &'a str,
    pub(crate) proof: [u8; HASH],
    /// `client-final-message-without-proof`.
    pub(crate) without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Option<Self> {
        let message = std::str::from_utf8(message).ok()?;
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        let mut attributes = without_proof.split(',');
        let binding = BASE64_STANDARD.decode(attributes.next()?.strip_prefix("c=")?).ok()?;
        let nonce = attributes.next()?.strip_prefix("r=")?;
        let proof = BASE64_STANDARD.decode(proof).ok()?.try_into().ok()?;
        Some(Self { binding, nonce, proof, without_proof })
    }
}

/// Printable ASCII without a comma (RFC 5802 §7).
fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'!'..=b'+' | b'-'..=b'~'))
}

/// `saslname`, read: `=2C` is a comma, `=3D` an equals sign, and any other `=` an error (RFC 5802 §5.1).
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (character, rest) = match part.split_at_checked(2)? {
            ("2C", rest) => (',', rest),
            ("3D", rest) => ('=', rest),
            _ => return None,
        };
        name.push(character);
        name.push_str(rest);
    }
    Some(name)
}

/// `saslname`, written.
pub(crate) fn escaped(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_in_all_its_forms() {
        for (message, expect) in [
            ("n,,n=user,r=abc", Some((Flag::None, "", "user", "n,,", "n=user,r=abc"))),
            ("y,,n=user,r=abc", Some((Flag::Unoffered, "", "user", "y,,", "n=user,r=abc"))),
            (
                "p=tls-exporter,a=b,n=u,r=abc",
                Some((Flag::Used("tls-exporter"), "b", "u", "p=tls-exporter,a=b,", "n=u,r=abc")),
            ),
            ("n,,n=a=2Cb=3Dc,r=abc,x=y", Some((Flag::None, "", "a,b=c", "n,,", "n=a=2Cb=3Dc,r=abc,x=y"))),
            ("n,,m=x,n=user,r=abc", None),
            ("n,,n=a=2cb,r=abc", None),
            ("n,,n=a=,r=abc", None),
            ("n,,n=user", None),
            ("n,,n=user,r=", None),
            ("n,,n=user,r=a\u{7f}", None),
            ("n,user,n=user,r=abc", None),
            ("p=,,n=user,r=abc", None),
            ("x,,n=user,r=abc", None),
            ("n=user,r=abc", None),
            ("", None),
        ] {
            let read = ClientFirst::parse(message.as_bytes());
            let read = read.as_ref().map(|first| {
                assert_eq!(first.nonce, "abc");
                (first.flag, first.authorization.as_str(), first.name.as_str(), first.header, first.bare)
            });
            assert_eq!(read, expect, "{message:?}");
        }
        assert_eq!(ClientFirst::parse(b"n,,n=\xff,r=abc"), None);
    }

    #[test]
    fn a_name_is_written_as_it_is_read() {
        for name in ["alice", "a,b=c", "=2C", ",,=="] {
            assert_eq!(unescaped(&escaped(name)).as_deref(), Some(name));
        }
    }

    #[test]
    fn a_servers_first_message_is_bounded() {
        let salt = |octets: usize| BASE64_STANDARD.encode(vec![7; octets]);
        for (message, good) in [
            (format!("r=ab,s={},i=4096", salt(16)), true),
            (format!("r=ab,s={},i=4096,x=y", salt(LONGEST_SALT)), true),
            (format!("r=ab,s={},i=4096", salt(LONGEST_SALT + 1)), false),
            ("r=ab,s=,i=4096".into(), false),
            (format!("r=ab,s={},i=0", salt(16)), false),
            (format!("r=ab,s={},i=+1", salt(16)), false),
            (format!("r=ab,s={},i=99999999999", salt(16)), false),
            (format!("m=x,r=ab,s={},i=1", salt(16)), false),
            ("e=other-error".into(), false),
        ] {
            assert_eq!(ServerFirst::parse(&message).is_some(), good, "{message}");
        }
    }
}

//! Where an application listens.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use thiserror::Error;

/// A Unix socket, or a host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The path of a socket.
    Unix(PathBuf),
    /// A name or an IP address, and a port.
    Tcp(Box<str>, u16),
}

/// What is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadAddress {
    /// Neither of the two.
    #[error("an application listens on \"unix:/path/of/socket\" or \"host:port\"")]
    Form,
    /// A path that depends on where the server was started.
    #[error("the path of a socket begins with /")]
    Relative,
    /// Longer than the kernel takes (man 7 unix).
    #[error("the path of a socket has at most {PATH_MOST} bytes")]
    LongPath,
}

/// What the kernel takes for a socket's path, without the NUL at its end.
const PATH_MOST: usize = 107;

impl Address {
    /// Reads `unix:/path`, `host:port`, `192.0.2.1:port` or `[2001:db8::1]:port`.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                _ if path.len() > PATH_MOST => Err(BadAddress::LongPath),
                _ if path.contains('\0') => Err(BadAddress::Form),
                _ if path.starts_with('/') => Ok(Self::Unix(path.into())),
                _ => Err(BadAddress::Relative),
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or(BadAddress::Form)?;
        let port = port.parse().ok().filter(|number| *number > 0).filter(|_| !port.starts_with('+'));
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse::<Ipv6Addr>().is_ok().then_some(inner),
            None => Some(host).filter(|host| is_host(host)),
        };
        Ok(Self::Tcp(host.ok_or(BadAddress::Form)?.into(), port.ok_or(BadAddress::Form)?))
    }
}

fn is_host(host: &str) -> bool {
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !host.is_empty() && host.len() <= 253 && host.bytes().all(is_byte)
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
            Self::Tcp(host, port) if host.contains(':') => write!(formatter, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(formatter, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_told() {
        for text in ["unix:/run/php/php-fpm.sock", "127.0.0.1:9000", "php:9000", "[::1]:9000", "a.example.org:1"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        let long = |length: usize| format!("unix:/{}", "s".repeat(length - 1));
        assert!(Address::parse(&long(107)).is_ok());
        assert_eq!(Address::parse(&long(108)), Err(BadAddress::LongPath));
        assert_eq!(Address::parse("unix:run/x.sock"), Err(BadAddress::Relative));
        for text in
            ["", "php", "php:", ":9000", "php:0", "php:65536", "php:+1", "a b:1", "[x]:1", "::1:9000", "unix:/a\0b"]
        {
            assert_eq!(Address::parse(text), Err(BadAddress::Form), "{text}");
        }
    }
}

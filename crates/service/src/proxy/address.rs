//! Where an upstream is, as a person writes it: `http://host:port`, `https://host`, `unix:/path/to/socket`; and where HTTP/2 is spoken
//! there, `h2://host:port` (over TLS), `h2c://host:port`, `unix+h2c:/path/to/socket`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use rustls::pki_types::ServerName;
use thiserror::Error;

/// Where an upstream is and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Which socket leads there.
    pub place: Place,
    /// What is spoken on it.
    pub speech: Speech,
    /// In which version of HTTP.
    pub version: Version,
    written: String,
}

/// Which socket leads to an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// An address that is known.
    Socket(SocketAddr),
    /// A name that is looked up.
    Name(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

/// What is spoken to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Speech {
    /// HTTP in the clear.
    Plain,
    /// HTTP over TLS.
    Encrypted,
}

/// In which version of HTTP an upstream is spoken to. It is written, never guessed: none is asked for over the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.1.
    One,
    /// HTTP/2: agreed on by ALPN over TLS, known beforehand in the clear (RFC 9113 §3.2, §3.3).
    Two,
}

/// What is no address of an upstream. The texts say what to write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadAddress {
    /// Neither of the forms.
    #[error(
        "an upstream is written \"http://HOST:PORT\", \"https://HOST:PORT\" or \"unix:/PATH\"; one of HTTP/2 \"h2://HOST:PORT\" (TLS), \"h2c://HOST:PORT\" or \"unix+h2c:/PATH\""
    )]
    Form,
    /// It has a path, a query or a user.
    #[error("an upstream is a host and a port without a path: paths are changed by `rewrite` and `strip-prefix`")]
    Path,
    /// The host is none.
    #[error("{0:?} is no host name and no IP address")]
    Host(String),
    /// The port is none.
    #[error("{0:?} is no port: 1 to 65535")]
    Port(String),
    /// A relative path of a socket.
    #[error("the path of a Unix socket begins with a slash: \"unix:/run/app.sock\"")]
    Relative,
    /// Longer than the kernel takes (man 7 unix).
    #[error("the path of a Unix socket has at most {PATH_MOST} bytes")]
    LongPath,
}

const PATH_MOST: usize = 107;

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// When it is none; the error says what to write.
    pub fn parse(written: &str) -> Result<Self, BadAddress> {
        let (form, rest) = written.split_once(':').ok_or(BadAddress::Form)?;
        let (speech, version, usual_port) = match form {
            "unix" | "http" => (Speech::Plain, Version::One, 80),
            "https" => (Speech::Encrypted, Version::One, 443),
            "unix+h2c" | "h2c" => (Speech::Plain, Version::Two, 80),
            "h2" => (Speech::Encrypted, Version::Two, 443),
            _ => return Err(BadAddress::Form),
        };
        let place = if form.starts_with("unix") {
            socket(rest)?
        } else {
            authority(rest.strip_prefix("//").ok_or(BadAddress::Form)?, usual_port)?
        };
        Ok(Self { place, speech, version, written: written.trim_end_matches('/').to_owned() })
    }

    /// The name that its certificate must bear.
    pub fn server_name(&self) -> Option<ServerName<'static>> {
        match &self.place {
            Place::Socket(address) => Some(ServerName::IpAddress(address.ip().into())),
            Place::Name(name, _) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok(),
            Place::Unix(_) => None,
        }
    }

    /// Host and port, as a Host field names them.
    pub fn authority(&self) -> &str {
        match &self.place {
            Place::Unix(_) => "localhost",
            _ => self.written.split_once("://").map_or("", |(_, authority)| authority),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.written)
    }
}

fn socket(path: &str) -> Result<Place, BadAddress> {
    if !path.starts_with('/') || path.contains('\0') {
        return Err(BadAddress::Relative);
    }
    if path.len() > PATH_MOST {
        return Err(BadAddress::LongPath);
    }
    Ok(Place::Unix(path.into()))
}

fn authority(rest: &str, usual_port: u16) -> Result<Place, BadAddress> {
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '@']) {
        return Err(BadAddress::Path);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']').ok_or_else(|| BadAddress::Host(authority.to_owned()))?;
            let address: IpAddr = host.parse().map_err(|_| BadAddress::Host(host.to_owned()))?;
            let port = if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or(BadAddress::Form)?) };
            return Ok(Place::Socket((address, self::port(port, usual_port)?).into()));
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = self::port(port, usual_port)?;
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(Place::Socket((address, port).into()));
    }
    if !is_name(host) {
        return Err(BadAddress::Host(host.to_owned()));
    }
    Ok(Place::Name(host.to_ascii_lowercase(), port))
}

fn port(written: Option<&str>, usual: u16) -> Result<u16, BadAddress> {
    let Some(text) = written else { return Ok(usual) };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|&port: &u16| digits && port != 0);
    port.ok_or_else(|| BadAddress::Port(text.to_owned()))
}

/// A host name (RFC 1123 §2.1), with the underscores that container networks use.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    // What ends in digits only would be an address to others.
    let last_is_number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= 253 && name.split('.').all(is_label) && !last_is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_read_or_refused_with_what_to_write() {
        let socket = |text: &str| Ok((Place::Socket(text.parse().unwrap()), Speech::Plain));
        let name = |host: &str, port| Ok((Place::Name(host.to_owned(), port), Speech::Plain));
        for (written, expect) in [
            ("http://127.0.0.1:3000", socket("127.0.0.1:3000")),
            ("http://127.0.0.1:3000/", socket("127.0.0.1:3000")),
            ("http://10.0.0.1", socket("10.0.0.1:80")),
            ("http://[::1]:81", socket("[::1]:81")),
            ("http://[::1]", socket("[::1]:80")),
            ("http://App.Internal:8080", name("app.internal", 8080)),
            ("http://my_app", name("my_app", 80)),
            ("https://10.0.0.1", Ok((Place::Socket("10.0.0.1:443".parse().unwrap()), Speech::Encrypted))),
            ("https://a:8443", Ok((Place::Name("a".to_owned(), 8443), Speech::Encrypted))),
            ("unix:/run/app.sock", Ok((Place::Unix("/run/app.sock".into()), Speech::Plain))),
            ("unix:app.sock", Err(BadAddress::Relative)),
            ("h2c://a", Ok((Place::Name("a".to_owned(), 80), Speech::Plain))),
            ("h2://a", Ok((Place::Name("a".to_owned(), 443), Speech::Encrypted))),
            ("unix+h2c:/run/app.sock", Ok((Place::Unix("/run/app.sock".into()), Speech::Plain))),
            ("unix+h2c:app.sock", Err(BadAddress::Relative)),
            ("unix+h2:/run/app.sock", Err(BadAddress::Form)),
            ("h2:a", Err(BadAddress::Form)),
            ("h3://a", Err(BadAddress::Form)),
            ("ftp://a", Err(BadAddress::Form)),
            ("127.0.0.1:3000", Err(BadAddress::Form)),
            ("http://a/b", Err(BadAddress::Path)),
            ("http://u:p@a", Err(BadAddress::Path)),
            ("http://a?b", Err(BadAddress::Path)),
            ("http://", Err(BadAddress::Host(String::new()))),
            ("http://a b", Err(BadAddress::Host("a b".to_owned()))),
            ("http://a\r\nb", Err(BadAddress::Host("a\r\nb".to_owned()))),
            ("http://1.2.3", Err(BadAddress::Host("1.2.3".to_owned()))),
            ("http://[::1", Err(BadAddress::Host("[::1".to_owned()))),
            ("http://a:0", Err(BadAddress::Port("0".to_owned()))),
            ("http://a:65536", Err(BadAddress::Port("65536".to_owned()))),
            ("http://a:+1", Err(BadAddress::Port("+1".to_owned()))),
            ("http://a:", Err(BadAddress::Port(String::new()))),
        ] {
            let read = Address::parse(written).map(|address| (address.place, address.speech));
            assert_eq!(read, expect, "{written}");
        }
        assert_eq!(Address::parse("http://a:81/").unwrap().authority(), "a:81");
        assert_eq!(Address::parse("h2://a:81/").unwrap().authority(), "a:81");
        for (written, version) in [
            ("http://a", Version::One),
            ("https://a", Version::One),
            ("unix:/a", Version::One),
            ("h2://a", Version::Two),
            ("h2c://a", Version::Two),
            ("unix+h2c:/a", Version::Two),
        ] {
            assert_eq!(Address::parse(written).map(|address| address.version), Ok(version), "{written}");
        }
        assert_eq!(Address::parse("unix:/a").unwrap().authority(), "localhost");
        let long = |length| format!("unix:/{}", "a".repeat(length - 1));
        assert!(Address::parse(&long(PATH_MOST)).is_ok());
        assert_eq!(Address::parse(&long(PATH_MOST + 1)), Err(BadAddress::LongPath));
    }
}

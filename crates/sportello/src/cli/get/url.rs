//! The URLs that `sportello get` understands: `http://HOST[:PORT]/path?query` (RFC 9110 §4.2.1), and how a redirect is
//! resolved against one (RFC 3986 §5.2).

use std::fmt;

use thiserror::Error;

use crate::cli::place::Place;
use crate::config::international;

/// An http URL, ready to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Where to connect.
    pub place: Place,
    /// Path and query, percent-encoded, beginning with `/`; without the fragment.
    pub target: String,
}

/// Why a text is no URL for this client.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// https.
    #[error("this version of sportello fetches http:// only: it cannot check the certificate of {0}")]
    Https(String),
    /// Another scheme, or none.
    #[error("{0} is not a URL that begins with http://")]
    Scheme(String),
    /// A name and password before the host.
    #[error("a URL with a user name in it is not sent: {0}")]
    User(String),
    /// The host or the port is malformed.
    #[error("{0} names no host, or a port that is none")]
    Authority(String),
    /// Longer than [`Url::MOST`].
    #[error("a URL longer than {most} bytes is not sent", most = Url::MOST)]
    TooLong,
}

impl Url {
    /// The longest URL, in bytes.
    pub const MOST: usize = 8_000;

    /// Reads an absolute URL. What may not stand in a request line (spaces, letters beyond ASCII) is percent-encoded.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text, "http", 80)
    }

    /// The same of a URL of https, for who only wants to know of it.
    pub fn parse_secure(text: &str) -> Result<Self, Error> {
        Self::read(text, "https", 443)
    }

    fn read(text: &str, wanted: &str, usual: u16) -> Result<Self, Error> {
        if text.len() > Self::MOST {
            return Err(Error::TooLong);
        }
        let text = text.split_once('#').map_or(text, |(before, _)| before);
        let shown = || crate::cli::paper::visible(text);
        let rest = match scheme(text) {
            Some((scheme, rest)) if scheme == wanted => rest,
            Some(("https", _)) => return Err(Error::Https(shown())),
            _ => return Err(Error::Scheme(shown())),
        };
        let rest = rest.strip_prefix("//").ok_or_else(|| Error::Scheme(shown()))?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err(Error::User(shown()));
        }
        // Only a name has other letters than ASCII; its port has none.
        let named = international::asked_for(authority).map_err(|_| Error::Authority(shown()))?;
        let authority = &*named;
        let bracketed = authority.ends_with(']');
        let with_port = match authority.rsplit_once(':') {
            Some((host, "")) if !bracketed => format!("{host}:{usual}"),
            Some(_) if !bracketed => authority.to_owned(),
            _ => format!("{authority}:{usual}"),
        };
        let place = with_port.parse().map_err(|_| Error::Authority(shown()))?;
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self { place, target: encode(&format!("{slash}{target}")) })
    }

    /// The URL that a Location field means, read against this one.
    pub fn join(&self, location: &str) -> Result<Self, Error> {
        let location = location.split_once('#').map_or(location, |(before, _)| before);
        if scheme(location).is_some() {
            return Self::parse(location);
        }
        if location.starts_with("//") {
            return Self::parse(&format!("http:{location}"));
        }
        let path = self.path();
        let target = match location.chars().next() {
            None => self.target.clone(),
            Some('/') => location.to_owned(),
            Some('?') => format!("{path}{location}"),
            Some(_) => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                format!("{folder}/{location}")
            }
        };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (target.as_str(), String::new()),
        };
        let target = encode(&format!("{}{query}", without_dots(path)));
        if target.len() > Self::MOST {
            return Err(Error::TooLong);
        }
        Ok(Self { place: self.place.clone(), target })
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// What Host says: the port is left out where it is 80.
    pub fn host(&self) -> String {
        let text = self.place.to_string();
        text.strip_suffix(":80").map(str::to_owned).unwrap_or(text)
    }

    /// The name of the file that it would be kept in: the last segment of the path, decoded. `None` where that is empty,
    /// hidden, no UTF-8, or would leave the folder.
    pub fn file_name(&self) -> Option<String> {
        let segment = self.path().rsplit_once('/').map_or("", |(_, segment)| segment);
        let name = decode(segment)?;
        let plain = !name.chars().any(|letter| letter.is_control() || letter == '/' || letter == '\\');
        (plain && !name.is_empty() && !name.starts_with('.') && name.len() <= 200).then_some(name)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http://{}{}", self.host(), self.target)
    }
}

/// The scheme in lower case and what follows its colon; `None` for a relative reference.
fn scheme(text: &str) -> Option<(&'static str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let well_formed = scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
    if !well_formed {
        return None;
    }
    Some(match scheme.to_ascii_lowercase().as_str() {
        "http" => ("http", rest),
        "https" => ("https", rest),
        _ => ("another", rest),
    })
}

fn encode(target: &str) -> String {
    let mut out = String::with_capacity(target.len());
    for byte in target.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digits = after.get(..2)?;
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after.get(2..)?;
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// RFC 3986 §5.2.4.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_or_refused() {
        let check = |text: &str, expect: Result<&str, Error>| {
            assert_eq!(Url::parse(text).map(|url| url.to_string()), expect.map(str::to_owned), "{text}");
        };
        check("http://a", Ok("http://a/"));
        check("HTTP://a:80/b?c#d", Ok("http://a/b?c"));
        check("http://a:8080/b", Ok("http://a:8080/b"));
        check("http://a:?q", Ok("http://a/?q"));
        check("http://[::1]:8080/x", Ok("http://[::1]:8080/x"));
        check("http://[::1]/x", Ok("http://[::1]/x"));
        check("http://a/ü b%20\"", Ok("http://a/%C3%BC%20b%20%22"));
        check("http://bücher.example:8080/ü", Ok("http://xn--bcher-kva.example:8080/%C3%BC"));
        check("http://ü..example/", Err(Error::Authority("http://ü..example/".into())));
        check("https://a/b", Err(Error::Https("https://a/b".into())));
        check("ftp://a/b", Err(Error::Scheme("ftp://a/b".into())));
        check("a/b", Err(Error::Scheme("a/b".into())));
        check("http:/a", Err(Error::Scheme("http:/a".into())));
        check("http://u:p@a/b", Err(Error::User("http://u:p@a/b".into())));
        for wrong in ["http://", "http:///b", "http://a:0/", "http://a:99999/", "http://a b/", "http://::1/"] {
            check(wrong, Err(Error::Authority(wrong.into())));
        }
        check(
            &format!("http://a/{}", "b".repeat(Url::MOST - 9)),
            Ok(&format!("http://a/{}", "b".repeat(Url::MOST - 9))),
        );
        check(&format!("http://a/{}", "b".repeat(Url::MOST - 8)), Err(Error::TooLong));
    }

    #[test]
    fn locations_are_resolved() {
        let base = Url::parse("http://h:81/a/b/c?q").unwrap();
        let check = |location: &str, expect: &str| {
            assert_eq!(base.join(location).map(|url| url.to_string()).as_deref(), Ok(expect), "{location}");
        };
        check("http://other/x", "http://other/x");
        check("//other/x", "http://other/x");
        check("/x", "http://h:81/x");
        check("x", "http://h:81/a/b/x");
        check("../x", "http://h:81/a/x");
        check("../../../../x", "http://h:81/x");
        check("./", "http://h:81/a/b/");
        check("..", "http://h:81/a/");
        check("?r=../s", "http://h:81/a/b/c?r=../s");
        check("", "http://h:81/a/b/c?q");
        check("#f", "http://h:81/a/b/c?q");
        check("x:y/z".replace("x:y", "./x:y").as_str(), "http://h:81/a/b/x:y/z");
        assert!(matches!(base.join("https://a/"), Err(Error::Https(_))));
        assert!(matches!(base.join("file:///etc/passwd"), Err(Error::Scheme(_))));
    }

    #[test]
    fn a_file_name_stays_in_its_folder() {
        let check = |path: &str, expect: Option<&str>| {
            let url = Url::parse(&format!("http://h{path}")).unwrap();
            assert_eq!(url.file_name().as_deref(), expect, "{path}");
        };
        check("/a/b.txt?q=/x", Some("b.txt"));
        check("/%C3%BC%20b", Some("ü b"));
        for none in ["", "/", "/a/", "/..", "/.profile", "/%2e%2e%2fx", "/a%2fb", "/a%00", "/%ff", "/%zz", "/%1"] {
            check(none, None);
        }
    }
}

//! Where a server is, and how a client finds the one that runs here.
//!
//! In this order: `--server HOST:PORT`; `listening.json` in the state folder, which a running server writes, and for commands the
//! socket beside it; the default port on 127.0.0.1.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, TcpStream};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use thiserror::Error;

use super::Serve;
use crate::announce::Ready;
use crate::config::default_state;
use crate::socket;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "write it as HOST:PORT, for example 127.0.0.1:7070 or [::1]:7070";
        let (host, port) = text.rsplit_once(':').ok_or(WRONG)?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').filter(|inner| inner.contains(':')).ok_or(WRONG)?,
            None if host.contains(':') => return Err(WRONG),
            None => host,
        };
        let plain =
            !host.is_empty() && host.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._:".contains(letter));
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(WRONG)?;
        if plain { Ok(Self { host: host.to_owned(), port }) } else { Err(WRONG) }
    }
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Over TCP.
    Tcp(Place),
    /// Over the socket in the state folder of a server on this machine.
    Socket(PathBuf),
}

impl fmt::Display for Way {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(place) => place.fmt(formatter),
            Self::Socket(path) => path.display().fmt(formatter),
        }
    }
}

/// The flags by which a client is told where the server is.
#[derive(Clone, Debug, Default, Args)]
pub struct Whereabouts {
    /// The server's channel [default: that of the server running here]
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "state")]
    pub server: Option<Place>,
    /// The state folder of the running server, where it says on which ports it listens
    /// [default: $XDG_STATE_HOME/sportello or ~/.local/state/sportello]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// A channel that a client looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// HTTP.
    Web,
    /// SMTP.
    Mail,
    /// RESP.
    Commands,
}

impl Wanted {
    /// The channel's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Mail => "mail",
            Self::Commands => "commands",
        }
    }

    /// What speaks with it over TLS.
    fn instead(self) -> &'static str {
        match self {
            Self::Web => "use curl with --cacert",
            Self::Mail => "use swaks with --tls-on-connect",
            Self::Commands => "use redis-cli with --tls",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Web => Serve::WEB,
            Self::Mail => Serve::MAIL,
            Self::Commands => Serve::COMMANDS,
        }
    }
}

/// Why the running server cannot be found.
#[derive(Debug, Error)]
pub enum Error {
    /// The state folder that was named has no `listening.json`.
    #[error("no server says that it runs with the state folder {}", .0.display())]
    Nobody(PathBuf, #[source] io::Error),
    /// Neither a state folder nor the default port leads to one.
    #[error(
        "no server runs here: start one with `sportello serve`, or say where it is with --state DIR or --server HOST:PORT"
    )]
    NoServer(#[source] io::Error),
    /// `listening.json` cannot be read.
    #[error("{} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] serde_json::Error),
    /// The channel speaks TLS, and our clients do not.
    #[error("the channel {} of the running server speaks TLS, which this client does not: {}, or name a channel without TLS with --server HOST:PORT", .0.name(), .0.instead())]
    Encrypted(Wanted),
    /// `listening.json` does not name the channel.
    #[error("the running server has no channel named {0}")]
    NoChannel(&'static str),
}

impl Whereabouts {
    /// Where the wanted channel is.
    pub fn place(&self, wanted: Wanted) -> Result<Place, Error> {
        if let Some(place) = &self.server {
            return Ok(place.clone());
        }
        match self.listening()? {
            Some(ready) => reach(&ready, wanted),
            None => Ok(Place { host: "127.0.0.1".to_owned(), port: wanted.default_port() }),
        }
    }

    /// How the commands of the server are reached: by its socket where it runs here and has one.
    pub fn commands(&self) -> Result<Way, Error> {
        if let Some(place) = &self.server {
            return Ok(Way::Tcp(place.clone()));
        }
        let ready = self.listening()?;
        if let Some(ready) = &ready {
            let socket = socket::path(Path::new(&ready.state));
            // In another user's state folder it cannot be seen; then the channel is the way.
            if socket.symlink_metadata().is_ok_and(|found| found.file_type().is_socket()) {
                return Ok(Way::Socket(socket));
            }
            return Ok(Way::Tcp(reach(ready, Wanted::Commands)?));
        }
        let place = Place { host: "127.0.0.1".to_owned(), port: Wanted::Commands.default_port() };
        match TcpStream::connect((place.host.as_str(), place.port)) {
            Ok(_) => Ok(Way::Tcp(place)),
            Err(error) => Err(Error::NoServer(error)),
        }
    }

    /// What the server that runs with this state folder says of itself; `None` where none is named and none is known.
    pub fn listening(&self) -> Result<Option<Ready>, Error> {
        let Some(folder) = self.state.clone().or_else(default_state) else { return Ok(None) };
        let file = folder.join(Ready::FILE);
        match read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| Error::Unreadable(file, error)),
            Err(error) if self.state.is_some() => Err(Error::Nobody(folder, error)),
            Err(_) => Ok(None),
        }
    }
}

/// Where a client on this machine reaches a channel of the server that said so.
pub fn reach(ready: &Ready, wanted: Wanted) -> Result<Place, Error> {
    let name = wanted.name();
    let channel = ready.channels.iter().find(|channel| channel.name == name).ok_or(Error::NoChannel(name))?;
    if channel.encrypted {
        return Err(Error::Encrypted(wanted));
    }
    let host = match channel.address {
        IpAddr::V4(any) if any.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(any) if any.is_unspecified() => "::1".to_owned(),
        address => address.to_string(),
    };
    Ok(Place { host, port: channel.port })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    const MOST: u64 = 64 * 1024;
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_host_and_a_port() {
        let check = |text: &str, expect: Option<(&str, u16)>| {
            let place = text.parse::<Place>().ok();
            assert_eq!(place.as_ref().map(|place| (place.host.as_str(), place.port)), expect, "{text}");
            if let Some(place) = place {
                assert_eq!(place.to_string(), text);
            }
        };
        check("127.0.0.1:7070", Some(("127.0.0.1", 7070)));
        check("example.org:1", Some(("example.org", 1)));
        check("[::1]:65535", Some(("::1", 65_535)));
        for wrong in ["", "a", "a:", ":1", "a:0", "a:65536", "::1:5", "[a]:1", "[::1:1", "a b:1", "a\n:1"] {
            check(wrong, None);
        }
    }

    const LINE: &str = r#"{"address":"0.0.0.0","channels":[
        {"name":"web","protocol":"http","address":"0.0.0.0","port":8080},
        {"name":"mail","protocol":"smtp","address":"::","port":1025},
        {"name":"commands","protocol":"command","address":"127.0.0.1","port":41000}],
        "state":"/s","workers":2,"pid":17,"later":[]}"#;

    #[test]
    fn a_channel_that_speaks_tls_is_told_of() {
        let line = LINE.replace("\"port\":1025", "\"port\":1025,\"encrypted\":true");
        let ready: Ready = serde_json::from_str(&line).unwrap();
        assert!(reach(&ready, Wanted::Web).is_ok());
        let told = reach(&ready, Wanted::Mail).unwrap_err().to_string();
        assert!(told.contains("channel mail") && told.contains("TLS") && told.contains("swaks"), "{told}");
    }

    #[test]
    fn the_ready_line_tells_where_each_channel_is() {
        let mut ready: Ready = serde_json::from_str(LINE).unwrap();
        let place = |wanted| reach(&ready, wanted).map(|place| place.to_string()).ok();
        assert_eq!(place(Wanted::Web).as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(place(Wanted::Mail).as_deref(), Some("[::1]:1025"));
        assert_eq!(place(Wanted::Commands).as_deref(), Some("127.0.0.1:41000"));
        ready.channels.clear();
        assert!(matches!(reach(&ready, Wanted::Web), Err(Error::NoChannel("web"))));
    }

    #[test]
    fn a_server_is_found_in_the_order_that_is_promised() {
        let folder = std::env::temp_dir().join(format!("sportello-place-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let named = Whereabouts { server: None, state: Some(folder.clone()) };
        assert!(matches!(named.place(Wanted::Mail), Err(Error::Nobody(..))), "named, and not there");
        std::fs::write(folder.join("listening.json"), "{").unwrap();
        assert!(matches!(named.place(Wanted::Mail), Err(Error::Unreadable(..))));
        std::fs::write(folder.join("listening.json"), LINE).unwrap();
        assert_eq!(named.place(Wanted::Commands).unwrap().port, 41_000);
        let told = Whereabouts { server: Some("h:9".parse().unwrap()), state: Some(folder.clone()) };
        assert_eq!(told.place(Wanted::Commands).unwrap().to_string(), "h:9");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

//! Macros of SPF (RFC 7208 §7): text with holes, into which goes what is known of a client and its sender.
//!
//! Bounded by: the slice that is read, and [`Macros::LONGEST_NAME`] or [`Macros::LONGEST_TEXT`] in what an expansion gives.

use std::net::IpAddr;

/// Text with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Macros {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Hole(Hole),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Hole {
    letter: Letter,
    /// Whether the value is escaped as in a URL: the letter was a capital (§7.3).
    escaped: Escaped,
    /// How many parts on the right are kept; 0: all.
    parts: usize,
    order: Order,
    /// At which of these the value is split; none: at dots.
    delimiters: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escaped {
    Yes,
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    AsIs,
    Reversed,
}

/// What goes into a hole (§7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    Sender,
    LocalPart,
    SenderDomain,
    Domain,
    Address,
    ValidatedName,
    Family,
    Helo,
    AddressForPeople,
    Receiver,
    Time,
}

/// For what a text is used: `c`, `r` and `t` are for people only (§7.2), and so are spaces (§6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A name that is looked up.
    Name,
    /// Words for people.
    Words,
}

/// What is known of a client and its sender.
#[derive(Clone, Debug)]
pub struct Variables<'a> {
    /// The client.
    pub address: IpAddr,
    /// Who sends: what is before the last `@`.
    pub local: &'a str,
    /// And what is behind it.
    pub sender_domain: &'a str,
    /// Whose record is looked at.
    pub domain: &'a str,
    /// The name the client gave.
    pub helo: &'a str,
    /// The client's name, where it was found and points back (§5.5), or `unknown`.
    pub validated_name: &'a str,
    /// Who checks.
    pub receiver: &'a str,
    /// When, in seconds since 1970.
    pub unix_seconds: u64,
}

impl Macros {
    /// The most octets of a name (§7.3): what is too much is taken away from its left, label by label.
    pub const LONGEST_NAME: usize = 253;
    /// The most octets of words for people.
    pub const LONGEST_TEXT: usize = 512;

    /// Reads a text whose end may be anything.
    pub fn parse(text: &str, used: Use) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find('%').unwrap_or(rest.len());
            let (plain, behind) = rest.split_at(end);
            let allowed = |byte| matches!(byte, b'!'..=b'~') || (byte == b' ' && used == Use::Words);
            if !plain.bytes().all(allowed) {
                return None;
            }
            if !plain.is_empty() {
                pieces.push(Piece::Text(plain.into()));
            }
            let Some(behind) = behind.strip_prefix('%') else { break };
            let (piece, behind) = expandable(behind, used)?;
            pieces.push(piece);
            rest = behind;
        }
        Some(Self { pieces })
    }

    /// Reads a `domain-spec`: a text that ends with a label no address could end with, or with a hole.
    pub fn domain(text: &str) -> Option<Self> {
        let macros = Self::parse(text, Use::Name)?;
        match macros.pieces.last()? {
            Piece::Hole(_) => Some(macros),
            Piece::Text(end) => {
                let end = end.strip_suffix('.').unwrap_or(end);
                // What is before the last dot may be in a hole; the dot itself is not.
                let (_, top) = end.rsplit_once('.')?;
                is_top_label(top).then_some(macros)
            }
        }
    }

    /// Whether a client's name must be known to fill it.
    pub fn needs_validated_name(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Hole(hole) if hole.letter == Letter::ValidatedName))
    }

    /// The name it gives, without a dot at its end.
    pub fn name(&self, variables: &Variables<'_>) -> String {
        let mut name = self.filled(variables, usize::MAX);
        if name.ends_with('.') {
            name.pop();
        }
        while name.len() > Self::LONGEST_NAME {
            let Some(dot) = name.find('.') else { break };
            name.drain(..=dot);
        }
        name
    }

    /// The words it gives, cut at [`Macros::LONGEST_TEXT`].
    pub fn words(&self, variables: &Variables<'_>) -> String {
        self.filled(variables, Self::LONGEST_TEXT)
    }

    fn filled(&self, variables: &Variables<'_>, most: usize) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Hole(hole) => text.push_str(&hole.filled(variables)),
            }
            if text.len() > most {
                text.truncate(text.floor_char_boundary(most));
                break;
            }
        }
        text
    }
}

/// What stands behind a `%`, and what follows it.
fn expandable(text: &str, used: Use) -> Option<(Piece, &str)> {
    let plain = |text: &str| Piece::Text(text.into());
    match text.as_bytes().first()? {
        b'%' => Some((plain("%"), text.get(1..)?)),
        b'_' => Some((plain(" "), text.get(1..)?)),
        b'-' => Some((plain("%20"), text.get(1..)?)),
        b'{' => {
            let (inside, behind) = text.get(1..)?.split_once('}')?;
            Some((Piece::Hole(hole(inside, used)?), behind))
        }
        _ => None,
    }
}

fn hole(inside: &str, used: Use) -> Option<Hole> {
    let first = *inside.as_bytes().first()?;
    let letter = match first.to_ascii_lowercase() {
        b's' => Letter::Sender,
        b'l' => Letter::LocalPart,
        b'o' => Letter::SenderDomain,
        b'd' => Letter::Domain,
        b'i' => Letter::Address,
        b'p' => Letter::ValidatedName,
        b'v' => Letter::Family,
        b'h' => Letter::Helo,
        b'c' if used == Use::Words => Letter::AddressForPeople,
        b'r' if used == Use::Words => Letter::Receiver,
        b't' if used == Use::Words => Letter::Time,
        _ => return None,
    };
    let escaped = if first.is_ascii_uppercase() { Escaped::Yes } else { Escaped::No };
    let rest = inside.get(1..)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = rest.split_at(digits);
    let parts = match digits {
        "" => 0,
        // A number of any length is one (§7.1); zero parts are none (§7.3).
        digits => digits.parse().unwrap_or(usize::MAX),
    };
    if !digits.is_empty() && parts == 0 {
        return None;
    }
    let (order, delimiters) = match rest.strip_prefix(['r', 'R']) {
        Some(rest) => (Order::Reversed, rest),
        None => (Order::AsIs, rest),
    };
    let known = |byte| matches!(byte, b'.' | b'-' | b'+' | b',' | b'/' | b'_' | b'=');
    delimiters.bytes().all(known).then(|| Hole { letter, escaped, parts, order, delimiters: delimiters.into() })
}

impl Hole {
    fn filled(&self, variables: &Variables<'_>) -> String {
        let value = self.letter.value(variables);
        let is_delimiter = |letter: char| match &*self.delimiters {
            "" => letter == '.',
            delimiters => delimiters.contains(letter),
        };
        let mut parts: Vec<&str> = value.split(is_delimiter).collect();
        if self.order == Order::Reversed {
            parts.reverse();
        }
        let kept = if self.parts == 0 { parts.len() } else { self.parts.min(parts.len()) };
        let text = parts.split_off(parts.len() - kept).join(".");
        if self.escaped == Escaped::Yes { escape(&text) } else { text }
    }
}

impl Letter {
    fn value(self, variables: &Variables<'_>) -> String {
        let Variables { local, sender_domain, .. } = variables;
        match self {
            Self::Sender => format!("{local}@{sender_domain}"),
            Self::LocalPart => (*local).to_owned(),
            Self::SenderDomain => (*sender_domain).to_owned(),
            Self::Domain => variables.domain.to_owned(),
            Self::Address => dotted(variables.address),
            Self::ValidatedName => variables.validated_name.to_owned(),
            Self::Family => (if variables.address.is_ipv4() { "in-addr" } else { "ip6" }).to_owned(),
            Self::Helo => variables.helo.to_owned(),
            Self::AddressForPeople => variables.address.to_string(),
            Self::Receiver => variables.receiver.to_owned(),
            Self::Time => variables.unix_seconds.to_string(),
        }
    }
}

/// An address with a dot between any two of its parts: octets, or nibbles (§7.3).
fn dotted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let nibble = |octet: &u8| [format!("{:x}", octet >> 4), format!("{:x}", octet & 15)];
            address.octets().iter().flat_map(nibble).collect::<Vec<String>>().join(".")
        }
    }
}

/// What is not unreserved in a URL as `%XX` (RFC 3986 §2.3).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// `toplabel`: letters, digits and hyphens inside, not all digits.
fn is_top_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let inside = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    let ends = [bytes.first(), bytes.last()].iter().all(|byte| byte.is_some_and(u8::is_ascii_alphanumeric));
    inside && ends && bytes.iter().any(|byte| !byte.is_ascii_digit())
}

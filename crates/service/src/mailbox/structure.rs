//! The tree of parts that MIME makes of a message (RFC 2045, RFC 2046), as byte ranges into it.
//!
//! Decodes no body and copies none: a part says where it lies. Bounded by [`Limits`]: nesting, number of parts and the bytes
//! of each header block that are looked at, so that neither the stack nor memory follows what a sender wrote.

use std::ops::Range;

use mail_parser::{GetHeader, HeaderName, MessageParser, MimeHeaders};
use memchr::memmem;

/// What reading one message may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Levels of multipart and enclosed messages; deeper ones stay closed.
    pub depth: usize,
    /// Parts in all; what follows is not listed.
    pub parts: usize,
    /// Bytes of one header block that are read.
    pub header_bytes: usize,
    /// Header fields of the message that are shown.
    pub fields: usize,
    /// Bytes of decoded text, and of decoded HTML, that are shown.
    pub text_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 16, parts: 500, header_bytes: 256 * 1024, fields: 500, text_bytes: 1024 * 1024 }
    }
}

/// What a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something to read or to save.
    Leaf,
    /// Other parts (RFC 2046 §5.1).
    Multipart,
    /// A whole message (RFC 2046 §5.2.1).
    Message,
}

/// How a body was written for the way (RFC 2045 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is: `7bit`, `8bit`, `binary`, or one we do not know.
    Identity,
    /// RFC 2045 §6.8.
    Base64,
    /// RFC 2045 §6.7.
    QuotedPrintable,
}

/// Whether the sender wants a part shown with the message or saved (RFC 2183).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Shown where it stands, also when nothing is said.
    Inline,
    /// Offered for saving.
    Attachment,
}

/// One part. Nothing here is to be trusted: names and types are the sender's.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its place in the list of parts; the message itself is 0.
    pub number: usize,
    /// 0 for the message itself.
    pub depth: usize,
    /// The part that encloses it.
    pub parent: Option<usize>,
    /// What it holds.
    pub kind: Kind,
    /// `type/subtype` in lower case; `application/octet-stream` where what was written is no media type.
    pub media_type: String,
    /// The `charset` parameter.
    pub charset: Option<String>,
    /// The name it wants to be saved under, as sent.
    pub name: Option<String>,
    /// Its Content-ID without angle brackets (RFC 2392).
    pub content_id: Option<String>,
    /// Shown or saved.
    pub disposition: Disposition,
    /// How its body is written.
    pub encoding: Encoding,
    /// Its body within the message.
    pub body: Range<usize>,
}

impl Part {
    /// Bytes of its body as sent.
    pub fn encoded_len(&self) -> usize {
        self.body.len()
    }
}

/// All parts of a message, each one before the parts that it encloses.
#[derive(Clone, Debug, Default)]
pub struct Structure {
    /// The parts; the first is the message itself.
    pub parts: Vec<Part>,
    /// A limit was met: there is more than is listed.
    pub cut: bool,
}

impl Structure {
    /// Reads the structure of `message`.
    pub fn of(message: &[u8], limits: &Limits) -> Self {
        let mut structure = Self::default();
        let root = Place { whole: 0..message.len(), depth: 0, parent: None, default_type: "text/plain" };
        structure.entity(message, root, limits);
        structure
    }

    /// Whether `part` belongs to a message enclosed in this one.
    pub fn is_enclosed(&self, part: &Part) -> bool {
        let mut above = part.parent;
        while let Some(parent) = above.and_then(|number| self.parts.get(number)) {
            if parent.kind == Kind::Message {
                return true;
            }
            above = parent.parent;
        }
        false
    }

    /// Adds one entity and, up to `limits.depth`, what is in it. Recursion is bounded by that depth.
    fn entity(&mut self, message: &[u8], place: Place, limits: &Limits) {
        if self.parts.len() >= limits.parts {
            self.cut = true;
            return;
        }
        let Some(bytes) = message.get(place.whole.clone()) else { return };
        let body_start = header_end(bytes);
        let header = bytes.get(..body_start.min(limits.header_bytes)).unwrap_or(bytes);
        let number = self.parts.len();
        let (mut part, boundary) = describe(header, &place);
        part.number = number;
        part.body = place.whole.start.saturating_add(body_start)..place.whole.end;
        let body = part.body.clone();
        let kind = part.kind;
        let digest = part.media_type == "multipart/digest";
        if kind != Kind::Leaf && place.depth.saturating_add(1) > limits.depth {
            part.kind = Kind::Leaf;
            self.cut = true;
            self.parts.push(part);
            return;
        }
        self.parts.push(part);
        let inside = |whole, default_type| Place {
            whole,
            depth: place.depth.saturating_add(1),
            parent: Some(number),
            default_type,
        };
        match (kind, boundary) {
            (Kind::Message, _) => self.entity(message, inside(body, "text/plain"), limits),
            (Kind::Multipart, Some(boundary)) => {
                // RFC 2046 §5.1.5: within a digest the default is a message.
                let default_type = if digest { "message/rfc822" } else { "text/plain" };
                for whole in Children::new(message, body, &boundary) {
                    if self.parts.len() >= limits.parts {
                        self.cut = true;
                        break;
                    }
                    self.entity(message, inside(whole, default_type), limits);
                }
            }
            _ => {}
        }
    }
}

/// Where an entity lies and what it is when it does not say.
struct Place {
    whole: Range<usize>,
    depth: usize,
    parent: Option<usize>,
    default_type: &'static str,
}

/// A part as its header describes it, its number and body still to be filled in, and its boundary.
fn describe(header: &[u8], place: &Place) -> (Part, Option<String>) {
    let parsed = MessageParser::new().with_mime_headers().default_header_ignore().parse_headers(header);
    let root = parsed.as_ref().and_then(|message| message.parts.first());
    let content_type = root.and_then(|root| root.content_type());
    let mut media_type = match content_type {
        Some(given) => written_type(given.ctype(), given.subtype()),
        None => place.default_type.to_owned(),
    };
    let boundary = content_type.and_then(|given| given.attribute("boundary")).filter(|text| is_boundary(text));
    let encoding = root
        .and_then(|root| root.headers.header_value(&HeaderName::ContentTransferEncoding))
        .and_then(|value| value.as_text())
        .map_or(Encoding::Identity, written_encoding);
    let kind = match media_type.as_str() {
        // RFC 2045 §6.4: a composite type is never encoded; one that is stays closed.
        "message/rfc822" | "message/global" if encoding == Encoding::Identity => Kind::Message,
        _ if media_type.starts_with("multipart/") && boundary.is_some() => Kind::Multipart,
        _ => Kind::Leaf,
    };
    if kind == Kind::Leaf && media_type.starts_with("multipart/") {
        // RFC 2046 §5.1.1: without a usable boundary there is nothing to take apart; what is there is shown as text.
        "text/plain".clone_into(&mut media_type);
    }
    let attachment = root.and_then(|root| root.content_disposition()).is_some_and(|given| given.is_attachment());
    let part = Part {
        number: 0,
        depth: place.depth,
        parent: place.parent,
        kind,
        media_type,
        charset: content_type.and_then(|given| given.attribute("charset")).map(|text| bounded(text, 64)),
        name: root.and_then(|root| root.attachment_name()).map(|text| bounded(text, 1024)),
        content_id: root.and_then(|root| root.content_id()).map(|text| bounded(text, 512)),
        disposition: if attachment { Disposition::Attachment } else { Disposition::Inline },
        encoding,
        body: 0..0,
    };
    (part, boundary.map(str::to_owned))
}

/// A media type that is two tokens (RFC 2045 §5.1), or the one for unknown bytes.
fn written_type(main: &str, sub: Option<&str>) -> String {
    let is_token = |text: &str| {
        (1..=127).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    match sub {
        Some(sub) if is_token(main) && is_token(sub) => format!("{main}/{sub}").to_ascii_lowercase(),
        // RFC 2045 §5.2 lets `Content-Type: text` pass for plain text.
        None if main.eq_ignore_ascii_case("text") => "text/plain".to_owned(),
        _ => "application/octet-stream".to_owned(),
    }
}

fn written_encoding(text: &str) -> Encoding {
    let text = text.trim();
    if text.eq_ignore_ascii_case("base64") {
        Encoding::Base64
    } else if text.eq_ignore_ascii_case("quoted-printable") {
        Encoding::QuotedPrintable
    } else {
        Encoding::Identity
    }
}

/// RFC 2046 §5.1.1 allows 70 characters; some senders write more.
fn is_boundary(text: &str) -> bool {
    (1..=200).contains(&text.len()) && !text.bytes().any(|byte| byte == b'\r' || byte == b'\n')
}

fn bounded(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// The first byte after the empty line that ends a header block; the length of `bytes` where there is none.
pub(super) fn header_end(bytes: &[u8]) -> usize {
    let mut line_start = 0usize;
    for newline in memchr::memchr_iter(b'\n', bytes) {
        if matches!(bytes.get(line_start..newline), Some(b"" | b"\r")) {
            return newline.saturating_add(1);
        }
        line_start = newline.saturating_add(1);
    }
    bytes.len()
}

/// The entities between the delimiter lines of one boundary (RFC 2046 §5.1.1).
struct Children<'a> {
    message: &'a [u8],
    finder: memmem::Finder<'static>,
    end: usize,
    /// The first byte of the next entity; `None` after the closing delimiter.
    next: Option<usize>,
}

impl<'a> Children<'a> {
    fn new(message: &'a [u8], body: Range<usize>, boundary: &str) -> Self {
        let finder = memmem::Finder::new(format!("--{boundary}").as_bytes()).into_owned();
        let mut children = Self { message, finder, end: body.end, next: None };
        // What stands before the first delimiter is a preamble and ignored.
        children.next = match children.delimiter(body.start, body.start) {
            Some(Delimiter { after, last: false, .. }) => Some(after),
            _ => None,
        };
        children
    }

    /// The next delimiter line at or after `from`; a line may begin at `from` itself only if that is `body_start`.
    fn delimiter(&self, from: usize, body_start: usize) -> Option<Delimiter> {
        let mut search = from;
        loop {
            let at = search.checked_add(self.finder.find(self.message.get(search..self.end)?)?)?;
            let after_text = at.checked_add(self.finder.needle().len())?;
            let rest = self.message.get(after_text..self.end)?;
            let begins_line = at == body_start || self.message.get(at.wrapping_sub(1)) == Some(&b'\n');
            let line_length = memchr::memchr(b'\n', rest).map_or(rest.len(), |newline| newline.saturating_add(1));
            let line = rest.get(..line_length)?;
            let last = line.starts_with(b"--");
            if begins_line && (last || line.iter().all(u8::is_ascii_whitespace)) {
                return Some(Delimiter { at, after: after_text.saturating_add(line_length), last });
            }
            search = after_text;
        }
    }
}

struct Delimiter {
    at: usize,
    after: usize,
    last: bool,
}

impl Iterator for Children<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.next.take()?;
        let Some(delimiter) = self.delimiter(start, start) else {
            // No closing delimiter: the entity runs to the end of what encloses it.
            return (start < self.end).then_some(start..self.end);
        };
        if !delimiter.last {
            self.next = Some(delimiter.after);
        }
        // RFC 2046 §5.1.1: the CRLF before a delimiter belongs to it.
        let mut end = delimiter.at;
        for byte in [b'\n', b'\r'] {
            if end > start && self.message.get(end.wrapping_sub(1)) == Some(&byte) {
                end = end.wrapping_sub(1);
            }
        }
        Some(start..end)
    }
}

//! A message as a person reads it: its header fields decoded, its text and HTML found, its attachments listed.

use mail_parser::{HeaderName, MessageParser};

use super::name;
use super::structure::{Disposition, Encoding, Kind, Limits, Part, Structure, header_end};
use super::{decode, html};

/// A message, read. All of its text is the sender's: decoded, bounded, and not to be trusted.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Bytes of the message.
    pub size: u64,
    /// The header fields in their order.
    pub fields: Vec<Field>,
    /// Its parts.
    pub structure: Structure,
    /// What it says as text; made from the HTML where there is only that.
    pub text: Option<Content>,
    /// What it says as HTML, as sent: to be shown only where nothing in it can run.
    pub html: Option<Content>,
    /// Numbers of the parts that are offered for saving.
    pub attachments: Vec<usize>,
    /// A limit was met: there is more in it than is shown.
    pub cut: bool,
}

/// One header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name as sent.
    pub name: String,
    /// Its value, unfolded, encoded words decoded (RFC 2047).
    pub value: String,
}

/// Readable text of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The text.
    pub text: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a [`Content`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The message has it.
    Sent,
    /// Made here from the HTML.
    MadeFromHtml,
}

impl Letter {
    /// Reads `message`. Takes time in proportion to its size: not for a worker's event loop.
    pub fn of(message: &[u8], limits: &Limits) -> Self {
        let structure = Structure::of(message, limits);
        let (fields, fields_cut) = fields(message, limits);
        let mut letter = Self {
            size: message.len() as u64,
            fields,
            text: None,
            html: None,
            attachments: Vec::new(),
            cut: structure.cut || fields_cut,
            structure,
        };
        let (mut text, mut html) = (Gathered::new(limits), Gathered::new(limits));
        for part in &letter.structure.parts {
            if letter.structure.is_enclosed(part) || part.kind == Kind::Multipart {
                continue;
            }
            match part.media_type.as_str() {
                "text/plain" if is_body(part) => text.add(message, part),
                "text/html" if is_body(part) => html.add(message, part),
                _ if part.number == 0 && part.kind == Kind::Message => {}
                _ => letter.attachments.push(part.number),
            }
        }
        letter.cut |= text.cut || html.cut;
        letter.html = html.content();
        letter.text = text.content().or_else(|| {
            let sent = letter.html.as_ref()?;
            Some(Content { text: html::text(&sent.text), origin: Origin::MadeFromHtml })
        });
        letter
    }

    /// The first field of a name, whatever its case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.as_str())
    }

    /// A part by its number.
    pub fn part(&self, number: usize) -> Option<&Part> {
        self.structure.parts.get(number)
    }
}

/// The name a part is saved under: what the sender wrote, made safe, or one made here.
pub fn saved_name(part: &Part) -> String {
    let extension = match part.media_type.as_str() {
        "message/rfc822" | "message/global" => "eml",
        "text/plain" => "txt",
        "text/html" => "html",
        "text/calendar" => "ics",
        "text/csv" => "csv",
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "application/pdf" => "pdf",
        "application/zip" => "zip",
        "application/json" => "json",
        _ => "bin",
    };
    name::file_name(part.name.as_deref(), &format!("part-{}.{extension}", part.number))
}

/// The decoded body of a part.
pub fn part_body(message: &[u8], part: &Part) -> Vec<u8> {
    let bytes = message.get(part.body.clone()).unwrap_or_default();
    // No encoding makes a body longer, so its own length bounds it.
    decode::body(part.encoding, bytes, bytes.len()).content
}

/// Text that belongs to what the message says, rather than a file sent along.
fn is_body(part: &Part) -> bool {
    part.disposition == Disposition::Inline && (part.name.is_none() || part.number == 0)
}

/// Several parts of one kind become one text, up to the limit.
struct Gathered {
    text: Option<String>,
    left: usize,
    cut: bool,
}

impl Gathered {
    fn new(limits: &Limits) -> Self {
        Self { text: None, left: limits.text_bytes, cut: false }
    }

    fn add(&mut self, message: &[u8], part: &Part) {
        let bytes = message.get(part.body.clone()).unwrap_or_default();
        let decoded = decode::body(part.encoding, bytes, self.left);
        self.left = self.left.saturating_sub(decoded.content.len());
        self.cut |= decoded.cut;
        let more = decode::text(part.charset.as_deref(), &decoded.content);
        match &mut self.text {
            Some(text) if part.media_type == "text/plain" => {
                text.push_str("\r\n");
                text.push_str(&more);
            }
            Some(text) => text.push_str(&more),
            None => self.text = Some(more),
        }
    }

    fn content(self) -> Option<Content> {
        self.text.map(|text| Content { text, origin: Origin::Sent })
    }
}

/// The header fields of a message, and whether a limit left some out.
fn fields(message: &[u8], limits: &Limits) -> (Vec<Field>, bool) {
    let end = header_end(message);
    let header = message.get(..end.min(limits.header_bytes)).unwrap_or(message);
    // One named field keeps the parser from its own choice of forms: every field is wanted as text.
    let parser = MessageParser::new().header_text(HeaderName::Subject).default_header_text();
    let Some(parsed) = parser.parse_headers(header) else { return (Vec::new(), false) };
    let Some(root) = parsed.parts.first() else { return (Vec::new(), false) };
    let cut = root.headers.len() > limits.fields || end > limits.header_bytes;
    let fields = root
        .headers
        .iter()
        .take(limits.fields)
        .map(|header| Field {
            name: name::shown(header.name(), 128),
            value: name::shown(header.value.as_text().unwrap_or_default(), MOST_VALUE),
        })
        .collect();
    (fields, cut)
}

/// Whether the sender wrote this part so that its bytes lie in the message as they are.
pub fn is_as_sent(part: &Part) -> bool {
    part.encoding == Encoding::Identity
}

/// Characters of one field's value that are shown.
const MOST_VALUE: usize = 8 * 1024;

//! Reports on what became of a message (RFC 3464), as mail to its sender (RFC 6522), also for addresses in UTF-8 (RFC 6533).
//!
//! Knows nothing of when something is reported and to whom. Nothing that it is given can end a field or begin a part: control
//! characters become `?`, and the boundary occurs nowhere in what comes back. Bounded by: what it is given, each text of
//! others cut at [`LONGEST_TEXT`]; what is too large to come back whole, the caller leaves out.

use std::fmt::Write;

use memchr::memmem;

use super::Status;
use crate::date::mail_date;

/// A report.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Our name.
    pub by: &'a str,
    /// To whom: the sender of the message.
    pub to: &'a str,
    /// What makes the report's Message-ID its own: an atom, such as a number in the store.
    pub id: &'a str,
    /// Now, seconds since 1970.
    pub seconds: u64,
    /// When the message came, seconds since 1970.
    pub arrived: u64,
    /// What the sender called it (ENVID).
    pub envelope_id: Option<&'a str>,
    /// The message's own Message-ID with its angle brackets, where it has one.
    pub message_id: Option<&'a str>,
    /// One for each recipient; at least one.
    pub recipients: &'a [OnRecipient<'a>],
    /// What comes back of the message.
    pub returned: Returned<'a>,
}

/// What became of one recipient.
#[derive(Clone, Copy, Debug)]
pub struct OnRecipient<'a> {
    /// As the message was sent to it.
    pub address: &'a str,
    /// What the sender called it (ORCPT): type, semicolon, address.
    pub original: Option<&'a str>,
    /// What was done.
    pub action: Action,
    /// Why.
    pub status: Status,
    /// The server that said so; `None` where we do.
    pub server: Option<&'a str>,
    /// What it said, or our own words.
    pub text: &'a str,
    /// Until when it will be tried, seconds since 1970, where it will be.
    pub until: Option<u64>,
}

/// What was done (RFC 3464 §2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It will not be delivered.
    Failed,
    /// It is not delivered yet, and is being tried.
    Delayed,
    /// It was handed on to a server that reports nothing.
    Relayed,
    /// It was delivered.
    Delivered,
}

/// What comes back of a message.
#[derive(Clone, Copy, Debug)]
pub enum Returned<'a> {
    /// All of it.
    Message(&'a [u8]),
    /// Its header.
    Header(&'a [u8]),
}

/// The most bytes that are told of a text of others.
pub const LONGEST_TEXT: usize = 800;

/// A report as a message with its header, every line ended by CR LF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The message.
    pub bytes: Vec<u8>,
    /// Its Subject field.
    pub subject: &'static str,
    /// Its From field.
    pub from: String,
    /// Its Message-ID field.
    pub message_id: String,
    /// Whether it has bytes above 127 (RFC 6152).
    pub is_eight_bit: bool,
    /// Whether its header or its addresses have (RFC 6531).
    pub is_international: bool,
}

impl Report<'_> {
    /// The report, written.
    pub fn write(&self) -> Written {
        let names = self.recipients.iter().flat_map(|one| [Some(one.address), one.original]).flatten();
        let international = !self.to.is_ascii() || names.into_iter().any(|name| !name.is_ascii());
        let returned = self.returned.bytes();
        let boundary = boundary(self.id, returned);
        let (subject, from) = (self.subject(), format!("Mail Delivery System <MAILER-DAEMON@{}>", self.by));
        let message_id = format!("<{}.report@{}>", self.id, self.by);
        let mut text = String::new();
        self.head(&mut text, (subject, &from, &message_id, &boundary));
        self.words(&mut text, &boundary);
        self.fields(&mut text, &boundary, international);
        let is_eight_bit = !text.is_ascii() || !returned.is_ascii();
        self.returned.head(&mut text, &boundary);
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(returned);
        if !returned.ends_with(b"\n") {
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        Written { bytes, subject, from, message_id, is_eight_bit, is_international: international }
    }

    fn worst(&self) -> Action {
        self.recipients.iter().map(|one| one.action).min().unwrap_or(Action::Failed)
    }

    fn subject(&self) -> &'static str {
        match self.worst() {
            Action::Failed => "Your message could not be delivered",
            Action::Delayed => "Your message is not delivered yet",
            Action::Relayed => "Your message was handed on",
            Action::Delivered => "Your message was delivered",
        }
    }

    fn head(&self, text: &mut String, (subject, from, message_id, boundary): (&str, &str, &str, &str)) {
        line(text, format_args!("From: {from}"));
        line(text, format_args!("To: <{}>", Plain(self.to)));
        line(text, format_args!("Subject: {subject}"));
        line(text, format_args!("Date: {}", mail_date(self.seconds)));
        line(text, format_args!("Message-ID: {message_id}"));
        if let Some(answered) = self.message_id.filter(|id| is_message_id(id)) {
            line(text, format_args!("In-Reply-To: {answered}"));
            line(text, format_args!("References: {answered}"));
        }
        // RFC 3834 §5.1: nobody answers it by itself.
        line(text, format_args!("Auto-Submitted: auto-replied"));
        line(text, format_args!("MIME-Version: 1.0"));
        line(text, format_args!("Content-Type: multipart/report; report-type=delivery-status;"));
        line(text, format_args!("\tboundary=\"{boundary}\""));
        line(text, format_args!(""));
        line(text, format_args!("This is a report on a message in MIME format."));
    }

    /// The part for people.
    fn words(&self, text: &mut String, boundary: &str) {
        let mut words = String::new();
        line(&mut words, format_args!("This is the mail server {}.", self.by));
        for action in [Action::Failed, Action::Delayed, Action::Relayed, Action::Delivered] {
            let mut of_action = self.recipients.iter().filter(|one| one.action == action).peekable();
            if of_action.peek().is_none() {
                continue;
            }
            line(&mut words, format_args!(""));
            line(&mut words, format_args!("{}", action.sentence()));
            for one in of_action {
                line(&mut words, format_args!(""));
                line(&mut words, format_args!("  <{}>", Plain(one.address)));
                match one.server {
                    Some(server) => line(&mut words, format_args!("    {} said: {}", Plain(server), Plain(one.text))),
                    None => line(&mut words, format_args!("    {}", Plain(one.text))),
                }
                if let Some(until) = one.until {
                    line(&mut words, format_args!("    It will be tried until {}.", mail_date(until)));
                }
            }
        }
        let charset = if words.is_ascii() { "us-ascii" } else { "utf-8" };
        part(text, boundary, &format!("text/plain; charset={charset}"), words.is_ascii());
        text.push_str(&words);
    }

    /// The part for programs.
    fn fields(&self, text: &mut String, boundary: &str, international: bool) {
        let kind = if international { "message/global-delivery-status" } else { "message/delivery-status" };
        let mut fields = String::new();
        let to_be_told = |text: &str| if international { cut(text) } else { cut(&ascii(text)) };
        if let Some(id) = self.envelope_id {
            line(&mut fields, format_args!("Original-Envelope-Id: {}", to_be_told(id)));
        }
        line(&mut fields, format_args!("Reporting-MTA: dns; {}", self.by));
        line(&mut fields, format_args!("Arrival-Date: {}", mail_date(self.arrived)));
        for one in self.recipients {
            line(&mut fields, format_args!(""));
            if let Some(original) = one.original {
                line(&mut fields, format_args!("Original-Recipient: {}", to_be_told(original)));
            }
            let kind = if one.address.is_ascii() { "rfc822" } else { "utf-8" };
            line(&mut fields, format_args!("Final-Recipient: {kind}; {}", to_be_told(one.address)));
            line(&mut fields, format_args!("Action: {}", one.action.word()));
            line(&mut fields, format_args!("Status: {}", one.status));
            match one.server {
                Some(server) => {
                    let name = server.split(' ').next().unwrap_or_default();
                    line(&mut fields, format_args!("Remote-MTA: dns; {}", to_be_told(name)));
                    line(&mut fields, format_args!("Diagnostic-Code: smtp; {}", to_be_told(one.text)));
                }
                None => line(&mut fields, format_args!("Diagnostic-Code: X-Sportello; {}", to_be_told(one.text))),
            }
            line(&mut fields, format_args!("Last-Attempt-Date: {}", mail_date(self.seconds)));
            if let Some(until) = one.until {
                line(&mut fields, format_args!("Will-Retry-Until: {}", mail_date(until)));
            }
        }
        part(text, boundary, kind, fields.is_ascii());
        text.push_str(&fields);
    }
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Relayed => "relayed",
            Self::Delivered => "delivered",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Failed => "Your message could not be delivered to:",
            Self::Delayed => "Your message is not delivered yet. You need not send it again. It is on its way to:",
            Self::Relayed => "Your message was handed on to a server that sends no reports, for:",
            Self::Delivered => "Your message was delivered to:",
        }
    }
}

impl<'a> Returned<'a> {
    fn bytes(self) -> &'a [u8] {
        match self {
            Self::Message(bytes) | Self::Header(bytes) => bytes,
        }
    }

    fn head(self, text: &mut String, boundary: &str) {
        let (kind, bytes) = match self {
            Self::Message(bytes) => {
                // RFC 6532 §3.7: a header in UTF-8 makes it another type.
                let header = bytes.get(..super::header::end(bytes).unwrap_or(bytes.len())).unwrap_or_default();
                (if header.is_ascii() { "message/rfc822" } else { "message/global" }, bytes)
            }
            Self::Header(bytes) if bytes.is_ascii() => ("text/rfc822-headers", bytes),
            Self::Header(bytes) => ("message/global-headers", bytes),
        };
        part(text, boundary, kind, bytes.is_ascii());
    }
}

/// The head of the next part.
fn part(text: &mut String, boundary: &str, kind: &str, is_ascii: bool) {
    line(text, format_args!(""));
    line(text, format_args!("--{boundary}"));
    line(text, format_args!("Content-Type: {kind}"));
    if !is_ascii {
        line(text, format_args!("Content-Transfer-Encoding: 8bit"));
    }
    line(text, format_args!(""));
}

/// One that does not occur in what comes back.
fn boundary(id: &str, returned: &[u8]) -> String {
    let mut number = 0_u64;
    loop {
        let boundary = format!("=_report_{id}_{number}");
        if memmem::find(returned, boundary.as_bytes()).is_none() {
            return boundary;
        }
        number += 1;
    }
}

/// What could not end a field of ours, and is a Message-ID at all (RFC 5322 §3.6.4).
fn is_message_id(text: &str) -> bool {
    let inner = text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
    inner.is_some_and(|inner| {
        !inner.is_empty() && inner.len() < 900 && inner.bytes().all(|byte| matches!(byte, 33..=126) && byte != b'>')
    })
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = text.write_fmt(line);
    text.push_str("\r\n");
}

/// A text of others in one line of a bounded length.
struct Plain<'a>(&'a str);

impl std::fmt::Display for Plain<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&cut(self.0))
    }
}

fn cut(text: &str) -> String {
    let text = text.get(..text.floor_char_boundary(LONGEST_TEXT)).unwrap_or_default();
    text.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}

fn ascii(text: &str) -> String {
    text.chars().map(|character| if character.is_ascii() { character } else { '?' }).collect()
}

#[cfg(test)]
mod tests;

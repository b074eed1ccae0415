//! One line of the log, as text (logfmt) or as JSON. Whatever a peer sent is quoted, so that no line can be forged.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sportello_wire::date;

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `time level what key=value …`
    Text,
    /// `{"time":…,"level":…,"what":…,…}`
    Json,
}

/// Writes lines into a buffer; keeps the text of the current second.
#[derive(Debug)]
pub(super) struct LineWriter {
    form: Form,
    second: u64,
    time: [u8; 24],
}

impl LineWriter {
    pub(super) fn new(form: Form) -> Self {
        Self { form, second: u64::MAX, time: date::rfc3339(0, 0) }
    }

    /// Begins a line of this moment: time, level and what happened.
    pub(super) fn begin(&mut self, into: &mut Vec<u8>, level: &str, what: &[u8]) {
        // A clock before 1970 shows 1970.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.begin_at(into, now, level, what);
    }

    /// Begins a line of a moment, told since 1970.
    pub(super) fn begin_at(&mut self, into: &mut Vec<u8>, moment: Duration, level: &str, what: &[u8]) {
        self.set_time(moment);
        match self.form {
            Form::Text => {
                into.extend_from_slice(&self.time);
                into.push(b' ');
                into.extend_from_slice(level.as_bytes());
                into.push(b' ');
                text_of(into, what);
            }
            Form::Json => {
                into.extend_from_slice(b"{\"time\":\"");
                into.extend_from_slice(&self.time);
                into.extend_from_slice(b"\",\"level\":\"");
                into.extend_from_slice(level.as_bytes());
                into.extend_from_slice(b"\",\"what\":");
                quote(into, what);
            }
        }
    }

    /// One field whose value may hold anything.
    pub(super) fn text(&self, into: &mut Vec<u8>, name: &str, value: &[u8]) {
        self.name(into, name);
        self.value(into, value);
    }

    /// The value of a field that may hold anything.
    pub(super) fn value(&self, into: &mut Vec<u8>, value: &[u8]) {
        if self.form == Form::Text && !value.is_empty() && value.iter().all(|byte| is_plain(*byte)) {
            into.extend_from_slice(value);
        } else {
            quote(into, value);
        }
    }

    /// One field whose value is a number.
    pub(super) fn number(&self, into: &mut Vec<u8>, name: &str, value: u64) {
        self.name(into, name);
        digits(into, value);
    }

    /// Begins a request's id (the connection's, a dot, the request's number on it) with what is the same for all requests of a
    /// connection.
    pub(super) fn id_begin(&self, into: &mut Vec<u8>, connection: u64) {
        self.name(into, "id");
        into.extend_from_slice(if self.form == Form::Json { b"\"" } else { b"" });
        digits(into, connection);
        into.push(b'.');
    }

    /// The rest of it.
    pub(super) fn id_end(&self, into: &mut Vec<u8>, request: u64) {
        digits(into, request);
        into.extend_from_slice(if self.form == Form::Json { b"\"" } else { b"" });
    }

    /// The client.
    pub(super) fn peer(&self, into: &mut Vec<u8>, peer: SocketAddr) {
        self.name(into, "peer");
        let quoted = self.form == Form::Json;
        into.extend_from_slice(if quoted { b"\"" } else { b"" });
        match peer.ip() {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                digits(into, a.into());
                for part in [b, c, d] {
                    into.push(b'.');
                    digits(into, part.into());
                }
            }
            IpAddr::V6(address) => into.extend_from_slice(format!("[{address}]").as_bytes()),
        }
        into.push(b':');
        digits(into, peer.port().into());
        into.extend_from_slice(if quoted { b"\"" } else { b"" });
    }

    /// Ends the line.
    pub(super) fn end(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(if self.form == Form::Json { b"}\n" } else { b"\n" });
    }

    /// The name of a field, up to its value.
    pub(super) fn name(&self, into: &mut Vec<u8>, name: &str) {
        match self.form {
            Form::Text => {
                into.push(b' ');
                into.extend_from_slice(name.as_bytes());
                into.push(b'=');
            }
            Form::Json => {
                into.extend_from_slice(b",\"");
                into.extend_from_slice(name.as_bytes());
                into.extend_from_slice(b"\":");
            }
        }
    }

    fn set_time(&mut self, now: Duration) {
        if now.as_secs() != self.second {
            self.second = now.as_secs();
            self.time = date::rfc3339(self.second, 0);
        }
        let milliseconds = now.subsec_millis();
        self.time[20] = b'0' + (milliseconds / 100 % 10) as u8;
        self.time[21] = b'0' + (milliseconds / 10 % 10) as u8;
        self.time[22] = b'0' + (milliseconds % 10) as u8;
    }
}

fn digits(into: &mut Vec<u8>, value: u64) {
    into.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Bytes that need no quotes in logfmt.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'"' && byte != b'=' && byte != b'\\'
}

/// The free text of a text line: as it is, but for control characters.
fn text_of(into: &mut Vec<u8>, text: &[u8]) {
    if text.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return into.extend_from_slice(text);
    }
    for character in String::from_utf8_lossy(text).chars() {
        if character.is_control() {
            into.push(b'?');
        } else {
            into.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// A JSON string (RFC 8259 §7); bytes that are not UTF-8 become U+FFFD.
pub(super) fn quote(into: &mut Vec<u8>, value: &[u8]) {
    into.push(b'"');
    if value.iter().all(|byte| (b' '..=b'~').contains(byte) && *byte != b'"' && *byte != b'\\') {
        into.extend_from_slice(value);
    } else {
        for character in String::from_utf8_lossy(value).chars() {
            match character {
                '"' => into.extend_from_slice(b"\\\""),
                '\\' => into.extend_from_slice(b"\\\\"),
                '\n' => into.extend_from_slice(b"\\n"),
                '\r' => into.extend_from_slice(b"\\r"),
                '\t' => into.extend_from_slice(b"\\t"),
                // The other controls, also those of C1, and what turns the direction of a terminal's text.
                control if control.is_control() || is_directional(control) => {
                    into.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes());
                }
                other => into.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }
    into.push(b'"');
}

fn is_directional(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(form: Form, value: &[u8]) -> String {
        let mut writer = LineWriter::new(form);
        let mut into = Vec::new();
        writer.begin(&mut into, "info", b"request");
        writer.id_begin(&mut into, 7);
        writer.id_end(&mut into, 2);
        writer.peer(&mut into, "127.0.0.1:80".parse().unwrap());
        writer.text(&mut into, "object", value);
        writer.number(&mut into, "bytes", 12);
        writer.end(&mut into);
        String::from_utf8(into).unwrap()
    }

    #[test]
    fn a_value_cannot_forge_a_field_or_a_line() {
        let check = |value: &str, expect: &str| {
            let text = line(Form::Text, value.as_bytes());
            assert_eq!(&text[24..], format!(" info request id=7.2 peer=127.0.0.1:80 object={expect} bytes=12\n"));
        };
        check("/x", "/x");
        check("", "\"\"");
        check("/a b", "\"/a b\"");
        check("x\nlevel=error", "\"x\\nlevel=error\"");
        check("\"\u{1b}[31m\u{202e}", "\"\\\"\\u001b[31m\\u202e\"");
    }

    #[test]
    fn json_lines_are_json() {
        for value in [&b"/x"[..], b"\"\\\r\n\t\x00\xff\x7f", "è\u{2028}".as_bytes()] {
            let text = line(Form::Json, value);
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(json["object"], String::from_utf8_lossy(value).as_ref());
            assert_eq!((&json["id"], &json["bytes"]), (&"7.2".into(), &12.into()));
        }
    }
}

//! One line of an access log: common, combined, or JSON.
//!
//! What a client sent is escaped so that it can neither begin a line or a field of its own nor move a terminal's cursor: `\xHH` as
//! nginx writes it, JSON strings as `line` writes them. Each such part is bounded by [`PART_MOST`].

use std::net::IpAddr;
use std::time::Duration;

use sportello_service::web::Asked;
use sportello_wire::date;
use sportello_wire::http1::trace::Trace;
use tokio::time::Instant;

use crate::observe::line::quote;

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `client - user [time] "request line" status bytes`
    Common,
    /// The same, then `"referer" "user agent"`.
    #[default]
    Combined,
    /// An object with all that is known.
    Json,
}

/// One request that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// When its answer was ready, since 1970.
    pub at: Duration,
    /// Who asked, as far as that is believed.
    pub client: IpAddr,
    /// As whom, if logged in.
    pub user: Option<&'a [u8]>,
    /// Its method.
    pub method: &'a [u8],
    /// Its target as it was sent.
    pub target: &'a [u8],
    /// `HTTP/1.1`.
    pub protocol: &'static str,
    /// What was answered.
    pub status: u16,
    /// Bytes of the answer.
    pub bytes: u64,
    /// The page it came from.
    pub referer: Option<&'a [u8]>,
    /// What the client calls itself.
    pub agent: Option<&'a [u8]>,
    /// From its first byte to its answer.
    pub took: Duration,
    /// Whom it asked.
    pub host: &'a [u8],
    /// The route that took it in.
    pub route: Option<&'a str>,
    /// Who was asked for the answer.
    pub upstream: Option<&'a Asked>,
    /// `TLSv1.3` and the name that was asked for, where it came encrypted.
    pub tls: Option<(&'a str, Option<&'a str>)>,
    /// The trace it belongs to.
    pub trace: Option<Trace>,
}

/// Bytes of one part that are kept.
const PART_MOST: usize = 2048;

impl Format {
    /// Appends a line.
    pub fn write(self, into: &mut Vec<u8>, access: &Access<'_>) {
        match self {
            Self::Json => json(into, access),
            Self::Common => common(into, access),
            Self::Combined => {
                common(into, access);
                into.extend_from_slice(b" \"");
                escaped(into, access.referer.unwrap_or(b"-"));
                into.extend_from_slice(b"\" \"");
                escaped(into, access.agent.unwrap_or(b"-"));
                into.push(b'"');
            }
        }
        into.push(b'\n');
    }
}

fn common(into: &mut Vec<u8>, access: &Access<'_>) {
    into.extend_from_slice(access.client.to_string().as_bytes());
    into.extend_from_slice(b" - ");
    match access.user {
        // A space would begin another field.
        Some(user) => user.split(|byte| *byte == b' ').enumerate().for_each(|(at, part)| {
            into.extend_from_slice(if at > 0 { b"\\x20" } else { b"" });
            escaped(into, part);
        }),
        None => into.push(b'-'),
    }
    into.extend_from_slice(b" [");
    into.extend_from_slice(&time(access.at.as_secs()));
    into.extend_from_slice(b"] \"");
    escaped(into, access.method);
    into.push(b' ');
    escaped(into, access.target);
    into.push(b' ');
    into.extend_from_slice(access.protocol.as_bytes());
    into.extend_from_slice(b"\" ");
    number(into, access.status.into());
    into.push(b' ');
    number(into, access.bytes);
}

/// `10/Oct/2000:13:55:36 +0000`
fn time(seconds: u64) -> [u8; 26] {
    // `Tue, 10 Oct 2000 13:55:36 GMT`
    let fixed = date::imf_fixdate(seconds);
    let mut time = *b"DD/Mon/YYYY:hh:mm:ss +0000";
    time[..2].copy_from_slice(&fixed[5..7]);
    time[3..6].copy_from_slice(&fixed[8..11]);
    time[7..11].copy_from_slice(&fixed[12..16]);
    time[12..20].copy_from_slice(&fixed[17..25]);
    time
}

fn json(into: &mut Vec<u8>, access: &Access<'_>) {
    into.extend_from_slice(b"{\"time\":\"");
    let millisecond = u16::try_from(access.at.subsec_millis()).unwrap_or(0);
    into.extend_from_slice(&date::rfc3339(access.at.as_secs(), millisecond));
    into.extend_from_slice(b"\",\"client\":\"");
    into.extend_from_slice(access.client.to_string().as_bytes());
    into.push(b'"');
    let texts: [(&str, Option<&[u8]>); 11] = [
        ("user", access.user),
        ("host", Some(access.host)),
        ("method", Some(access.method)),
        ("target", Some(access.target)),
        ("protocol", Some(access.protocol.as_bytes())),
        ("referer", access.referer),
        ("agent", access.agent),
        ("route", access.route.map(str::as_bytes)),
        ("tls", access.tls.map(|(version, _)| version.as_bytes())),
        ("sni", access.tls.and_then(|(_, name)| name).map(str::as_bytes)),
        ("upstream", access.upstream.map(|asked| asked.upstream.as_bytes())),
    ];
    for (name, text) in texts {
        let Some(text) = text else { continue };
        key(into, name);
        quote(into, part(text));
    }
    if let Some(trace) = &access.trace {
        key(into, "trace");
        quote(into, trace.id().to_string().as_bytes());
    }
    access.upstream.inspect(|asked| of_upstream(into, asked));
    for (name, figure) in [("status", access.status.into()), ("bytes", access.bytes), ("us", us(access.took))] {
        key(into, name);
        number(into, figure);
    }
    into.push(b'}');
}

/// What came of asking somebody else: status and time only where it began to answer.
fn of_upstream(into: &mut Vec<u8>, asked: &Asked) {
    let since = |moment: Instant| us(moment.saturating_duration_since(asked.began));
    for (name, figure) in [
        ("upstream_connect_us", asked.connected.map(since)),
        ("upstream_us", asked.heard.map(|(moment, _)| since(moment))),
        ("upstream_status", asked.heard.map(|(_, status)| status.into())),
        ("upstreams_before", (asked.before > 0).then_some(asked.before.into())),
    ] {
        let Some(figure) = figure else { continue };
        key(into, name);
        number(into, figure);
    }
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn key(into: &mut Vec<u8>, name: &str) {
    into.extend_from_slice(b",\"");
    into.extend_from_slice(name.as_bytes());
    into.extend_from_slice(b"\":");
}

fn number(into: &mut Vec<u8>, number: u64) {
    into.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn part(text: &[u8]) -> &[u8] {
    text.get(..PART_MOST).unwrap_or(text)
}

/// As nginx escapes what it logs: quotes, backslashes, and what is no printable ASCII.
fn escaped(into: &mut Vec<u8>, text: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in part(text) {
        if (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\' {
            into.push(byte);
        } else {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            into.extend_from_slice(&[b'\\', b'x', DIGITS[high], DIGITS[low]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access<'static> {
        Access {
            at: Duration::from_millis(971_186_136_078),
            client: "2001:db8::1".parse().unwrap(),
            user: None,
            method: b"GET",
            target: b"/a?b",
            protocol: "HTTP/1.1",
            status: 200,
            bytes: 2326,
            referer: None,
            agent: None,
            took: Duration::from_micros(41),
            host: b"www.example.org",
            route: None,
            upstream: None,
            tls: None,
            trace: None,
        }
    }

    fn line(format: Format, access: &Access<'_>) -> String {
        let mut into = Vec::new();
        format.write(&mut into, access);
        String::from_utf8(into).unwrap()
    }

    #[test]
    fn lines_are_as_everybody_reads_them() {
        let common = "2001:db8::1 - - [10/Oct/2000:13:55:36 +0000] \"GET /a?b HTTP/1.1\" 200 2326";
        assert_eq!(line(Format::Common, &access()), format!("{common}\n"));
        assert_eq!(line(Format::Combined, &access()), format!("{common} \"-\" \"-\"\n"));
        let full = Access { referer: Some(b"http://a/"), agent: Some(b"curl/8"), user: Some(b"ada l"), ..access() };
        let expect = common.replace("- - ", "- ada\\x20l ") + " \"http://a/\" \"curl/8\"\n";
        assert_eq!(line(Format::Combined, &full), expect);
    }

    #[test]
    fn json_says_all_that_is_known() {
        let trace = Trace::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let began = Instant::now();
        let after = |us| began + Duration::from_micros(us);
        let upstream = Asked {
            upstream: "http://10.0.0.1:80".into(),
            began,
            connected: Some(after(3)),
            heard: Some((after(9), 404)),
            before: 1,
        };
        let full = Access {
            user: Some(b"ada"),
            route: Some("/api/*"),
            upstream: Some(&upstream),
            tls: Some(("TLSv1.3", Some("a.example"))),
            trace,
            ..access()
        };
        let json: serde_json::Value = serde_json::from_str(&line(Format::Json, &full)).unwrap();
        for (name, expect) in [
            ("time", "2000-10-10T13:55:36.078Z"),
            ("client", "2001:db8::1"),
            ("user", "ada"),
            ("host", "www.example.org"),
            ("method", "GET"),
            ("target", "/a?b"),
            ("protocol", "HTTP/1.1"),
            ("upstream", "http://10.0.0.1:80"),
            ("route", "/api/*"),
            ("sni", "a.example"),
            ("tls", "TLSv1.3"),
            ("trace", "0af7651916cd43dd8448eb211c80319c"),
        ] {
            assert_eq!(json[name], expect, "{name}");
        }
        assert_eq!((&json["status"], &json["bytes"], &json["us"]), (&200.into(), &2326.into(), &41.into()));
        for (name, figure) in
            [("upstream_connect_us", 3), ("upstream_us", 9), ("upstream_status", 404), ("upstreams_before", 1)]
        {
            assert_eq!(json[name], figure, "{name}");
        }
        assert!(json.get("referer").is_none());
        let vain = Asked { connected: None, heard: None, before: 0, ..upstream };
        let json: serde_json::Value =
            serde_json::from_str(&line(Format::Json, &Access { upstream: Some(&vain), ..access() })).unwrap();
        assert!(json.get("upstream_us").is_none() && json["upstream"] == "http://10.0.0.1:80");
    }

    #[test]
    fn no_client_forges_a_line_or_moves_a_cursor() {
        let hostile = b"\"\r\n1.2.3.4 - - [x] \"GET / HTTP/1.1\" 200 1\n\x1b[2J\x9b\\\0\xff\xe2\x80\xae";
        for format in [Format::Common, Format::Combined, Format::Json] {
            let text = String::from_utf8_lossy(hostile);
            let upstream =
                Asked { upstream: (&*text).into(), began: Instant::now(), connected: None, heard: None, before: 0 };
            for place in 0..9 {
                let mut access = access();
                match place {
                    0 => access.user = Some(hostile),
                    1 => access.method = hostile,
                    2 => access.target = hostile,
                    3 => access.referer = Some(hostile),
                    4 => access.agent = Some(hostile),
                    5 => access.route = Some(&text),
                    6 => access.tls = Some(("TLSv1.3", Some(&text))),
                    7 => access.upstream = Some(&upstream),
                    _ => access.host = hostile,
                }
                let line = line(format, &access);
                assert_eq!(line.matches('\n').count(), 1, "{line:?}");
                assert!(line.chars().all(|letter| letter == '\n' || !letter.is_control()), "{line:?}");
                assert!(!line.contains('\u{202e}'), "{line:?}");
                if format == Format::Json {
                    let _: serde_json::Value = serde_json::from_str(&line).unwrap();
                } else {
                    let quotes = if format == Format::Common { 2 } else { 6 };
                    assert_eq!(line.matches('"').count(), quotes, "{line:?}");
                }
            }
        }
    }

    #[test]
    fn a_part_is_cut_at_its_bound() {
        for (length, kept) in [(PART_MOST, PART_MOST), (PART_MOST + 1, PART_MOST)] {
            let target = vec![b'a'; length];
            let line = line(Format::Common, &Access { target: &target, ..access() });
            assert_eq!(line.matches('a').count(), kept);
        }
    }
}

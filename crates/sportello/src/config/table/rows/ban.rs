//! Who guesses passwords.

use std::time::Duration;

use super::super::{Kind, Row};
use super::{PLAIN, any, optional};

const DAYS: Duration = Duration::from_secs(30 * 86_400);

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[Row {
    name: "ban",
    arguments: &[any("off", Kind::OneOf(&["off"]), "nobody is banned")],
    properties: &[
        optional("failures", Kind::Count(1, 100), "10", "wrong passwords of one IPv4 address or IPv6 /64 …"),
        optional("within", Kind::Time(Duration::from_secs(1), DAYS), "\"10min\"", "… in this time …"),
        optional("for", Kind::Time(Duration::from_secs(1), DAYS), "\"1h\"", "… and it is not heard for so long"),
    ],
    doc: "When whoever guesses passwords is not heard any more, on any channel: new connections are closed at once. This machine itself is never banned, nor are trusted-proxies and those who introduce others (proxy-protocol). sportello bans lists who is, and lifts it.",
    default: "failures=10 within=\"10min\" for=\"1h\"",
    example: "ban failures=10 within=\"10min\" for=\"1h\"",
    ..PLAIN
}];

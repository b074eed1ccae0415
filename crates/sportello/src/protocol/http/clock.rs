//! The date of an answer, written once per second and thread.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use sportello_wire::date::imf_fixdate;

/// One second, as a number and as text.
#[derive(Clone, Copy)]
pub(super) struct Second {
    /// Since 1970.
    pub(super) unix: u64,
    /// IMF-fixdate (RFC 9110 §5.6.7).
    pub(super) date: [u8; 29],
}

thread_local! {
    static LATEST: Cell<Second> = const { Cell::new(Second { unix: 0, date: *b"Thu, 01 Jan 1970 00:00:00 GMT" }) };
}

/// The present second. A clock before 1970 shows 1970.
pub(super) fn second() -> Second {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let latest = LATEST.get();
    if latest.unix == unix {
        return latest;
    }
    let second = Second { unix, date: imf_fixdate(unix) };
    LATEST.set(second);
    second
}

//! Numbers as people read them: bytes, durations, moments.

use sportello_wire::date::Civil;

use crate::figure;

/// `17 B`, `4.2 KB`, `50 MB`: powers of 1000, two digits at least.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let (mut value, mut unit) = (count as f64, "B");
    for larger in UNITS {
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / 1000.0, larger);
    }
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// `83 µs`, `4.2 ms`, `17 s`, `3 min`, `2 h`, `5 d`.
pub(super) fn microseconds(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} µs"),
        1_000..10_000 => format!("{:.1} ms", count as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", count / 1_000),
        _ => milliseconds(count / 1_000),
    }
}

/// `420 ms`, `17 s`, `3 min`, `2 h`, `5 d`.
pub(super) fn milliseconds(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} ms"),
        1_000..10_000 => format!("{:.1} s", count as f64 / 1e3),
        10_000..120_000 => format!("{} s", count / 1_000),
        120_000..7_200_000 => format!("{} min", count / 60_000),
        7_200_000..172_800_000 => format!("{} h", count / 3_600_000),
        _ => format!("{} d", count / 86_400_000),
    }
}

/// `1 234 567`: groups of three, parted by a narrow space.
pub(super) fn grouped(count: u64) -> String {
    figure::grouped(count, '\u{202f}')
}

/// `2026-11-23 04:05` in UTC; the page's script turns it into the reader's time.
pub(super) fn minute(unix_ms: u64) -> String {
    let civil = Civil::from_unix(unix_ms / 1000);
    format!("{:04}-{:02}-{:02} {:02}:{:02}", civil.year, civil.month, civil.day, civil.hour, civil.minute)
}

/// `04:05:06` in UTC.
pub(super) fn second(unix_ms: u64) -> String {
    let civil = Civil::from_unix(unix_ms / 1000);
    format!("{:02}:{:02}:{:02}", civil.hour, civil.minute, civil.second)
}

/// RFC 3339, for machines.
pub(super) fn rfc3339(unix_ms: u64) -> String {
    let text = sportello_wire::date::rfc3339(unix_ms / 1000, u16::try_from(unix_ms % 1000).unwrap_or(0));
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 KB"),
            (9_949, "9.9 KB"),
            (9_950, "10 KB"),
            (999_499, "999 KB"),
            (999_500, "1.0 MB"),
            (u64::MAX, "18 EB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        for (count, text) in
            [(83, "83 µs"), (4_200, "4.2 ms"), (42_000, "42 ms"), (1_500_000, "1.5 s"), (u64::MAX, "213503982 d")]
        {
            assert_eq!(microseconds(count), text);
        }
        for (count, text) in [(0, "0 ms"), (119_999, "119 s"), (120_000, "2 min"), (7_200_000, "2 h")] {
            assert_eq!(milliseconds(count), text);
        }
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1\u{202f}000"), (1_234_567, "1\u{202f}234\u{202f}567")] {
            assert_eq!(grouped(count), text);
        }
        assert_eq!((minute(784_111_777_250), second(784_111_777_250)), ("1994-11-06 08:49".into(), "08:49:37".into()));
        assert_eq!(rfc3339(784_111_777_250), "1994-11-06T08:49:37.250Z");
    }
}

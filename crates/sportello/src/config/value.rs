//! Values with a unit or a form, from text: durations, sizes, hosts.
//!
//! Each is written in one way, checked here, once.

use std::time::Duration;

/// `"30s"`, `"500ms"`, `"5min"`, `"1h"`, `"2d"`: a whole number and a unit. `None` also where it is too long to be meant.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// `"0"`, `"512B"`, `"64KiB"`, `"25MiB"`, `"1GiB"`, and `kB`, `MB`, `GB` in thousands: bytes.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let bytes = match unit {
        "B" => 1,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "" if number == 0 => 1,
        _ => return None,
    };
    number.checked_mul(bytes)
}

/// A duration as it is written.
pub fn duration_text(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)] {
        if milliseconds >= length && milliseconds.is_multiple_of(length) {
            return format!("{}{unit}", milliseconds / length);
        }
    }
    format!("{milliseconds}ms")
}

/// A size as it is written.
pub fn size_text(bytes: u64) -> String {
    for (unit, length) in [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= length && bytes.is_multiple_of(length) {
            return format!("{}{unit}", bytes / length);
        }
    }
    format!("{bytes}B")
}

/// A host's name in lower case (RFC 1123 §2.1): labels of letters, digits and inner hyphens.
pub fn host(text: &str) -> Option<String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let good = text.len() <= 253 && text.split('.').all(label);
    good.then(|| text.to_ascii_lowercase())
}

/// A short name for people, logs and figures: letters, digits, `-`, `_` and `.`, beginning with a letter.
pub fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check =
            |text: &str, expect: Option<u64>| assert_eq!(duration(text), expect.map(Duration::from_millis), "{text}");
        check("500ms", Some(500));
        check("30s", Some(30_000));
        check("5min", Some(300_000));
        check("1h", Some(3_600_000));
        check("2d", Some(172_800_000));
        for wrong in
            ["", "30", "s", "-1s", "1.5s", "1 s", "1m", "1S", "99999999999999999999s", "18446744073709551615d", "ä"]
        {
            check(wrong, None);
        }
        for text in ["1ms", "30s", "90s", "5min", "36h", "2d"] {
            assert_eq!(duration_text(duration(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes() {
        let check = |text: &str, expect: Option<u64>| assert_eq!(size(text), expect, "{text}");
        check("0", Some(0));
        check("1B", Some(1));
        check("25MiB", Some(25 << 20));
        check("3kB", Some(3_000));
        check("16777215TiB", Some(16_777_215 << 40));
        for wrong in ["", "1", "MiB", "1M", "1mb", "-1B", "1.5MiB", "16777216TiB", "1 KiB"] {
            check(wrong, None);
        }
        for text in ["1B", "1000B", "64KiB", "25MiB", "1GiB", "3TiB", "0B"] {
            assert_eq!(size_text(size(text).unwrap()), text);
        }
    }

    #[test]
    fn hosts_and_names() {
        assert_eq!(host("WWW.Example.org").unwrap(), "www.example.org");
        assert!(host("localhost").is_some() && host("127.0.0.1").is_some() && host("xn--bcher-kva.example").is_some());
        assert!(host(&format!("{}.a", "x".repeat(63))).is_some());
        for wrong in ["", ".", "a..b", "a.", "-a.b", "a-.b", "a b", "ä.example", "a/b", &"x".repeat(64), "*.a"] {
            assert!(host(wrong).is_none(), "{wrong}");
        }
        assert!(is_name("web-1") && is_name(&"x".repeat(64)));
        assert!(!is_name("") && !is_name("1a") && !is_name("a b") && !is_name(&"x".repeat(65)));
    }
}

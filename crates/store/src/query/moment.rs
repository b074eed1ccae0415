//! A date, or a date and a time, as a number.

/// Milliseconds since 1970 of `2026-07-31`, `2026/07/31`, `2026-07-31 14:30`, `2026-07-31T14:30:59`, each with `Z` or
/// an offset such as `+02:00` after the time. A date alone is its first moment; what says no offset is UTC.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time.trim())),
        None => (text, None),
    };
    let mut parts = date.split(if date.contains('/') { '/' } else { '-' });
    let year = number(parts.next()?, 4, 1970..=9999)?;
    let month = number(parts.next()?, 2, 1..=12)?;
    let day = number(parts.next()?, 2, 1..=days_in(year, month))?;
    if parts.next().is_some() {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + time.map_or(Some(0), seconds_of)?;
    Some(seconds * 1000)
}

/// Seconds since midnight UTC.
fn seconds_of(time: &str) -> Option<i64> {
    let (clock, offset) = match time.find(['+', '-', 'Z', 'z']) {
        Some(at) => time.split_at(at),
        None => (time, "Z"),
    };
    let mut parts = clock.split(':');
    let hour = number(parts.next()?, 2, 0..=23)?;
    let minute = number(parts.next()?, 2, 0..=59)?;
    let second = parts.next().map_or(Some(0), |part| number(part, 2, 0..=59))?;
    if parts.next().is_some() {
        return None;
    }
    let ahead = match offset.split_at(1) {
        ("Z" | "z", "") => 0,
        (sign, offset) => {
            let (hours, minutes) = offset.split_once(':')?;
            let ahead = number(hours, 2, 0..=23)? * 3600 + number(minutes, 2, 0..=59)? * 60;
            if sign == "-" { -ahead } else { ahead }
        }
    };
    Some(hour * 3600 + minute * 60 + second - ahead)
}

fn number(text: &str, digits: usize, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let plain = (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| plain && range.contains(number))
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// In the Gregorian calendar; years here have four digits, so nothing overflows.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // The year begins in March, so that the leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn dates_and_times() {
        for (text, expect) in [
            ("1970-01-01", Some(0)),
            ("2000-02-29", Some(951_782_400_000)),
            ("2000/03/01", Some(951_868_800_000)),
            ("2026-7-4", Some(1_783_123_200_000)),
            ("9999-12-31", Some(253_402_214_400_000)),
            ("1970-01-01 00:01", Some(60_000)),
            ("1970-01-01T23:59:59Z", Some(86_399_000)),
            ("1970-01-02T01:00+02:00", Some(82_800_000)),
            ("1970-01-01t00:00:00-01:30", Some(5_400_000)),
            ("1969-12-31", None),
            ("2026-02-29", None),
            ("2100-02-29", None),
            ("2026-13-01", None),
            ("2026-00-01", None),
            ("2026-01-32", None),
            ("2026-01", None),
            ("2026-01-01-01", None),
            ("2026-01/01", None),
            ("12026-01-01", None),
            ("2026-01-01T", None),
            ("2026-01-01 24:00", None),
            ("2026-01-01 12:60", None),
            ("2026-01-01 12", None),
            ("2026-01-01 12:00+2", None),
            ("2026-01-01 12:00Zulu", None),
            ("+026-01-01", None),
            ("yesterday", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(parse(text), expect, "{text:?}");
        }
    }
}

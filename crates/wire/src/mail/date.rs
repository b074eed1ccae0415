//! The Date field of a message, as people's software has written it since 1982 (RFC 5322 §3.3 and §4.3).
//!
//! Knows no clock. Lenient, because it only sorts and shows: nothing is refused for its date.

use crate::date::Civil;

/// Seconds since 1970 (UTC), or `None` where there is no date in it, or none after 1969.
pub fn parse(text: &[u8]) -> Option<u64> {
    let text: Vec<u8> = without_comments(text);
    let text = std::str::from_utf8(&text).ok()?;
    let mut words = text.split(|character: char| character.is_ascii_whitespace() || character == ',');
    let mut words = words.by_ref().filter(|word| !word.is_empty()).peekable();
    if words.peek()?.starts_with(|first: char| first.is_ascii_alphabetic()) {
        words.next(); // the day of the week, which the rest says again
    }
    let day = number(words.next()?, 2)?;
    let month = month(words.next()?)?;
    let year = year(words.next()?)?;
    let mut clock = words.next()?.split(':');
    let (hour, minute) = (number(clock.next()?, 2)?, number(clock.next()?, 2)?);
    let second = clock.next().map_or(Some(0), |second| number(second, 2))?;
    let offset = words.next().map_or(Some(0), offset)?;
    let civil = Civil {
        year,
        month,
        day: u8::try_from(day).ok()?,
        hour: u8::try_from(hour).ok()?,
        minute: u8::try_from(minute).ok()?,
        second: u8::try_from(second).ok()?,
        weekday: 0,
    };
    civil.to_unix()?.checked_add_signed(-offset)
}

/// At most the first 128 bytes: no date is longer. Comments nest (RFC 5322 §3.2.2).
fn without_comments(text: &[u8]) -> Vec<u8> {
    let mut depth = 0_u32;
    let keep = |byte: &u8| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    };
    text.iter().take(128).copied().filter(keep).collect()
}

fn number(text: &str, most_digits: usize) -> Option<u16> {
    let fits = !text.is_empty() && text.len() <= most_digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

fn month(name: &str) -> Option<u8> {
    let names = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let name = name.get(..3)?.to_ascii_lowercase();
    (1..).zip(names).find_map(|(number, known)| (known == name).then_some(number))
}

/// RFC 5322 §4.3: two digits below 50 are in this century, two or three others count from 1900.
fn year(text: &str) -> Option<u16> {
    let year = number(text, 4)?;
    match text.len() {
        2 if year < 50 => Some(2000 + year),
        2 | 3 => Some(1900 + year),
        4 => Some(year),
        _ => None,
    }
}

/// Seconds east of Greenwich. A name that is not in RFC 5322 §4.3 counts as `-0000`, as that section says.
fn offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return Some(zone(text) * 3_600),
    };
    let both = i64::from(number(digits, 4).filter(|_| digits.len() == 4)?);
    Some(sign * (both / 100 * 3_600 + both % 100 * 60))
}

fn zone(name: &str) -> i64 {
    match name.to_ascii_uppercase().as_str() {
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_they_are_written() {
        for (text, expect) in [
            ("Sun, 6 Nov 1994 08:49:37 +0000", Some(784_111_777)),
            ("Sun, 06 Nov 1994 09:49:37 +0100", Some(784_111_777)),
            ("Sun, 06 Nov 1994 03:19:37 -0530 (IST)", Some(784_111_777)),
            ("6 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("6 Nov 94 00:49:37 PST", Some(784_111_777)),
            ("  Sun ,6  Nov (a (nested) comment) 1994\t08:49:37 ZZZ", Some(784_111_777)),
            ("Sun, 6 Nov 1994 08:49 +0000", Some(784_111_740)),
            ("Sun, 6 Nov 1994 08:49:37", Some(784_111_777)),
            ("Thu, 1 Jan 1970 00:00:00 +0000", Some(0)),
            ("Thu, 1 Jan 1970 00:00:00 +0001", None),
            ("Sat, 31 Dec 9999 23:59:59 -9999", Some(253_402_300_799 + 99 * 3_600 + 99 * 60)),
            ("Sun, 31 Feb 1994 08:49:37 +0000", None),
            ("Sun, 6 Nov 1994 25:49:37 +0000", None),
            ("Sun, 6 Nov 1994 08:49:37 +00000", None),
            ("Sun, 6 Nov 19945 08:49:37 +0000", None),
            ("Sun, 6 Növ 1994 08:49:37 +0000", None),
            ("now", None),
            ("", None),
        ] {
            assert_eq!(parse(text.as_bytes()), expect, "{text}");
        }
        assert_eq!(parse(b"Sun, 6 Nov 1994 \xff"), None);
    }

    #[test]
    fn what_we_write_we_read() {
        for day in 0..30_000 {
            let seconds = day * 86_400 + 12_345;
            assert_eq!(parse(crate::date::mail_date(seconds).as_bytes()), Some(seconds));
        }
    }
}

//! Dates as the protocols write them. Seconds since 1970-01-01T00:00:00Z in, text out, and back.
//!
//! Knows no clock and no time zone but UTC. The calendar is the proleptic Gregorian one; the algorithms are Howard Hinnant's
//! `days_from_civil` and `civil_from_days`.

/// A moment in UTC, split as a calendar and a clock show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// The year, 1970 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59; a leap second is not told apart.
    pub second: u8,
    /// 0 is Sunday.
    pub weekday: u8,
}

const DAY: u64 = 86_400;
/// 9999-12-31T23:59:59Z, the last second with a four-digit year.
const LAST: u64 = 253_402_300_799;
const WEEKDAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

impl Civil {
    /// The calendar's view of `seconds` since 1970 (UTC); beyond the year 9999 the last second of it.
    pub fn from_unix(seconds: u64) -> Self {
        let seconds = seconds.min(LAST);
        let (days, rest) = (seconds / DAY, seconds % DAY);
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_shifted = (5 * day_of_year + 2) / 153;
        let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
        Self {
            year: (year_of_era + era * 400 + u64::from(month <= 2)) as u16,
            month: month as u8,
            day: (day_of_year - (153 * month_shifted + 2) / 5 + 1) as u8,
            hour: (rest / 3_600) as u8,
            minute: (rest / 60 % 60) as u8,
            second: (rest % 60) as u8,
            weekday: ((days + 4) % 7) as u8,
        }
    }

    /// Seconds since 1970, or `None` where the date does not exist or lies before 1970.
    pub fn to_unix(self) -> Option<u64> {
        let leap = self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let length = match self.month {
            2 => 28 + u8::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if self.year < 1970
            || self.day == 0
            || self.day > length
            || self.hour > 23
            || self.minute > 59
            || self.second > 60
        {
            return None;
        }
        let year = u64::from(self.year) - u64::from(self.month <= 2);
        let era = year / 400;
        let year_of_era = year % 400;
        let month_shifted = u64::from(if self.month > 2 { self.month - 3 } else { self.month + 9 });
        let day_of_year = (153 * month_shifted + 2) / 5 + u64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let clock = u64::from(self.hour) * 3_600 + u64::from(self.minute) * 60 + u64::from(self.second);
        Some(days * DAY + clock)
    }

    fn weekday_name(self) -> &'static [u8; 3] {
        WEEKDAYS[usize::from(self.weekday % 7)]
    }

    fn month_name(self) -> &'static [u8; 3] {
        MONTHS[usize::from(self.month.clamp(1, 12) - 1)]
    }
}

/// An IMF-fixdate, 29 bytes: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
pub fn imf_fixdate(seconds: u64) -> [u8; 29] {
    let civil = Civil::from_unix(seconds);
    let mut text = *b"Sun, 06 Nov 1994 08:49:37 GMT";
    text[0..3].copy_from_slice(civil.weekday_name());
    two_digits(&mut text[5..7], civil.day);
    text[8..11].copy_from_slice(civil.month_name());
    two_digits(&mut text[12..14], (civil.year / 100) as u8);
    two_digits(&mut text[14..16], (civil.year % 100) as u8);
    two_digits(&mut text[17..19], civil.hour);
    two_digits(&mut text[20..22], civil.minute);
    two_digits(&mut text[23..25], civil.second);
    text
}

/// The date-time of a mail header in UTC: `Sun, 6 Nov 1994 08:49:37 +0000` (RFC 5322 §3.3).
pub fn mail_date(seconds: u64) -> String {
    let civil = Civil::from_unix(seconds);
    let name = |bytes: &'static [u8; 3]| std::str::from_utf8(bytes).unwrap_or_default();
    format!(
        "{}, {} {} {} {:02}:{:02}:{:02} +0000",
        name(civil.weekday_name()),
        civil.day,
        name(civil.month_name()),
        civil.year,
        civil.hour,
        civil.minute,
        civil.second
    )
}

/// As `asctime` has it, in UTC: `Sun Nov  6 08:49:37 1994` (RFC 4155, RFC 9110 §5.6.7).
pub fn asctime(seconds: u64) -> String {
    let civil = Civil::from_unix(seconds);
    let name = |bytes: &'static [u8; 3]| std::str::from_utf8(bytes).unwrap_or_default();
    format!(
        "{} {} {:>2} {:02}:{:02}:{:02} {}",
        name(civil.weekday_name()),
        name(civil.month_name()),
        civil.day,
        civil.hour,
        civil.minute,
        civil.second,
        civil.year
    )
}

/// RFC 3339 in UTC with milliseconds, 24 bytes: `1994-11-06T08:49:37.250Z`.
pub fn rfc3339(seconds: u64, milliseconds: u16) -> [u8; 24] {
    let civil = Civil::from_unix(seconds);
    let mut text = *b"1994-11-06T08:49:37.000Z";
    two_digits(&mut text[0..2], (civil.year / 100) as u8);
    two_digits(&mut text[2..4], (civil.year % 100) as u8);
    two_digits(&mut text[5..7], civil.month);
    two_digits(&mut text[8..10], civil.day);
    two_digits(&mut text[11..13], civil.hour);
    two_digits(&mut text[14..16], civil.minute);
    two_digits(&mut text[17..19], civil.second);
    let milliseconds = milliseconds.min(999);
    text[20] = b'0' + (milliseconds / 100) as u8;
    two_digits(&mut text[21..23], (milliseconds % 100) as u8);
    text
}

/// Reads any of the three dates that HTTP has had (RFC 9110 §5.6.7): IMF-fixdate, RFC 850 and asctime.
///
/// A two-digit year is read as RFC 9110 says: one that seems more than 50 years after `now` is in the past century.
pub fn parse_http_date(text: &[u8], now: u64) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let mut words = text.split_ascii_whitespace();
    let weekday = words.next()?;
    if let Some(name) = weekday.strip_suffix(',') {
        if name.len() > 3 {
            return rfc850(words, now);
        }
        let (day, month, year, clock) = (words.next()?, words.next()?, words.next()?, words.next()?);
        if text.len() != 29 || words.next()? != "GMT" || words.next().is_some() {
            return None;
        }
        return moment(number(year, 4)?, month, number(day, 2)?, clock);
    }
    let (month, day, clock, year) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    moment(number(year, 4)?, month, number(day, day.len().min(2))?, clock)
}

fn rfc850<'a>(mut words: impl Iterator<Item = &'a str>, now: u64) -> Option<u64> {
    let (date, clock) = (words.next()?, words.next()?);
    if words.next()? != "GMT" || words.next().is_some() {
        return None;
    }
    let mut parts = date.splitn(3, '-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let this_year = Civil::from_unix(now).year;
    let mut year = this_year / 100 * 100 + number(year, 2)?;
    if year > this_year + 50 {
        year -= 100;
    }
    moment(year, month, number(day, 2)?, clock)
}

fn moment(year: u16, month: &str, day: u16, clock: &str) -> Option<u64> {
    let month = MONTHS.iter().position(|name| name.as_slice() == month.as_bytes())? as u8 + 1;
    let mut parts = clock.splitn(3, ':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let civil = Civil {
        year,
        month,
        day: day as u8,
        hour: number(hour, 2)? as u8,
        minute: number(minute, 2)? as u8,
        second: number(second, 2)? as u8,
        weekday: 0,
    };
    civil.to_unix()
}

fn number(text: &str, digits: usize) -> Option<u16> {
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn two_digits(into: &mut [u8], value: u8) {
    into[0] = b'0' + value / 10 % 10;
    into[1] = b'0' + value % 10;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_the_rfcs_write_them() {
        assert_eq!(&imf_fixdate(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(mail_date(784_111_777), "Sun, 6 Nov 1994 08:49:37 +0000");
        assert_eq!(&rfc3339(784_111_777, 250), b"1994-11-06T08:49:37.250Z");
        assert_eq!(&imf_fixdate(u64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        for day in 0..146_097u64 {
            let civil = Civil::from_unix(day * DAY + 3_661);
            assert_eq!(civil.to_unix(), Some(day * DAY + 3_661), "day {day}");
        }
    }

    #[test]
    fn the_three_http_dates_are_read_and_others_are_not() {
        let now = 784_111_777;
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse_http_date(text.as_bytes(), now), Some(now), "{text}");
        }
        for text in [
            "",
            "Sun",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Sun, 06 Nov +994 08:49:37 GMT",
            "tomorrow",
        ] {
            assert_eq!(parse_http_date(text.as_bytes(), now), None, "{text}");
        }
        let in_2026 = 1_790_000_000;
        assert_eq!(parse_http_date(b"Sunday, 06-Nov-94 08:49:37 GMT", in_2026), Some(784_111_777));
        assert_eq!(
            parse_http_date(b"Sunday, 06-Nov-50 08:49:37 GMT", in_2026),
            parse_http_date(b"Sun, 06 Nov 2050 08:49:37 GMT", in_2026)
        );
    }
}

//! Points in time as logs carry them: nanoseconds since 1970 and RFC 3339 text, without a calendar library.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970-01-01T00:00:00Z; enough until the year 2262.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

const NANOS: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

// === impl Timestamp ===

impl Timestamp {
    /// The wall clock.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Appends Go's `RFC3339Nano`: the fraction has no trailing zeros and is absent when zero.
    pub fn write_nano(self, out: &mut Vec<u8>) {
        self.write_fixed(out);
        out.pop();
        while out.last() == Some(&b'0') {
            out.pop();
        }
        if out.last() == Some(&b'.') {
            out.pop();
        }
        out.push(b'Z');
    }

    /// Appends the form of `docker logs --timestamps`: always nine digits of fraction (30 bytes in all).
    pub fn write_fixed(self, out: &mut Vec<u8>) {
        let (seconds, nanos) = (self.0.div_euclid(NANOS), self.0.rem_euclid(NANOS));
        let (year, month, day) = civil_from_days(seconds.div_euclid(DAY));
        let second = seconds.rem_euclid(DAY);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        digits(&mut text[0..4], year);
        digits(&mut text[5..7], month);
        digits(&mut text[8..10], day);
        digits(&mut text[11..13], second / 3600);
        digits(&mut text[14..16], second / 60 % 60);
        digits(&mut text[17..19], second % 60);
        digits(&mut text[20..29], nanos);
        out.extend_from_slice(&text);
    }

    /// Go's `RFC3339Nano`, as a string.
    #[must_use]
    pub fn to_rfc3339_nano(self) -> String {
        let mut out = Vec::with_capacity(30);
        self.write_nano(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Reads RFC 3339 with any number of fraction digits (those beyond nine are ignored) and any offset.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() < 20 || text[4] != b'-' || text[7] != b'-' || !matches!(text[10], b'T' | b't' | b' ') {
            return None;
        }
        let (year, month, day) = (number(&text[0..4])?, number(&text[5..7])?, number(&text[8..10])?);
        let (hour, minute, second) = (number(&text[11..13])?, number(&text[14..16])?, number(&text[17..19])?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 24 || minute > 59 || second > 60 {
            return None;
        }
        let mut rest = &text[19..];
        let mut nanos = 0;
        if rest[0] == b'.' {
            let length = rest[1..].iter().take_while(|b| b.is_ascii_digit()).count();
            let kept = length.min(9);
            nanos = number(&rest[1..1 + kept])? * 10_i64.pow(9 - kept as u32);
            rest = &rest[1 + length..];
        }
        let offset = match rest {
            [b'Z' | b'z'] => 0,
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let seconds = number(&[*h1, *h2])? * 3600 + number(&[*m1, *m2])? * 60;
                if *sign == b'-' { -seconds } else { seconds }
            }
            _ => return None,
        };
        let seconds = days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
        Some(Self(seconds.checked_mul(NANOS)?.checked_add(nanos)?))
    }
}

fn digits(out: &mut [u8], mut value: i64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn number(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
}

/// Days since 1970-01-01 to year, month, day in the proleptic Gregorian calendar: eras of 400 years that
/// begin on the first of March, so that the leap day is the last of its year.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(time: Timestamp) -> String {
        let mut out = Vec::new();
        time.write_fixed(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    #[test]
    fn writes_both_forms() {
        for (nanos, nano, nine) in [
            (0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000000Z"),
            (1_709_210_096_120_000_000, "2024-02-29T12:34:56.12Z", "2024-02-29T12:34:56.120000000Z"),
            (1_735_689_599_000_000_001, "2024-12-31T23:59:59.000000001Z", "2024-12-31T23:59:59.000000001Z"),
            (-1, "1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(Timestamp(nanos).to_rfc3339_nano(), nano);
            assert_eq!(fixed(Timestamp(nanos)), nine);
            assert_eq!(Timestamp::parse(nano.as_bytes()), Some(Timestamp(nanos)));
            assert_eq!(Timestamp::parse(nine.as_bytes()), Some(Timestamp(nanos)));
        }
    }

    #[test]
    fn reads_offsets_and_refuses_the_rest() {
        let parse = |text: &str| Timestamp::parse(text.as_bytes()).map(|t| t.0);
        assert_eq!(parse("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parse("1969-12-31T23:30:00.5-00:30"), Some(500_000_000));
        for bad in ["", "1970-01-01T00:00:00", "1970-13-01T00:00:00Z", "1970-01-01T00:00:00.5", "x970-01-01T00:00:00Z"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_round_trips() {
        for day in -150_000..80_000 {
            let (year, month, date) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, date), day);
        }
    }
}

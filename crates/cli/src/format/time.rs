//! Times as Docker's texts show them.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// Seconds since the epoch in local time, as Go prints a time (`2006-01-02 15:04:05 -0700 MST`).
#[must_use]
pub fn go_string(seconds: i64) -> String {
    let Ok(time) = Timestamp::from_second(seconds) else { return String::new() };
    let local = time.to_zoned(TimeZone::system());
    strtime::format("%Y-%m-%d %H:%M:%S %z %Z", &local).unwrap_or_default()
}

/// Seconds since the epoch in local time, as RFC 3339 (`2006-01-02T15:04:05Z`).
#[must_use]
pub fn rfc3339(seconds: i64) -> String {
    let stamp = event_stamp(seconds.saturating_mul(1_000_000_000));
    stamp.replacen(".000000000", "", 1)
}

/// An RFC 3339 text as Go prints the time, in UTC; other texts come back as they are.
#[must_use]
pub fn go_string_of(text: &str) -> String {
    let Ok(time) = text.parse::<Timestamp>() else { return text.to_owned() };
    let fraction = match time.subsec_nanosecond() {
        0 => String::new(),
        nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    };
    let utc = time.to_zoned(TimeZone::UTC);
    let base = strtime::format("%Y-%m-%d %H:%M:%S", &utc).unwrap_or_default();
    format!("{base}{fraction} +0000 UTC")
}

/// Nanoseconds since the epoch in local time with nine digits and the offset (`2006-01-02T15:04:05.000000000-07:00`).
#[must_use]
pub fn event_stamp(nanoseconds: i64) -> String {
    let Ok(time) = Timestamp::from_nanosecond(i128::from(nanoseconds)) else { return String::new() };
    let local = time.to_zoned(TimeZone::system());
    let base = strtime::format("%Y-%m-%dT%H:%M:%S", &local).unwrap_or_default();
    let offset = match local.offset().seconds() {
        0 => "Z".to_owned(),
        _ => strtime::format("%:z", &local).unwrap_or_default(),
    };
    format!("{base}.{:09}{offset}", nanoseconds.rem_euclid(1_000_000_000))
}

/// An RFC 3339 text in the short form of `ctime` (`Mon Jan  2 15:04:05 2006`); other texts come back as they are.
#[must_use]
pub fn ansi_c(text: &str) -> String {
    let Ok(time) = text.parse::<Timestamp>() else { return text.to_owned() };
    strtime::format("%a %b %e %H:%M:%S %Y", &time.to_zoned(TimeZone::UTC)).unwrap_or_default()
}

/// Seconds from `then` to now.
#[must_use]
pub fn since(then: i64) -> i64 {
    Timestamp::now().as_second() - then
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_times_as_go_does() {
        assert_eq!(go_string_of("2026-05-07T21:09:36.5Z"), "2026-05-07 21:09:36.5 +0000 UTC");
        assert_eq!(ansi_c("2026-05-07T21:09:36.000000000+00:00"), "Thu May  7 21:09:36 2026");
        assert_eq!(ansi_c("unknown"), "unknown");
    }
}

//! `--since` and `--until`: a time, or how long ago.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use types::parse_go_duration;

/// Reads a duration ago, an RFC 3339 time (with or without zone), a date, or seconds since the epoch, into
/// `seconds.nanoseconds`.
///
/// # Errors
/// Docker's text.
pub fn timestamp(text: &str) -> Result<String, String> {
    let bad = || format!("failed to parse value as time or duration: {text:?}");
    if let Some(ago) = text.strip_prefix('-').or(Some(text)).and_then(|positive| parse_go_duration(positive).ok()) {
        if text == "0" {
            return Ok("0".to_owned());
        }
        let ago = SignedDuration::try_from(ago).map_err(|_| bad())?;
        let then = if text.starts_with('-') { Timestamp::now() + ago } else { Timestamp::now() - ago };
        return Ok(shown(then));
    }
    let plain = text.split_once('.').map_or(text, |(whole, _)| whole);
    if !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(shown(time));
    }
    let local = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)));
    let zoned = local.map_err(|_| bad())?.to_zoned(TimeZone::system()).map_err(|_| bad())?;
    Ok(shown(zoned.timestamp()))
}

fn shown(time: Timestamp) -> String {
    format!("{}.{:09}", time.as_second(), time.subsec_nanosecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_and_durations() {
        assert_eq!(timestamp("2013-01-02T13:23:37Z"), Ok("1357133017.000000000".to_owned()));
        assert_eq!(timestamp("2013-01-02T13:23:37.5+01:00"), Ok("1357129417.500000000".to_owned()));
        assert_eq!(timestamp("1357133017.25"), Ok("1357133017.25".to_owned()));
        assert!(timestamp("10m").is_ok() && timestamp("2013-01-02").is_ok());
        assert_eq!(timestamp("foo"), Err("failed to parse value as time or duration: \"foo\"".to_owned()));
    }
}

//! Points in time and counts of lines.

use jiff::Timestamp;

use crate::failure::Failure;

/// `seconds[.nanoseconds]`, RFC 3339, or a Go duration back from `now`. Absent and `0` are `None`.
///
/// # Errors
/// 400 for anything else.
pub fn seconds_and_nanos(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = text.filter(|text| *text != "0") else { return Ok(None) };
    let moment = unix(text).or_else(|| text.parse().ok()).or_else(|| {
        let back = types::parse_go_duration(text).ok()?;
        now.checked_sub(back).ok()
    });
    moment.map(Some).ok_or_else(|| Failure::invalid(format!("failed to parse value {text:?} as a time or duration")))
}

fn unix(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    Timestamp::new(seconds.parse().ok()?, nanos).ok()
}

/// How many lines from the end; everything that is not a count means all.
#[must_use]
pub fn tail(text: Option<&str>) -> Option<u64> {
    text.and_then(|text| text.parse().ok())
}

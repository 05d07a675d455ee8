//! Checks of flag values by kind. Error texts are Go's, because scripts and people know them.

use types::parse_go_duration;

use super::Check;
use crate::options::size;

/// The check for a kind of value. Kinds that this table does not know take any text.
pub(super) const fn of_kind(kind: &str) -> Check {
    match kind.as_bytes() {
        b"int" => integer,
        b"uint" | b"uint16" => unsigned,
        b"duration" => duration,
        b"bytes" => bytes,
        b"filter" => filter,
        _ => anything,
    }
}

/// Go's `strconv.ParseBool`.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

pub(super) fn boolean(text: &str) -> Result<(), String> {
    parse_bool(text).map(|_| ()).ok_or_else(|| format!("strconv.ParseBool: parsing {text:?}: invalid syntax"))
}

fn anything(_: &str) -> Result<(), String> {
    Ok(())
}

fn integer(text: &str) -> Result<(), String> {
    text.parse::<i64>().map(|_| ()).map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
}

fn unsigned(text: &str) -> Result<(), String> {
    text.parse::<u64>().map(|_| ()).map_err(|_| format!("strconv.ParseUint: parsing {text:?}: invalid syntax"))
}

fn duration(text: &str) -> Result<(), String> {
    // Go reports a missing unit and an unknown one with their own words.
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && text != "0" {
        return Err(format!("time: missing unit in duration {text:?}"));
    }
    let positive = text.strip_prefix('-').unwrap_or(text);
    parse_go_duration(positive).map(|_| ()).map_err(|_| format!("time: invalid duration {text:?}"))
}

fn bytes(text: &str) -> Result<(), String> {
    if text == "-1" { Ok(()) } else { size::parse(text).map(|_| ()) }
}

fn filter(text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains('=') {
        return Ok(());
    }
    Err("bad format of filter (expected name=value)".to_owned())
}

//! The `local` driver's file format, which is Docker's: length, entry, length; lengths are 4 bytes big-endian.
//!
//! An entry is a protobuf message: 1 source (`stdout`), 2 time in nanoseconds since 1970, 3 text without its newline,
//! 4 true when it is a piece of a longer line, 5 the piece's place: 1 last, 2 id, 3 ordinal. The length behind an
//! entry lets a reader walk backwards.

use crate::decode::{Decoded, Shown, show};
use crate::query::{Query, Stream};
use crate::record::Record;
use crate::timestamp::Timestamp;

/// The bytes of a length.
pub(crate) const LENGTH: usize = 4;
/// Longer than any entry that is written; a length beyond it is no length.
const LONGEST: usize = 1 << 20;

/// Appends one entry.
pub(crate) fn encode(record: &Record<'_>, out: &mut Vec<u8>) {
    let before = out.len();
    out.extend_from_slice(&[0; LENGTH]);
    bytes(1, record.stream.name().as_bytes(), out);
    number(2, record.time.0 as u64, out);
    if !record.text.is_empty() {
        bytes(3, record.text, out);
    }
    if let Some(partial) = record.partial {
        number(4, 1, out);
        let mut place = Vec::with_capacity(72);
        if partial.last {
            number(1, 1, &mut place);
        }
        bytes(2, partial.id.as_bytes(), &mut place);
        number(3, partial.ordinal, &mut place);
        bytes(5, &place, out);
    }
    let length = ((out.len() - before - LENGTH) as u32).to_be_bytes();
    out[before..before + LENGTH].copy_from_slice(&length);
    out.extend_from_slice(&length);
}

/// The length of the whole entry at the start of `bytes`, lengths included; `None` when it is not there yet.
///
/// # Errors
/// What stands there is no entry.
pub(crate) fn entry_length(bytes: &[u8]) -> Result<Option<usize>, Damaged> {
    let Some(length) = bytes.first_chunk::<LENGTH>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length == 0 || length > LONGEST {
        return Err(Damaged);
    }
    let Some(closing) = bytes.get(LENGTH + length..2 * LENGTH + length) else { return Ok(None) };
    if closing == &bytes[..LENGTH] { Ok(Some(2 * LENGTH + length)) } else { Err(Damaged) }
}

/// The bytes at this place are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

/// Appends what the query wants of a whole entry (lengths included).
pub(crate) fn decode(entry: &[u8], query: &Query, out: &mut Vec<u8>) -> Decoded {
    let Some(shown) = entry.get(LENGTH..entry.len().saturating_sub(LENGTH)).and_then(parse) else {
        return Decoded::Skipped;
    };
    show(&shown, query, out)
}

/// The time of a whole entry.
pub(crate) fn time(entry: &[u8]) -> Option<Timestamp> {
    parse(entry.get(LENGTH..entry.len().saturating_sub(LENGTH))?)?.time
}

fn parse(mut message: &[u8]) -> Option<Shown<'_>> {
    let mut shown = Shown { stream: Stream::Stdout, time: None, text: b"", newline: true, details: b"" };
    while !message.is_empty() {
        match field(&mut message)? {
            (1, Value::Bytes(source)) if source == b"stderr" => shown.stream = Stream::Stderr,
            (2, Value::Number(nanos)) => shown.time = Some(Timestamp(nanos as i64)),
            (3, Value::Bytes(text)) => shown.text = text,
            (4, Value::Number(partial)) if partial != 0 => shown.newline = false,
            (5, Value::Bytes(mut place)) => {
                shown.newline = false;
                while !place.is_empty() {
                    if let (1, Value::Number(last)) = field(&mut place)? {
                        shown.newline = last != 0;
                    }
                }
            }
            _ => {}
        }
    }
    Some(shown)
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Takes one field off the front of a message.
fn field<'a>(message: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let key = varint(message)?;
    let value = match key & 7 {
        0 => Value::Number(varint(message)?),
        2 => {
            let length = usize::try_from(varint(message)?).ok()?;
            let (bytes, rest) = message.split_at_checked(length)?;
            *message = rest;
            Value::Bytes(bytes)
        }
        _ => return None,
    };
    Some((key >> 3, value))
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(id: u8, value: u64, out: &mut Vec<u8>) {
    out.push(id << 3);
    put_varint(value, out);
}

fn bytes(id: u8, value: &[u8], out: &mut Vec<u8>) {
    out.push(id << 3 | 2);
    put_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::record::Partial;

    #[test]
    fn entries_are_dockers() {
        let mut out = Vec::new();
        let time = Timestamp(300);
        encode(&Record { stream: Stream::Stdout, time, text: b"hi", partial: None }, &mut out);
        assert_eq!(out, b"\0\0\0\x0f\x0a\x06stdout\x10\xac\x02\x1a\x02hi\0\0\0\x0f");
        assert_eq!(entry_length(&out), Ok(Some(out.len())));
        assert_eq!(entry_length(&out[..out.len() - 1]), Ok(None));
        assert_eq!(entry_length(b"\xff\xff\xff\xff12345678"), Err(Damaged));
        let partial = Some(Partial { id: "7", ordinal: 3, last: false });
        out.clear();
        encode(&Record { stream: Stream::Stderr, time, text: b"x", partial }, &mut out);
        assert_eq!(out[4..out.len() - 4], *b"\x0a\x06stderr\x10\xac\x02\x1a\x01x\x20\x01\x2a\x05\x12\x017\x18\x03");
    }

    #[test]
    fn what_is_encoded_comes_back() {
        let query = Query { framed: false, ..Query::default() };
        for (partial, expected) in [
            (None, "text\n"),
            (Some(Partial { id: "a", ordinal: 1, last: false }), "text"),
            (Some(Partial { id: "a", ordinal: 2, last: true }), "text\n"),
        ] {
            let (mut entry, mut out) = (Vec::new(), Vec::new());
            encode(&Record { stream: Stream::Stdout, time: Timestamp(-5), text: b"text", partial }, &mut entry);
            assert_eq!(decode(&entry, &query, &mut out), Decoded::Written);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
            assert_eq!(time(&entry), Some(Timestamp(-5)));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_entry_breaks_the_decoder(entry: Vec<u8>) {
            let _ = entry_length(&entry);
            decode(&entry, &Query::default(), &mut Vec::new());
        }
    }
}

//! One json-file line to the bytes a client gets.
//!
//! Lines as Docker and Gantry write them take a path that copies each byte once, straight into the client's
//! buffer; any other JSON takes serde's.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::frame;
use crate::query::{Query, Stream};
use crate::timestamp::Timestamp;

const OPENING: &[u8] = b"{\"log\":\"";
/// A time in the `--timestamps` form and the blank after it.
const TIME_PREFIX: usize = 31;

/// What came of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// It is in the output.
    Written,
    /// The query does not want it, or it is not a log line at all.
    Skipped,
    /// It is later than the query's end.
    PastUntil,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    log: String,
    #[serde(default)]
    stream: String,
    time: Option<String>,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
}

/// What stands in a line besides the text.
struct Envelope<'a> {
    stream: Stream,
    time: &'a [u8],
}

/// Appends what the query wants of `line` (without its newline) to `out`.
pub(crate) fn decode(line: &[u8], query: &Query, out: &mut Vec<u8>) -> Decoded {
    let before = out.len();
    let decoded = match if query.details { None } else { quick(line, query, out) } {
        Some(decoded) => decoded,
        None => {
            out.truncate(before);
            thorough(line, query, out)
        }
    };
    if decoded != Decoded::Written {
        out.truncate(before);
    }
    decoded
}

/// `None` when the line does not have the usual shape; `out` may hold half an entry then.
fn quick(line: &[u8], query: &Query, out: &mut Vec<u8>) -> Option<Decoded> {
    let text = line.strip_prefix(OPENING)?;
    let before = out.len();
    reserve_prefix(query, out);
    let length = unescape(text, out)?;
    let envelope = envelope(&text[length..])?;
    let time =
        if query.since.is_some() || query.until.is_some() { Some(Timestamp::parse(envelope.time)?) } else { None };
    if let Some(other) = filter(query, envelope.stream, time) {
        return Some(other);
    }
    if query.timestamps {
        let at = before + if query.framed { frame::HEADER } else { 0 };
        fixed_time(envelope.time, &mut out[at..at + TIME_PREFIX])?;
    }
    if query.framed {
        frame::fill_header(&mut out[before..], envelope.stream);
    }
    Some(Decoded::Written)
}

fn thorough(line: &[u8], query: &Query, out: &mut Vec<u8>) -> Decoded {
    let Ok(line) = serde_json::from_slice::<Line>(line) else { return Decoded::Skipped };
    let stream = if line.stream == "stderr" { Stream::Stderr } else { Stream::Stdout };
    let time = line.time.as_deref().and_then(|text| Timestamp::parse(text.as_bytes()));
    let mut details = Vec::new();
    if query.details {
        write_details(&line.attrs, &mut details);
    }
    show(&Shown { stream, time, text: line.log.as_bytes(), newline: false, details: &details }, query, out)
}

/// An entry of whatever format, taken apart.
pub(crate) struct Shown<'a> {
    pub(crate) stream: Stream,
    pub(crate) time: Option<Timestamp>,
    pub(crate) text: &'a [u8],
    /// A newline follows the text.
    pub(crate) newline: bool,
    /// Escaped attributes.
    pub(crate) details: &'a [u8],
}

/// Appends what the query wants of an entry.
pub(crate) fn show(entry: &Shown<'_>, query: &Query, out: &mut Vec<u8>) -> Decoded {
    if let Some(other) = filter(query, entry.stream, entry.time) {
        return other;
    }
    let before = out.len();
    out.resize(before + if query.framed { frame::HEADER } else { 0 }, 0);
    if query.timestamps {
        entry.time.unwrap_or_default().write_fixed(out);
        out.push(b' ');
    }
    if query.details {
        out.extend_from_slice(entry.details);
        out.push(b' ');
    }
    out.extend_from_slice(entry.text);
    if entry.newline {
        out.push(b'\n');
    }
    if query.framed {
        frame::fill_header(&mut out[before..], entry.stream);
    }
    Decoded::Written
}

/// The time of a line, whatever else stands in it.
pub(crate) fn time(line: &[u8]) -> Option<Timestamp> {
    let line = serde_json::from_slice::<Line>(line).ok()?;
    Timestamp::parse(line.time?.as_bytes())
}

fn filter(query: &Query, stream: Stream, time: Option<Timestamp>) -> Option<Decoded> {
    if let (Some(time), Some(until)) = (time, query.until)
        && time > until
    {
        return Some(Decoded::PastUntil);
    }
    let wanted = match stream {
        Stream::Stdout => query.stdout,
        Stream::Stderr => query.stderr,
    };
    let early = matches!((time, query.since), (Some(time), Some(since)) if time < since);
    if !wanted || early { Some(Decoded::Skipped) } else { None }
}

fn reserve_prefix(query: &Query, out: &mut Vec<u8>) {
    let length = if query.framed { frame::HEADER } else { 0 } + if query.timestamps { TIME_PREFIX } else { 0 };
    out.extend_from_slice(&[0; frame::HEADER + TIME_PREFIX][..length]);
}

/// Appends the string that ends at the first bare quote; returns the quote's place.
fn unescape(text: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let mut at = 0;
    loop {
        let run = memchr::memchr2(b'"', b'\\', &text[at..])?;
        out.extend_from_slice(&text[at..at + run]);
        at += run;
        if text[at] == b'"' {
            return Some(at);
        }
        let plain = match text.get(at + 1)? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 0x08,
            b'f' => 0x0c,
            byte @ (b'"' | b'\\' | b'/') => *byte,
            b'u' => {
                let digits = std::str::from_utf8(text.get(at + 2..at + 6)?).ok()?;
                // A surrogate is no character: serde joins the pair.
                let character = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                at += 6;
                continue;
            }
            _ => return None,
        };
        out.push(plain);
        at += 2;
    }
}

/// Reads `","stream":"stdout","attrs":{…},"time":"…"}` (attrs may be absent).
fn envelope(rest: &[u8]) -> Option<Envelope<'_>> {
    let rest = rest.strip_prefix(b"\",\"stream\":\"std")?;
    let (stream, rest) = match rest {
        [b'o', b'u', b't', b'"', b',', rest @ ..] => (Stream::Stdout, rest),
        [b'e', b'r', b'r', b'"', b',', rest @ ..] => (Stream::Stderr, rest),
        _ => return None,
    };
    let rest = rest.strip_suffix(b"\"}")?;
    let time = match rest.strip_prefix(b"\"time\":\"") {
        Some(time) => time,
        None => {
            rest.strip_prefix(b"\"attrs\":{")?;
            let at = memchr::memmem::rfind(rest, b"},\"time\":\"")?;
            &rest[at + 10..]
        }
    };
    // Longer than RFC 3339 with nanoseconds and an offset, or with a quote inside: not ours.
    if time.len() > 35 || memchr::memchr2(b'"', b'\\', time).is_some() { None } else { Some(Envelope { stream, time }) }
}

/// `…:05.12Z` to `…:05.120000000Z` and a blank, without arithmetic.
fn fixed_time(time: &[u8], into: &mut [u8]) -> Option<()> {
    let body = time.strip_suffix(b"Z")?;
    if !(19..=29).contains(&body.len()) || (body.len() > 19 && body[19] != b'.') || body.len() == 20 {
        return None;
    }
    into.copy_from_slice(b"0000-00-00T00:00:00.000000000Z ");
    into[..body.len()].copy_from_slice(body);
    Some(())
}

/// `key=value,key=value` with Go's `url.QueryEscape` applied to both, as `docker logs --details` shows it.
fn write_details(attrs: &BTreeMap<String, String>, out: &mut Vec<u8>) {
    for (i, (key, value)) in attrs.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        query_escape(key, out);
        out.push(b'=');
        query_escape(value, out);
    }
}

fn query_escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte),
            b' ' => out.push(b'+'),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::encode::Encoder;

    fn raw() -> Query {
        Query { framed: false, ..Query::default() }
    }

    fn text(line: &str, query: &Query) -> String {
        let mut out = Vec::new();
        decode(line.as_bytes(), query, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    const USUAL: &str = r#"{"log":"a \u003cb\u003e\t\"c\"\n","stream":"stderr","time":"2024-02-29T12:34:56.12Z"}"#;
    const ATTRS: &str =
        r#"{"log":"x\n","stream":"stdout","attrs":{"k 1":"a&b","l":"é"},"time":"2024-02-29T12:34:56Z"}"#;

    #[test]
    fn shows_text_time_details_and_frames() {
        assert_eq!(text(USUAL, &raw()), "a <b>\t\"c\"\n");
        let timed = Query { timestamps: true, ..raw() };
        assert_eq!(text(USUAL, &timed), "2024-02-29T12:34:56.120000000Z a <b>\t\"c\"\n");
        assert_eq!(text(ATTRS, &raw()), "x\n");
        let all = Query { timestamps: true, details: true, ..raw() };
        assert_eq!(text(ATTRS, &all), "2024-02-29T12:34:56.000000000Z k+1=a%26b,l=%C3%A9 x\n");
        let framed = Query { timestamps: true, ..Query::default() };
        let mut out = Vec::new();
        assert_eq!(decode(ATTRS.as_bytes(), &framed, &mut out), Decoded::Written);
        assert_eq!(out, b"\x01\0\0\0\0\0\0\x212024-02-29T12:34:56.000000000Z x\n");
    }

    #[test]
    fn filters_by_stream_and_time() {
        let at = Timestamp::parse(b"2024-02-29T12:34:56.12Z");
        let mut out = Vec::new();
        let mut check = |query: Query, expected| assert_eq!(decode(USUAL.as_bytes(), &query, &mut out), expected);
        check(Query { stderr: false, ..raw() }, Decoded::Skipped);
        check(Query { since: at, until: at, ..raw() }, Decoded::Written);
        check(Query { since: at.map(|t| Timestamp(t.0 + 1)), ..raw() }, Decoded::Skipped);
        check(Query { until: at.map(|t| Timestamp(t.0 - 1)), ..raw() }, Decoded::PastUntil);
        check(Query { stderr: false, until: at.map(|t| Timestamp(t.0 - 1)), ..raw() }, Decoded::PastUntil);
        assert_eq!(out, b"a <b>\t\"c\"\n");
    }

    #[test]
    fn unusual_lines_are_read_too() {
        for line in [
            r#"{"time":"2024-02-29T13:34:56.12+01:00","stream":"stderr","log":"a"}"#,
            r#"{ "log": "a", "stream": "stderr", "time": "2024-02-29T12:34:56.12Z" }"#,
            r#"{"log":"a","stream":"stderr","time":"2024-02-29T12:34:56.12Z","extra":1}"#,
        ] {
            let timed = Query { timestamps: true, ..raw() };
            assert_eq!(text(line, &timed), "2024-02-29T12:34:56.120000000Z a", "{line}");
        }
        assert_eq!(text(r#"{"log":"\ud83d\ude00\n","stream":"stdout","time":"x"}"#, &raw()), "😀\n");
        for junk in ["", "{", "null", r#"{"log":"a"#, "\u{0}\u{0}"] {
            assert_eq!(text(junk, &raw()), "");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_encoded_comes_back(lines in proptest::collection::vec("\\PC{0,80}", 1..5)) {
            let mut written = Vec::new();
            let text = lines.join("\n") + "\n";
            Encoder::new(&BTreeMap::new()).append(Stream::Stdout, text.as_bytes(), Timestamp(1), &mut written);
            let mut quickly = Vec::new();
            let mut thoroughly = Vec::new();
            for line in written.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
                proptest::prop_assert_eq!(quick(line, &raw(), &mut quickly), Some(Decoded::Written));
                thorough(line, &raw(), &mut thoroughly);
            }
            proptest::prop_assert_eq!(&quickly, text.as_bytes());
            proptest::prop_assert_eq!(&thoroughly, text.as_bytes());
        }

        #[test]
        fn no_line_breaks_the_decoder(line: Vec<u8>) {
            decode(&line, &raw(), &mut Vec::new());
            let mut started = OPENING.to_vec();
            started.extend_from_slice(&line);
            decode(&started, &Query { timestamps: true, ..Query::default() }, &mut Vec::new());
        }
    }
}

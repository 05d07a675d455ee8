//! Bytes to Docker's json-file lines: `{"log":"…\n","stream":"stdout","time":"…"}`.
//!
//! Byte for byte what Docker's marshaller writes: `<`, `>`, `&` and control characters become `\u00XX` (but
//! `\n`, `\r`), U+2028 and U+2029 are escaped, and each byte that is not UTF-8 becomes `\ufffd`.

use std::collections::BTreeMap;

use crate::query::Stream;
use crate::splitter::Splitter;
use crate::timestamp::Timestamp;

const OPENING: &[u8] = b"{\"log\":\"";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Turns both streams into lines. Holds back what is not a whole line yet.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// `,"attrs":{…}` or nothing.
    attrs: Vec<u8>,
    splitter: Splitter,
    /// What follows the text of an entry, for the present stream and time.
    closing: Vec<u8>,
    last_time: Timestamp,
}

// === impl Encoder ===

impl Encoder {
    pub(crate) fn new(attrs: &BTreeMap<String, String>) -> Self {
        let mut text = Vec::new();
        if !attrs.is_empty() {
            text.extend_from_slice(b",\"attrs\":{");
            for (i, (key, value)) in attrs.iter().enumerate() {
                text.extend_from_slice(if i == 0 { b"\"" } else { b",\"" });
                escape(key.as_bytes(), &mut text);
                text.extend_from_slice(b"\":\"");
                escape(value.as_bytes(), &mut text);
                text.push(b'"');
            }
            text.push(b'}');
        }
        Self { attrs: text, splitter: Splitter::default(), closing: Vec::new(), last_time: Timestamp::default() }
    }

    /// Appends the lines that `bytes` complete to `out`. The time never goes backwards.
    pub(crate) fn append(&mut self, stream: Stream, bytes: &[u8], now: Timestamp, out: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        self.close_with(stream, now);
        let closing = &self.closing;
        self.splitter.append(stream, bytes, |text| entry(text, closing, out));
    }

    /// Appends what is held of a stream that has ended, without a newline.
    pub(crate) fn finish(&mut self, stream: Stream, now: Timestamp, out: &mut Vec<u8>) {
        if let Some(held) = self.splitter.finish(stream) {
            self.close_with(stream, now);
            entry(&held, &self.closing, out);
        }
    }

    /// Gives back memory that nothing uses at the moment.
    pub(crate) fn release(&mut self) {
        self.splitter.release();
    }

    fn close_with(&mut self, stream: Stream, now: Timestamp) {
        self.last_time = self.last_time.max(now);
        self.closing.clear();
        self.closing.extend_from_slice(b"\",\"stream\":\"");
        self.closing.extend_from_slice(stream.name().as_bytes());
        self.closing.push(b'"');
        self.closing.extend_from_slice(&self.attrs);
        self.closing.extend_from_slice(b",\"time\":\"");
        self.last_time.write_nano(&mut self.closing);
        self.closing.extend_from_slice(b"\"}\n");
    }
}

fn entry(text: &[u8], closing: &[u8], out: &mut Vec<u8>) {
    out.reserve(OPENING.len() + text.len() + 2 + closing.len());
    out.extend_from_slice(OPENING);
    escape(text, out);
    out.extend_from_slice(closing);
}

/// Appends `text` as the inside of a JSON string.
pub(crate) fn escape(mut text: &[u8], out: &mut Vec<u8>) {
    loop {
        let clean = clean_prefix(text);
        out.extend_from_slice(&text[..clean]);
        text = &text[clean..];
        let Some(first) = text.first() else { return };
        let length = if first.is_ascii() {
            escape_ascii(*first, out);
            1
        } else {
            escape_character(text, out)
        };
        text = &text[length..];
    }
}

fn escape_ascii(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        _ => {
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

/// Writes the non-ASCII run at the start of `text`, or one byte of it that is not UTF-8; returns its length.
fn escape_character(text: &[u8], out: &mut Vec<u8>) -> usize {
    let run = text.iter().take_while(|b| !b.is_ascii()).count();
    let valid = match std::str::from_utf8(&text[..run]) {
        Ok(run) => run,
        Err(error) => std::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or_default(),
    };
    if valid.is_empty() {
        out.extend_from_slice(b"\\ufffd");
        return 1;
    }
    for character in valid.chars() {
        match character {
            '\u{2028}' => out.extend_from_slice(b"\\u2028"),
            '\u{2029}' => out.extend_from_slice(b"\\u2029"),
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    valid.len()
}

/// The length of the prefix that goes unchanged into a JSON string. The inner loop has no early exit, so
/// that the compiler makes vector instructions of it.
fn clean_prefix(text: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let mut clean = 0;
    for block in text.chunks_exact(BLOCK) {
        if block.iter().fold(false, |found, byte| found | special(*byte)) {
            break;
        }
        clean += BLOCK;
    }
    clean + text[clean..].iter().position(|byte| special(*byte)).unwrap_or(text.len() - clean)
}

fn special(byte: u8) -> bool {
    !(0x20..0x80).contains(&byte) | (byte == b'"') | (byte == b'\\') | (byte == b'<') | (byte == b'>') | (byte == b'&')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::splitter::PIECE;

    fn encode(pieces: &[&[u8]]) -> String {
        let mut encoder = Encoder::new(&BTreeMap::new());
        let mut out = Vec::new();
        for piece in pieces {
            encoder.append(Stream::Stdout, piece, Timestamp(0), &mut out);
        }
        encoder.finish(Stream::Stdout, Timestamp(0), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_as_docker_does() {
        let line = encode(&[b"a\t\"b\" <&> \\ \r\x7f \xe2\x80\xa8 \xff\xc3 \xc3\xa9\x00\n"]);
        let log = r#"a\u0009\"b\" \u003c\u0026\u003e \\ \r"#.to_owned() + "\x7f" + r" \u2028 \ufffd\ufffd é\u0000\n";
        assert_eq!(line, format!("{{\"log\":\"{log}\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:00Z\"}}\n"));
    }

    #[test]
    fn lines_do_not_depend_on_how_they_arrive() {
        let text = b"one\ntwo two\n\nlast".as_slice();
        let whole = encode(&[text]);
        for cut in 0..text.len() {
            assert_eq!(encode(&[&text[..cut], &text[cut..]]), whole);
        }
        assert_eq!(whole.lines().count(), 4);
        assert!(whole.ends_with("{\"log\":\"last\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:00Z\"}\n"));
    }

    #[test]
    fn long_lines_come_in_pieces_of_16_kib() {
        for length in [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let mut text = vec![b'x'; length];
            text.push(b'\n');
            for cut in [0, 1, PIECE - 1, length] {
                let out = encode(&[&text[..cut], &text[cut..]]);
                let pieces: Vec<usize> = out
                    .lines()
                    .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
                    .map(|entry| entry["log"].as_str().unwrap().len())
                    .collect();
                assert_eq!(pieces.iter().sum::<usize>(), length + 1);
                assert!(pieces[..pieces.len() - 1].iter().all(|piece| *piece == PIECE), "{pieces:?}");
            }
        }
    }

    #[test]
    fn attributes_stand_between_stream_and_time() {
        let attrs = BTreeMap::from([("b".to_owned(), "<2>".to_owned()), ("a".to_owned(), "1".to_owned())]);
        let mut out = Vec::new();
        Encoder::new(&attrs).append(Stream::Stderr, b"x\n", Timestamp(0), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"log":"x\n","stream":"stderr","attrs":{"a":"1","b":"\u003c2\u003e"},"time":"1970-01-01T00:00:00Z"}"#
                .to_owned()
                + "\n"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_decode_to_what_a_lossy_reader_sees(bytes: Vec<u8>) {
            let mut json = b"\"".to_vec();
            escape(&bytes, &mut json);
            json.push(b'"');
            let back: String = serde_json::from_slice(&json).unwrap();
            let mut expected = String::new();
            for chunk in bytes.utf8_chunks() {
                expected.push_str(chunk.valid());
                expected.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
            }
            proptest::prop_assert_eq!(back, expected);
        }
    }
}

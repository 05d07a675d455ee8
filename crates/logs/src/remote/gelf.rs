//! GELF 1.1: a JSON object an entry, in datagrams (compressed, in chunks) or with a zero byte behind it on a stream.
//! Empty lines are not sent: GELF wants a message.

use std::collections::BTreeMap;
use std::io::Write as _;

use crate::encode::escape;
use crate::plan::Compression;
use crate::query::Stream;
use crate::record::Record;

/// The longest datagram; fits the usual Ethernet frame.
const DATAGRAM: usize = 1420;
/// Magic, identifier, number, count.
const CHUNK_HEADER: usize = 12;
/// More chunks than this no collector puts together.
const CHUNKS: usize = 128;

#[derive(Debug)]
pub(super) struct Gelf {
    opening: Vec<u8>,
    /// The fields that are the same in every entry, and the end.
    closing: Vec<u8>,
    compression: Option<Compression>,
    stream: bool,
}

// === impl Gelf ===

impl Gelf {
    pub(super) fn new(
        hostname: &str,
        extra: &BTreeMap<String, String>,
        compression: Option<Compression>,
        stream: bool,
    ) -> Self {
        let mut opening = b"{\"version\":\"1.1\",\"host\":\"".to_vec();
        escape(hostname.as_bytes(), &mut opening);
        opening.extend_from_slice(b"\",\"short_message\":\"");
        let mut closing = Vec::new();
        for (key, value) in extra {
            closing.extend_from_slice(b",\"");
            escape(key.as_bytes(), &mut closing);
            closing.extend_from_slice(b"\":\"");
            escape(value.as_bytes(), &mut closing);
            closing.push(b'"');
        }
        closing.push(b'}');
        Self { opening, closing, compression, stream }
    }

    pub(super) fn encode(&self, record: &Record<'_>, push: &mut impl FnMut(Vec<u8>)) {
        if record.text.is_empty() {
            return;
        }
        let mut out = Vec::with_capacity(self.opening.len() + record.text.len() + self.closing.len() + 64);
        out.extend_from_slice(&self.opening);
        escape(record.text, &mut out);
        let level = if record.stream == Stream::Stderr { 3 } else { 6 };
        let milliseconds = record.time.0.div_euclid(1_000_000);
        let fraction = format!(".{:03}", milliseconds.rem_euclid(1000));
        let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
        let seconds = milliseconds.div_euclid(1000);
        out.extend_from_slice(format!("\",\"timestamp\":{seconds}{fraction},\"level\":{level}").as_bytes());
        out.extend_from_slice(&self.closing);
        if self.stream {
            out.push(0);
            return push(out);
        }
        let datagram = match self.compression {
            None => out,
            Some(compression) => compress(&out, compression).unwrap_or(out),
        };
        if datagram.len() <= DATAGRAM {
            return push(datagram);
        }
        chunks(&datagram, record, push);
    }
}

fn chunks(datagram: &[u8], record: &Record<'_>, push: &mut impl FnMut(Vec<u8>)) {
    let parts = datagram.chunks(DATAGRAM - CHUNK_HEADER);
    let count = parts.len();
    if count > CHUNKS {
        return;
    }
    let mut id = record.time.0.to_be_bytes();
    let _ = rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::NONBLOCK);
    for (number, part) in parts.enumerate() {
        let mut chunk = Vec::with_capacity(CHUNK_HEADER + part.len());
        chunk.extend_from_slice(&[0x1e, 0x0f]);
        chunk.extend_from_slice(&id);
        chunk.extend_from_slice(&[number as u8, count as u8]);
        chunk.extend_from_slice(part);
        push(chunk);
    }
}

fn compress(bytes: &[u8], compression: Compression) -> std::io::Result<Vec<u8>> {
    let level = |level: i32| match u32::try_from(level) {
        Ok(level) => flate2::Compression::new(level),
        Err(_) => flate2::Compression::default(),
    };
    match compression {
        Compression::Gzip(at) => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level(at));
            encoder.write_all(bytes)?;
            encoder.finish()
        }
        Compression::Zlib(at) => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level(at));
            encoder.write_all(bytes)?;
            encoder.finish()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::Timestamp;

    #[test]
    fn long_entries_come_in_chunks() {
        let extra = BTreeMap::from([("_tag".to_owned(), "t".to_owned())]);
        let time = Timestamp(1_795_273_237_040_000_000);
        let mut out = Vec::new();
        let gelf = Gelf::new("vm", &extra, None, false);
        gelf.encode(&Record { stream: Stream::Stderr, time, text: b"a>b", partial: None }, &mut |part| out.push(part));
        let expected = "{\"version\":\"1.1\",\"host\":\"vm\",\"short_message\":\"a\\u003eb\",\
            \"timestamp\":1795273237.04,\"level\":3,\"_tag\":\"t\"}";
        assert_eq!(String::from_utf8_lossy(&out[0]), expected);
        out.clear();
        let text = vec![b'x'; 5000];
        gelf.encode(&Record { stream: Stream::Stdout, time, text: &text, partial: None }, &mut |part| out.push(part));
        assert!(out.len() == 4 && out.iter().all(|part| part.len() <= DATAGRAM && part[11] == 4));
        let whole: Vec<u8> = out.iter().flat_map(|part| part[CHUNK_HEADER..].to_vec()).collect();
        assert!(whole.starts_with(b"{\"version\"") && whole.ends_with(b"}"));
    }
}

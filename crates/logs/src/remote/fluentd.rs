//! Fluentd's forward protocol in message mode: `[tag, time, record, option]` in MessagePack.

use std::collections::BTreeMap;

use crate::record::Record;

#[derive(Debug)]
pub(super) struct Fluentd {
    /// The array's header and the tag.
    opening: Vec<u8>,
    /// The keys and values that are the same in every record.
    fields: Vec<u8>,
    /// How many these are.
    count: usize,
    sub_second: bool,
}

// === impl Fluentd ===

impl Fluentd {
    pub(super) fn new(tag: &str, fields: &BTreeMap<String, String>, sub_second: bool) -> Self {
        let mut opening = vec![0x94];
        string(tag.as_bytes(), &mut opening);
        let mut text = Vec::new();
        for (key, value) in fields {
            string(key.as_bytes(), &mut text);
            string(value.as_bytes(), &mut text);
        }
        Self { opening, fields: text, count: fields.len(), sub_second }
    }

    pub(super) fn encode(&self, record: &Record<'_>, push: &mut impl FnMut(Vec<u8>)) {
        let mut out = Vec::with_capacity(self.opening.len() + self.fields.len() + record.text.len() + 64);
        out.extend_from_slice(&self.opening);
        let seconds = record.time.0.div_euclid(1_000_000_000);
        if self.sub_second {
            // EventTime: extension type 0 of eight bytes.
            out.extend_from_slice(&[0xd7, 0]);
            out.extend_from_slice(&(seconds as u32).to_be_bytes());
            out.extend_from_slice(&(record.time.0.rem_euclid(1_000_000_000) as u32).to_be_bytes());
        } else {
            out.push(0xd3);
            out.extend_from_slice(&seconds.to_be_bytes());
        }
        map(self.count + 2 + if record.partial.is_some() { 4 } else { 0 }, &mut out);
        out.extend_from_slice(&self.fields);
        let mut pair = |key: &str, value: &[u8]| {
            string(key.as_bytes(), &mut out);
            string(value, &mut out);
        };
        pair("source", record.stream.name().as_bytes());
        pair("log", record.text);
        if let Some(partial) = record.partial {
            pair("partial_message", b"true");
            pair("partial_id", partial.id.as_bytes());
            pair("partial_ordinal", partial.ordinal.to_string().as_bytes());
            pair("partial_last", partial.last.to_string().as_bytes());
        }
        // No options.
        map(0, &mut out);
        push(out);
    }
}

fn map(length: usize, out: &mut Vec<u8>) {
    match u8::try_from(length) {
        Ok(length @ 0..16) => out.push(0x80 | length),
        _ => {
            out.push(0xde);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
}

fn string(text: &[u8], out: &mut Vec<u8>) {
    match text.len() {
        length @ 0..32 => out.push(0xa0 | length as u8),
        length @ 32..0x100 => out.extend_from_slice(&[0xd9, length as u8]),
        length @ 0x100..0x1_0000 => {
            out.push(0xda);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0xdb);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Stream;
    use crate::timestamp::Timestamp;

    #[test]
    fn events_are_message_pack() {
        let fields = BTreeMap::from([("k".to_owned(), "v".repeat(40))]);
        let mut out = Vec::new();
        let record = Record { stream: Stream::Stdout, time: Timestamp(5_000_000_007), text: b"hi", partial: None };
        Fluentd::new("x.y", &fields, true).encode(&record, &mut |message| out = message);
        let expected = [
            &b"\x94\xa3x.y\xd7\0\0\0\0\x05\0\0\0\x07\x83\xa1k\xd9\x28"[..],
            &[b'v'; 40],
            b"\xa6source\xa6stdout\xa3log\xa2hi\x80",
        ]
        .concat();
        assert_eq!(out, expected);
    }
}

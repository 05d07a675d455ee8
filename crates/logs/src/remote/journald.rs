//! journald's native protocol: a datagram an entry, `KEY=value` lines, a length before values with newlines.

use crate::query::Stream;
use crate::record::Record;

#[derive(Debug)]
pub(super) struct Journald {
    /// The fields that are the same in every entry.
    fields: Vec<u8>,
    /// The number of the last entry, which keeps the order of those with one time.
    ordinal: u64,
}

// === impl Journald ===

impl Journald {
    pub(super) fn new(fields: &[(String, String)]) -> Self {
        let mut text = Vec::new();
        for (key, value) in fields {
            field(key, value.as_bytes(), &mut text);
        }
        Self { fields: text, ordinal: 0 }
    }

    pub(super) fn encode(&mut self, record: &Record<'_>, push: &mut impl FnMut(Vec<u8>)) {
        self.ordinal += 1;
        let mut out = Vec::with_capacity(self.fields.len() + record.text.len() + 256);
        let priority = if record.stream == Stream::Stderr { "3" } else { "6" };
        field("MESSAGE", record.text, &mut out);
        field("PRIORITY", priority.as_bytes(), &mut out);
        out.extend_from_slice(&self.fields);
        field("CONTAINER_LOG_ORDINAL", self.ordinal.to_string().as_bytes(), &mut out);
        field("SYSLOG_TIMESTAMP", record.time.to_rfc3339_nano().as_bytes(), &mut out);
        if let Some(partial) = record.partial {
            field("CONTAINER_PARTIAL_ID", partial.id.as_bytes(), &mut out);
            field("CONTAINER_PARTIAL_ORDINAL", partial.ordinal.to_string().as_bytes(), &mut out);
            field("CONTAINER_PARTIAL_LAST", partial.last.to_string().as_bytes(), &mut out);
            if !partial.last {
                field("CONTAINER_PARTIAL_MESSAGE", b"true", &mut out);
            }
        }
        push(out);
    }
}

fn field(key: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(key.as_bytes());
    if memchr::memchr(b'\n', value).is_some() {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Partial;
    use crate::timestamp::Timestamp;

    #[test]
    fn entries_are_fields() {
        let mut journald = Journald::new(&[("A".to_owned(), "1\n2".to_owned())]);
        let partial = Some(Partial { id: "ff", ordinal: 1, last: false });
        let mut out = Vec::new();
        let record = Record { stream: Stream::Stderr, time: Timestamp(0), text: b"\xffx", partial };
        journald.encode(&record, &mut |message| out = message);
        let expected = b"MESSAGE=\xffx\nPRIORITY=3\nA\n\x03\0\0\0\0\0\0\x001\n2\nCONTAINER_LOG_ORDINAL=1\n\
            SYSLOG_TIMESTAMP=1970-01-01T00:00:00Z\nCONTAINER_PARTIAL_ID=ff\nCONTAINER_PARTIAL_ORDINAL=1\n\
            CONTAINER_PARTIAL_LAST=false\nCONTAINER_PARTIAL_MESSAGE=true\n";
        assert_eq!(out, expected);
    }
}

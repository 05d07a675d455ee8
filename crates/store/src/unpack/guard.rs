//! Stands between an archive and the tar library, for two things that the library does not do: what describes an entry
//! (PAX records, long names) is read into memory whole, so it must be bounded; and records are told apart by line
//! breaks, although values may have any bytes, as the capabilities of a program do. Everything else passes untouched.

use std::io::{self, Read};

const BLOCK: usize = 512;
/// As in Go's reader.
pub(crate) const LIMIT: u64 = 1 << 20;
/// What an attribute becomes whose value has a line break: the same, in hexadecimal digits.
const HEX: &[u8] = b"GANTRY.xattr.";
const XATTR: &[u8] = b"SCHILY.xattr.";

/// A reader of a tar that is fit for the library.
pub(crate) struct Guard<R> {
    inner: R,
    next: Next,
    /// Made, not given away yet.
    pending: Vec<u8>,
    given: usize,
    /// The size of the next entry, as its PAX records have it.
    size: Option<u64>,
    ended: bool,
}

/// What comes next in the archive.
enum Next {
    Header,
    /// Another block of the map of a file with holes, then so much content.
    Map(u64),
    Content(u64),
    /// Behind the end mark, or nothing that we understand: the library says what is wrong.
    Rest,
}

/// An extended attribute in a record, with its name and value.
pub(crate) fn xattr(key: &[u8], value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if let Some(name) = key.strip_prefix(XATTR) {
        return Some((name.to_owned(), value.to_owned()));
    }
    let name = key.strip_prefix(HEX)?;
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        &[high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    Some((name.to_owned(), value.chunks(2).map(pair).collect::<Option<_>>()?))
}

// === impl Guard ===

impl<R: Read> Guard<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, next: Next::Header, pending: Vec::new(), given: 0, size: None, ended: false }
    }

    /// Whether the end mark was met.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Reads a header and what belongs to it.
    fn header(&mut self) -> io::Result<()> {
        let whole = self.block()?;
        if !whole || self.pending.iter().all(|byte| *byte == 0) {
            self.ended = whole;
            self.next = Next::Rest;
            return Ok(());
        }
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(&self.pending);
        let Ok(own) = header.entry_size() else {
            self.next = Next::Rest;
            return Ok(());
        };
        match header.as_bytes()[156] {
            b'x' | b'g' | b'L' | b'K' if own > LIMIT => {
                Err(io::Error::other(format!("{own} bytes describe one entry; {LIMIT} are the most")))
            }
            b'x' => self.records(own),
            b'g' | b'L' | b'K' => {
                self.next = Next::Content(padded(own));
                Ok(())
            }
            kind => {
                let content = padded(self.size.take().unwrap_or(own));
                let has_map = kind == b'S' && header.as_gnu().is_some_and(tar::GnuHeader::is_extended);
                self.next = if has_map { Next::Map(content) } else { Next::Content(content) };
                Ok(())
            }
        }
    }

    /// Adds a block to what is given away; `false` at the end.
    fn block(&mut self) -> io::Result<bool> {
        let start = self.pending.len();
        (&mut self.inner).take(BLOCK as u64).read_to_end(&mut self.pending)?;
        Ok(self.pending.len() - start == BLOCK)
    }

    fn records(&mut self, size: u64) -> io::Result<()> {
        let mut content = Vec::new();
        (&mut self.inner).take(padded(size)).read_to_end(&mut content)?;
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(content.len());
        match parse(&content[..size]) {
            Some(records) => {
                let own = records.iter().rev().find(|(key, _)| *key == b"size");
                self.size = own.and_then(|(_, size)| std::str::from_utf8(size).ok()?.parse().ok());
                if records.iter().any(|(key, value)| key.contains(&b'\n') || value.contains(&b'\n')) {
                    self.rewrite(&records);
                    return Ok(());
                }
            }
            None => self.next = Next::Rest,
        }
        self.pending.extend(content);
        Ok(())
    }

    /// Puts something in the place of records that the library cannot read.
    fn rewrite(&mut self, records: &[(&[u8], &[u8])]) {
        let header = std::mem::take(&mut self.pending);
        let mut kept = Vec::new();
        for (key, value) in records {
            match *key {
                key if key.contains(&b'\n') => {}
                key if !value.contains(&b'\n') => push(&mut kept, key, value),
                b"path" => self.long(&header, b'L', value),
                b"linkpath" => self.long(&header, b'K', value),
                key => {
                    if let Some(name) = key.strip_prefix(XATTR) {
                        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
                        push(&mut kept, &[HEX, name].concat(), hex.as_bytes());
                    }
                }
            }
        }
        self.long(&header, b'x', &kept);
    }

    /// An entry that describes the next one.
    fn long(&mut self, like: &[u8], kind: u8, content: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes().copy_from_slice(like);
        header.as_mut_bytes()[156] = kind;
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.pending.extend(header.as_bytes());
        self.pending.extend(content);
        let end = self.pending.len().next_multiple_of(BLOCK);
        self.pending.resize(end, 0);
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.given < self.pending.len() {
                let count = (&self.pending[self.given..]).read(buffer)?;
                self.given += count;
                return Ok(count);
            }
            self.pending.clear();
            self.given = 0;
            match self.next {
                Next::Header => {
                    self.header()?;
                    if self.pending.is_empty() {
                        return self.inner.read(buffer);
                    }
                }
                Next::Map(content) => {
                    let whole = self.block()?;
                    let more = whole && self.pending[504] == 1;
                    self.next = if more { Next::Map(content) } else { Next::Content(content) };
                }
                Next::Content(0) => self.next = Next::Header,
                Next::Content(left) => {
                    let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
                    let count = self.inner.read(&mut buffer[..most])?;
                    self.next = Next::Content(left - count as u64);
                    return Ok(count);
                }
                Next::Rest => return self.inner.read(buffer),
            }
        }
    }
}

fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK as u64).unwrap_or(u64::MAX)
}

/// Records by their lengths; `None` when these are wrong.
pub(crate) fn parse(mut content: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut records = Vec::new();
    while !content.is_empty() {
        let space = content.iter().take(20).position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&content[..space]).ok()?.parse().ok()?;
        let record = content.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        records.push((&record[..equals], &record[equals + 1..]));
        content = &content[length..];
    }
    Some(records)
}

/// Writes a record with its own length in front.
fn push(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend([length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(records: &[(&str, &[u8])], content: &[u8]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_pax_extensions(records.iter().copied()).expect("records");
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, "name", content).expect("entry");
        builder.append_data(&mut header, "next", content).expect("entry");
        builder.into_inner().expect("archive")
    }

    /// Gives few bytes at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(7);
            self.0.read(&mut buffer[..count])
        }
    }

    #[test]
    fn what_the_library_reads_passes_untouched() {
        let mut plain = archive(&[("path", b"a/b"), ("SCHILY.xattr.user.x", b"\0\x01")], &[9; 1000]);
        plain.extend(b"behind the end");
        let mut out = Vec::new();
        Guard::new(Slow(&plain)).read_to_end(&mut out).expect("read");
        assert!(out == plain);
        for cut in (0..plain.len()).step_by(100) {
            let mut out = Vec::new();
            Guard::new(&plain[..cut]).read_to_end(&mut out).expect("read");
            assert!(out == plain[..cut], "{cut}");
        }
    }

    #[test]
    fn values_may_have_line_breaks() {
        let value = b"a\n12 b=c\n\0\xff";
        let records: [(&str, &[u8]); 4] = [
            ("path", b"new\nline"),
            ("SCHILY.xattr.security.capability", value),
            ("mtime", b"1.5"),
            ("comment", b"\n"),
        ];
        let bytes = archive(&records, b"content");
        let mut archive = tar::Archive::new(Guard::new(Slow(&bytes)));
        let mut names = Vec::new();
        for entry in archive.entries().expect("entries") {
            let mut entry = entry.expect("entry");
            names.push(entry.path_bytes().into_owned());
            let mut content = String::new();
            entry.read_to_string(&mut content).expect("content");
            assert_eq!(content, "content");
            if names.len() == 1 {
                let records: Vec<_> = entry.pax_extensions().expect("records").expect("some").collect();
                let found = records.iter().flatten().find_map(|one| xattr(one.key_bytes(), one.value_bytes()));
                assert_eq!(found, Some((b"security.capability".to_vec(), value.to_vec())));
                assert!(records.iter().flatten().any(|one| one.key() == Ok("mtime")));
            }
        }
        assert_eq!(names, [b"new\nline".to_vec(), b"next".to_vec()]);
    }

    #[test]
    fn descriptions_are_bounded() {
        for kind in [b'x', b'g', b'L', b'K'] {
            let mut header = tar::Header::new_gnu();
            header.as_mut_bytes()[156] = kind;
            header.set_size(2 << 20);
            header.set_cksum();
            let endless = header.as_bytes().chain(io::repeat(b'a'));
            let mut archive = tar::Archive::new(Guard::new(endless));
            let error = archive.entries().expect("entries").next().expect("entry").map(|_| ()).expect_err("too long");
            assert!(error.to_string().contains("bytes describe one entry"), "{error}");
        }
    }
}

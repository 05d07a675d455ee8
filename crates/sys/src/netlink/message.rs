//! Building and reading netlink messages.

/// Bytes of `struct nlmsghdr`.
pub(crate) const HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;

/// One netlink message under construction. Numbers are in host order unless the method's name says otherwise.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Vec<u8>,
}

/// One attribute of a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Type, without the flags in the two top bits.
    pub kind: u16,
    /// Payload; of a nested attribute, again attributes.
    pub payload: &'a [u8],
}

impl Message {
    /// A message of this type with these `NLM_F_*` flags (`NLM_F_REQUEST` is added).
    #[must_use]
    pub fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | libc::NLM_F_REQUEST as u16).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        Self { bytes }
    }

    /// Appends raw bytes, padded to four: the fixed part after the header.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// Appends an attribute.
    pub fn bytes(&mut self, kind: u16, payload: &[u8]) -> &mut Self {
        let length = (ATTRIBUTE_HEADER + payload.len()) as u16;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(payload);
        self.pad();
        self
    }

    /// Appends a NUL-terminated text.
    pub fn text(&mut self, kind: u16, text: &str) -> &mut Self {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// Appends one byte.
    pub fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes(kind, &[value])
    }

    /// Appends a number in host order.
    pub fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a number in network order, as nf_tables wants them.
    pub fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends an attribute that holds attributes.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        fill(self);
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// Appends an attribute that holds attributes which are already there as bytes.
    pub fn nested_bytes(&mut self, kind: u16, attributes: &[u8]) -> &mut Self {
        self.nest(kind, |nest| nest.bytes.extend_from_slice(attributes))
    }

    /// `nlmsg_type`.
    #[must_use]
    pub fn kind(&self) -> u16 {
        u16::from_ne_bytes([self.bytes[4], self.bytes[5]])
    }

    /// All after the header.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[HEADER..]
    }

    /// Bytes so far.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Adds `NLM_F_*` flags.
    pub(crate) fn add_flags(&mut self, flags: u16) {
        let flags = flags | u16::from_ne_bytes([self.bytes[6], self.bytes[7]]);
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    }

    /// The finished bytes, with the length, more flags and the sequence number filled in.
    pub(crate) fn finish(&mut self, flags: u16, sequence: u32) -> &[u8] {
        let length = self.bytes.len() as u32;
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.add_flags(flags);
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        &self.bytes
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

impl<'a> Attribute<'a> {
    /// The payload as a number in host order; `None` when it is not four bytes.
    #[must_use]
    pub fn u32(&self) -> Option<u32> {
        self.payload.try_into().ok().map(u32::from_ne_bytes)
    }

    /// The payload as a number in network order; `None` when it is not four bytes.
    #[must_use]
    pub fn be32(&self) -> Option<u32> {
        self.payload.try_into().ok().map(u32::from_be_bytes)
    }

    /// The payload as a number in network order; `None` when it is not eight bytes.
    #[must_use]
    pub fn be64(&self) -> Option<u64> {
        self.payload.try_into().ok().map(u64::from_be_bytes)
    }

    /// The payload as text up to its NUL.
    #[must_use]
    pub fn text(&self) -> String {
        let end = self.payload.iter().position(|&byte| byte == 0).unwrap_or(self.payload.len());
        String::from_utf8_lossy(&self.payload[..end]).into_owned()
    }

    /// The payload as attributes.
    pub fn nested(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        attributes(self.payload)
    }
}

/// Walks the attributes in `bytes`; stops at the first that does not fit.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let header: [u8; 4] = rest.get(..ATTRIBUTE_HEADER)?.try_into().ok()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let payload = rest.get(ATTRIBUTE_HEADER..length)?;
        let kind = u16::from_ne_bytes([header[2], header[3]]) & TYPE_MASK;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(Attribute { kind, payload })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_back_as_written() {
        let mut message = Message::new(16, 0);
        message.raw(&[0; 4]).text(1, "lo").u32(2, 7).nest(3, |nest| {
            nest.u8(4, 9);
        });
        let bytes = message.finish(0, 5).to_vec();
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(u32::from_ne_bytes(bytes[..4].try_into().expect("four")), bytes.len() as u32);
        let read: Vec<_> = attributes(&bytes[HEADER + 4..]).collect();
        assert_eq!(read.iter().map(|a| a.kind).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(read[0].text(), "lo");
        assert_eq!(read[1].u32(), Some(7));
        assert_eq!(read[2].nested().next(), Some(Attribute { kind: 4, payload: &[9] }));
    }

    #[test]
    fn a_truncated_attribute_ends_the_walk() {
        assert_eq!(attributes(&[9, 0, 1, 0, 1]).count(), 0);
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0);
    }
}

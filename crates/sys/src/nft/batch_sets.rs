//! Sets, maps and what is in them, as parts of a batch.

use super::batch::Batch;
use super::expression::DATA_VALUE;
use crate::netlink::Message;

/// `enum nft_set_elem_list_attributes` and its elements.
const ELEMENTS: u16 = 3;
const ELEMENT: u16 = 1;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_DATA: u16 = 2;
const ELEMENT_FLAGS: u16 = 3;
/// `NFT_SET_ELEM_INTERVAL_END`.
const INTERVAL_END: u32 = 1;
/// Attributes count their length in 16 bits; an element takes up to 60 bytes.
const ELEMENTS_PER_MESSAGE: usize = 500;

/// nft's number of the type of a device's name, and the user data that tells it the byte order of such keys; without it
/// the `nft` program prints them empty.
const TYPE_DEVICE: u32 = 41;
const HOST_ORDER: [u8; 6] = [0, 4, 1, 0, 0, 0];

/// The first key of an interval, and the first one behind it.
pub type Interval = (Vec<u8>, Vec<u8>);

impl Batch<'_> {
    /// Makes a set of attributes that are known as bytes.
    pub(super) fn raw_set(&mut self, name: &str, flags: u32, attributes: &[(u16, &[u8])]) -> &mut Self {
        self.maps += 1;
        let id = self.maps;
        self.push(libc::NFT_MSG_NEWSET, libc::NLM_F_CREATE, |message, table| {
            message.text(1, table).text(2, name).be32(3, flags);
            for (kind, payload) in attributes {
                message.bytes(*kind, payload);
            }
            message.be32(10, id);
        })
    }

    /// Adds elements whose attributes are known as bytes.
    pub(super) fn raw_elements(&mut self, set: &str, elements: &[&[u8]]) -> &mut Self {
        for chunk in elements.chunks(ELEMENTS_PER_MESSAGE / 2) {
            self.push(libc::NFT_MSG_NEWSETELEM, libc::NLM_F_CREATE, |message, table| {
                message.text(1, table).text(2, set).nest(ELEMENTS, |list| {
                    for element in chunk {
                        list.nested_bytes(ELEMENT, element);
                    }
                });
            });
        }
        self
    }

    /// Makes a map. `key_type` and `value_type` are nft's type numbers (six bits for each part of a concatenation);
    /// they only tell the `nft` program how to print. Lengths are in bytes, each part padded to four.
    /// One of intervals is filled by [`Self::add_mapped_intervals`] only.
    pub fn add_map(&mut self, name: &str, key: (u32, u32), value: (u32, u32), intervals: bool) -> &mut Self {
        self.maps += 1;
        let id = self.maps;
        let flags = libc::NFT_SET_MAP as u32 | if intervals { libc::NFT_SET_INTERVAL as u32 } else { 0 };
        self.push(libc::NFT_MSG_NEWSET, libc::NLM_F_CREATE, |message, table| {
            message.text(1, table).text(2, name).be32(3, flags);
            message.be32(4, key.0).be32(5, key.1).be32(6, value.0).be32(7, value.1).be32(10, id);
        })
    }

    /// Makes a set; `key` as in [`Self::add_map`]. One of intervals is filled by [`Self::add_intervals`] only.
    pub fn add_set(&mut self, name: &str, key: (u32, u32), intervals: bool) -> &mut Self {
        self.maps += 1;
        let id = self.maps;
        let flags = if intervals { libc::NFT_SET_INTERVAL as u32 } else { 0 };
        self.push(libc::NFT_MSG_NEWSET, libc::NLM_F_CREATE, |message, table| {
            message.text(1, table).text(2, name).be32(3, flags).be32(4, key.0).be32(5, key.1).be32(10, id);
            if key.0 & 0x3f == TYPE_DEVICE {
                message.bytes(13, &HOST_ORDER);
            }
        })
    }

    /// Adds keys to a set; one that is there already is fine.
    pub fn add_members(&mut self, set: &str, keys: &[Vec<u8>]) -> &mut Self {
        for chunk in keys.chunks(ELEMENTS_PER_MESSAGE) {
            self.elements(libc::NFT_MSG_NEWSETELEM, libc::NLM_F_CREATE, set, chunk.iter().map(|key| (key, None)));
        }
        self
    }

    /// Adds intervals to a set: the first key, and the first one behind it.
    pub fn add_intervals(&mut self, set: &str, intervals: &[Interval]) -> &mut Self {
        self.intervals(libc::NFT_MSG_NEWSETELEM, libc::NLM_F_CREATE, set, intervals.iter().map(|one| (one, None)))
    }

    /// Adds intervals to a map, each with its value.
    pub fn add_mapped_intervals(&mut self, map: &str, intervals: &[(Interval, Vec<u8>)]) -> &mut Self {
        let pairs = intervals.iter().map(|(one, value)| (one, Some(value)));
        self.intervals(libc::NFT_MSG_NEWSETELEM, libc::NLM_F_CREATE, map, pairs)
    }

    /// Deletes intervals as they were added; one that is absent fails the whole batch with `ENOENT`.
    pub fn delete_intervals(&mut self, set: &str, intervals: &[Interval]) -> &mut Self {
        self.intervals(libc::NFT_MSG_DELSETELEM, 0, set, intervals.iter().map(|one| (one, None)))
    }

    /// Adds elements to a map; adding one that is there with the same value is fine.
    pub fn add_elements(&mut self, map: &str, elements: &[(Vec<u8>, Vec<u8>)]) -> &mut Self {
        for chunk in elements.chunks(ELEMENTS_PER_MESSAGE) {
            let pairs = chunk.iter().map(|(key, value)| (key, Some(value)));
            self.elements(libc::NFT_MSG_NEWSETELEM, libc::NLM_F_CREATE, map, pairs);
        }
        self
    }

    /// Deletes elements of a map or a set by key; one that is absent fails the whole batch with `ENOENT`.
    pub fn delete_elements(&mut self, map: &str, keys: &[Vec<u8>]) -> &mut Self {
        for chunk in keys.chunks(ELEMENTS_PER_MESSAGE) {
            self.elements(libc::NFT_MSG_DELSETELEM, 0, map, chunk.iter().map(|key| (key, None)));
        }
        self
    }

    fn elements<'e>(
        &mut self,
        kind: i32,
        flags: i32,
        map: &str,
        pairs: impl Iterator<Item = (&'e Vec<u8>, Option<&'e Vec<u8>>)>,
    ) {
        self.push(kind, flags, |message, table| {
            message.text(1, table).text(2, map).nest(ELEMENTS, |list| {
                for (key, value) in pairs {
                    element(list, key, value, false);
                }
            });
        });
    }

    fn intervals<'e>(
        &mut self,
        kind: i32,
        flags: i32,
        set: &str,
        intervals: impl Iterator<Item = (&'e Interval, Option<&'e Vec<u8>>)>,
    ) -> &mut Self {
        let ends = intervals.flat_map(|((first, behind), value)| [(first, value, false), (behind, None, true)]);
        let ends: Vec<_> = ends.collect();
        for chunk in ends.chunks(ELEMENTS_PER_MESSAGE) {
            self.push(kind, flags, |message, table| {
                message.text(1, table).text(2, set).nest(ELEMENTS, |list| {
                    for (key, value, end) in chunk {
                        element(list, key, *value, *end);
                    }
                });
            });
        }
        self
    }
}

/// `end`: of an interval, the first key behind it.
fn element(list: &mut Message, key: &[u8], value: Option<&Vec<u8>>, end: bool) {
    list.nest(ELEMENT, |element| {
        element.nest(ELEMENT_KEY, |data| {
            data.bytes(DATA_VALUE, key);
        });
        if let Some(value) = value {
            element.nest(ELEMENT_DATA, |data| {
                data.bytes(DATA_VALUE, value);
            });
        }
        if end {
            element.be32(ELEMENT_FLAGS, INTERVAL_END);
        }
    });
}

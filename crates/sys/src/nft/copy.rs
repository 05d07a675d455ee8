//! Copying what somebody else made.

use super::batch::{Batch, RawRule};
use super::decode::{Step, step};
use super::ruleset::{Element, Set};
use crate::netlink::{Message, attributes};

/// Attributes of a set that its copy has too: types and lengths, policy, description, times, user data, expressions. The
/// rest is the copy's own, or only told by newer kernels.
const COPIED: [u16; 11] = [4, 5, 6, 7, 8, 9, 11, 12, 13, 17, 18];
/// `NFT_SET_ANONYMOUS`, `NFT_SET_CONSTANT`: a copy is filled like any other.
const UNNAMED: u32 = 3;

impl Batch<'_> {
    /// Makes a set or a map with the name, type and elements of another one; anonymous ones get their name for good.
    pub fn copy_set(&mut self, set: &Set, elements: &[Element]) -> &mut Self {
        let kept = attributes(&set.attributes).filter(|part| COPIED.contains(&part.kind) && !part.payload.is_empty());
        let kept: Vec<(u16, &[u8])> = kept.map(|part| (part.kind, part.payload)).collect();
        self.raw_set(&set.name, set.flags & !UNNAMED, &kept);
        let elements: Vec<&[u8]> = elements.iter().map(|element| element.attributes.as_slice()).collect();
        self.raw_elements(&set.name, &elements)
    }
}

impl RawRule {
    /// The expressions, with other bytes in the place of those that are chosen.
    #[must_use]
    pub fn replaced(&self, chosen: impl Fn(&Step) -> bool, other: &[u8]) -> Vec<u8> {
        let mut list = Message::new(0, 0);
        for element in attributes(&self.expressions) {
            if chosen(&step(&element)) {
                list.raw(other);
            } else {
                list.nested_bytes(element.kind, element.payload);
            }
        }
        list.payload().to_vec()
    }
}

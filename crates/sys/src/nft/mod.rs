//! nf_tables over netlink: tables, chains, rules, maps and their elements, sent as one atomic batch.
//!
//! Source: `linux/netfilter/nf_tables.h`, `linux/netfilter/nfnetlink.h`, nft(8).

mod batch;
mod batch_sets;
mod content;
mod copy;
mod decode;
mod events;
mod expression;
mod family;
mod ruleset;
mod socket;
pub mod user_data;

pub use batch::{Batch, ChainKind, Hook, Place, RawRule};
pub use batch_sets::Interval;
pub use content::{Content, ContentElement};
pub use decode::{Outcome, Source, Step, steps, verdict};
pub use events::{Heard, NftEvent, NftEvents, NftObject};
pub use expression::{Comparison, Expression, Extension, Field, Key, Register, Verdict};
pub use family::Family;
pub use ruleset::{BaseChain, Chain, Element, Rule, Set};
pub use socket::NftSocket;

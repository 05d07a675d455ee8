//! nf_tables over netlink: tables, chains, rules, maps and their elements, sent as one atomic batch.
//!
//! Source: `linux/netfilter/nf_tables.h`, `linux/netfilter/nfnetlink.h`, nft(8).

mod batch;
mod expression;
mod socket;

pub use batch::{Batch, ChainKind, Hook};
pub use expression::{Comparison, Expression, Field, Key, Register, Verdict};
pub use socket::NftSocket;

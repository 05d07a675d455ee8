//! The same API requests to two engines, and what differs between the answers.
//!
//! `tests/privileged/differential/*.script` holds the requests (grammar: `script`), `accepted.txt` beside them the
//! differences that are meant, each with its reason (`accepted`). Ids, times, paths and addresses are made equal
//! first (`normal`); everything else is compared field by field (`compare`).

mod accepted;
mod compare;
mod normal;
mod run;
mod script;

pub use accepted::Accepted;
pub use compare::Difference;
pub use run::{Report, run};
pub use script::{Script, Step};

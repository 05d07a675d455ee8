//! Doors for `fuzz/`; not for anybody else.

use std::path::Path;

use crate::unpack::{Target, Whiteouts, unpack as unpack_tar};

/// Unpacks a layer's tar into a directory, whiteouts applied or as overlay marks; whether that went well.
pub fn unpack(archive: &[u8], directory: &Path, apply: bool) -> bool {
    let whiteouts = if apply { Whiteouts::Apply } else { Whiteouts::Overlay };
    unpack_tar(&mut &archive[..], &Target { directory, whiteouts }).is_ok()
}

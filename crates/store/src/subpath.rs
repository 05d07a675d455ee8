//! A part of a volume or image, by a path that never leads out of it.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::{Error, Result};

/// Opens (as a path only) a file or directory below `base`; an empty `subpath` is `base` itself. Links are followed as
/// long as they stay below.
///
/// # Errors
/// [`Error::Subpath`], [`Error::SubpathEscapes`].
pub(crate) fn open_below(base: &Path, subpath: &str) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let missing = |path: &Path, source: Errno| Error::Subpath { path: path.to_owned(), reason: source.into() };
    let opened = rustix::fs::openat(CWD, base, flags, Mode::empty()).map_err(|source| missing(base, source))?;
    if subpath.is_empty() {
        return Ok(opened);
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(&opened, subpath, flags, Mode::empty(), resolve).map_err(|source| match source {
        Errno::XDEV => Error::SubpathEscapes { base: base.to_owned(), subpath: subpath.to_owned() },
        source => missing(&base.join(subpath), source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_below_or_are_refused() {
        let base = tempfile::tempdir().expect("directory");
        let base = base.path();
        std::fs::create_dir(base.join("sub")).expect("make");
        for (name, target) in [("good", "sub"), ("out", ".."), ("root", "/"), ("twice", "root")] {
            std::os::unix::fs::symlink(target, base.join(name)).expect("link");
        }
        assert!(open_below(base, "").is_ok() && open_below(base, "good").is_ok() && open_below(base, "sub/.").is_ok());
        for out in ["out", "root", "twice", "../x"] {
            assert!(matches!(open_below(base, out), Err(Error::SubpathEscapes { .. })), "{out}");
        }
        let missing = open_below(base, "nothing").map(drop).map_err(|error| error.to_string());
        let text = format!("cannot access path {}/nothing: no such file or directory", base.display());
        assert_eq!(missing, Err(text));
    }
}

//! Whether mounts can travel through a bind: where the source is mounted has to be shared with somebody.

use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use crate::error::{Error, Invalid};
use crate::model::MountPoint;

/// Refuses binds that ask for more than the host's mounts give. Looks at these only when one asks.
///
/// # Errors
/// [`Invalid::NotShared`].
pub(super) fn check(points: &[MountPoint]) -> Result<(), Error> {
    let asking = |point: &&MountPoint| point.propagation.ends_with("shared") || point.propagation.ends_with("slave");
    if !points.iter().any(|point| asking(&point)) {
        return Ok(());
    }
    let path = Path::new("/proc/self/mountinfo");
    let mounts = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    for point in points.iter().filter(asking) {
        // What is not there is told by the mount.
        let Ok(source) = statx(CWD, &point.source, AtFlags::empty(), StatxFlags::MNT_ID) else { continue };
        let Some((place, shared, slave)) = mount_of(&mounts, source.stx_mnt_id) else { continue };
        let slave_is_enough = point.propagation.ends_with("slave");
        if !(shared || (slave && slave_is_enough)) {
            let kinds = if slave_is_enough { "shared or slave" } else { "shared" };
            return Err(Invalid::NotShared { path: point.source.clone(), place, kinds }.into());
        }
    }
    Ok(())
}

/// A mount by its number: where it is, and whether it is shared, or another one's slave (proc(5)).
fn mount_of(mounts: &str, id: u64) -> Option<(String, bool, bool)> {
    let mut lines = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let line = lines.find(|words| words[0].parse() == Ok(id))?;
    let fields = line.iter().skip(6).take_while(|word| **word != "-");
    let has = |name: &str| fields.clone().any(|field| field.starts_with(name));
    Some((unescaped(line.get(4)?), has("shared:"), has("master:")))
}

/// Blanks and the like are written as three octal digits.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_says_who_shares_it() {
        let mounts = "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
                      31 21 0:6 / /a\\040b rw master:3 - tmpfs tmpfs rw\n32 21 0:7 / /c rw - tmpfs shared: rw\n";
        assert_eq!(mount_of(mounts, 21), Some(("/".to_owned(), true, false)));
        assert_eq!(mount_of(mounts, 31), Some(("/a b".to_owned(), false, true)));
        assert_eq!(mount_of(mounts, 32), Some(("/c".to_owned(), false, false)));
        assert_eq!(mount_of(mounts, 2), None);
    }
}

//! Whether mounts can travel through a bind: where the source is mounted has to be shared with somebody.

use std::path::Path;

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
        // A link leads elsewhere; what is not there is told by the mount.
        let Ok(source) = std::fs::canonicalize(&point.source) else { continue };
        let Some((place, shared, slave)) = mount_of(&mounts, &source) else { continue };
        let slave_is_enough = point.propagation.ends_with("slave");
        if !shared && !(slave && slave_is_enough) {
            let kinds = if slave_is_enough { "shared or slave" } else { "shared" };
            return Err(Invalid::NotShared { path: point.source.clone(), place, kinds }.into());
        }
    }
    Ok(())
}

/// The mount that a path is on: where it is mounted, and whether it is shared, or another one's slave (proc(5)).
fn mount_of(mounts: &str, path: &Path) -> Option<(String, bool, bool)> {
    let mut best: Option<(String, bool, bool)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ').skip(4);
        let place = words.next().map(unescaped)?;
        let longer = best.as_ref().is_none_or(|(known, ..)| place.len() >= known.len());
        if longer && path.starts_with(&place) {
            let fields: Vec<&str> = words.skip(1).take_while(|word| *word != "-").collect();
            let has = |name: &str| fields.iter().any(|field| field.starts_with(name));
            best = Some((place, has("shared:"), has("master:")));
        }
    }
    best
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
    fn the_last_and_longest_mount_counts() {
        let mounts = "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
                      30 21 0:5 / /a\\040b rw - tmpfs tmpfs rw\n\
                      31 21 0:6 / /a\\040b rw master:3 - tmpfs tmpfs rw\n";
        let of = |path: &str| mount_of(mounts, Path::new(path));
        assert_eq!(of("/x/y"), Some(("/".to_owned(), true, false)));
        assert_eq!(of("/a b/c"), Some(("/a b".to_owned(), false, true)));
        assert_eq!(of("/a bc"), Some(("/".to_owned(), true, false)));
    }
}

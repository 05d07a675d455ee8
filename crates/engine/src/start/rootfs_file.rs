//! Reads a file of a container's root file system without mounting it.
//!
//! The layers are looked through from the top as overlayfs would; every path is resolved inside its layer
//! (openat2(2), `RESOLVE_IN_ROOT`), so a symbolic link of the image cannot reach the host.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2, statat};

/// Nobody's passwd file is larger; what is beyond is not read.
const LIMIT: u64 = 4 << 20;

/// The text of `path` (relative, `etc/passwd`), or empty when the container has no such file.
pub(super) fn read(rootfs: &store::Rootfs, path: &str) -> String {
    for layer in layers(rootfs) {
        match read_in(&layer, path) {
            Found::Text(text) => return text,
            Found::Whiteout => return String::new(),
            Found::Nothing => {}
        }
    }
    String::new()
}

/// Whether the container has something else than a directory at a path (absolute).
pub(crate) fn is_file(rootfs: &store::Rootfs, path: &str) -> bool {
    let path = path.trim_start_matches('/');
    for layer in layers(rootfs) {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let root = open(&layer, flags | OFlags::DIRECTORY, Mode::empty());
        let found = root.and_then(|root| openat2(&root, path, flags, Mode::empty(), resolve));
        if let Ok(stat) = found.and_then(fstat) {
            let kind = FileType::from_raw_mode(stat.st_mode);
            return kind != FileType::Directory && !(kind == FileType::CharacterDevice && stat.st_rdev == 0);
        }
    }
    false
}

enum Found {
    Text(String),
    /// A character device 0:0: deleted in this layer.
    Whiteout,
    Nothing,
}

/// Directories of the layers, topmost first.
fn layers(rootfs: &store::Rootfs) -> Vec<PathBuf> {
    let overlay = rootfs.mounts.iter().find(|mount| mount.kind == "overlay");
    let Some(overlay) = overlay else { return vec![rootfs.target.clone()] };
    let value = |key: &str| overlay.options.iter().find_map(|option| option.strip_prefix(key));
    let upper = value("upperdir=").into_iter();
    upper.chain(value("lowerdir=").into_iter().flat_map(|lower| lower.split(':'))).map(PathBuf::from).collect()
}

fn read_in(layer: &Path, path: &str) -> Found {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(root) = open(layer, flags, Mode::empty()) else { return Found::Nothing };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    match openat2(&root, path, flags, Mode::empty(), resolve) {
        Ok(fd) => {
            if !fstat(&fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file()) {
                return Found::Nothing;
            }
            let mut text = String::new();
            match File::from(fd).take(LIMIT).read_to_string(&mut text) {
                Ok(_) => Found::Text(text),
                Err(_) => Found::Nothing,
            }
        }
        // Opening a whiteout fails with ENXIO: there is no driver for device 0:0.
        Err(rustix::io::Errno::NXIO) if is_whiteout(&layer.join(path)) => Found::Whiteout,
        Err(_) => Found::Nothing,
    }
}

fn is_whiteout(path: &Path) -> bool {
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    statat(CWD, path, flags)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_char_device() && stat.st_rdev == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_layers_win_and_links_stay_inside() {
        let base = std::env::temp_dir().join(format!("engine-rootfs-file-{}", std::process::id()));
        for layer in ["upper", "lower"] {
            std::fs::create_dir_all(base.join(layer).join("etc")).expect("mkdir");
        }
        std::fs::write(base.join("lower/etc/passwd"), "lower").expect("write");
        std::fs::write(base.join("lower/etc/group"), "group").expect("write");
        std::fs::write(base.join("upper/etc/passwd"), "upper").expect("write");
        std::os::unix::fs::symlink("/etc/hostname", base.join("upper/etc/outside")).expect("symlink");
        let options = ["lowerdir=", "upperdir="].iter().zip(["lower", "upper"]);
        let rootfs = store::Rootfs {
            target: base.join("merged"),
            mounts: vec![types::Mount {
                destination: base.join("merged").display().to_string(),
                kind: "overlay".to_owned(),
                source: "overlay".to_owned(),
                options: options.map(|(key, layer)| format!("{key}{}", base.join(layer).display())).collect(),
            }],
        };
        assert_eq!(read(&rootfs, "etc/passwd"), "upper");
        assert_eq!(read(&rootfs, "etc/group"), "group");
        assert_eq!(read(&rootfs, "etc/outside"), "");
        assert_eq!(read(&rootfs, "etc/shadow"), "");
        std::fs::remove_dir_all(&base).expect("cleanup");
    }
}

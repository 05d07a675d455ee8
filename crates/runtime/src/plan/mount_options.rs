//! Mount options, from the words of `mount(8)` and the runtime-spec to what the kernel takes.

use sys::mount_setattr::{
    MOUNT_ATTR_ATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_RDONLY, MOUNT_ATTR_STRICTATIME,
};

/// Bits to set and to clear on a mount, as `MOUNT_ATTR_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub set: u64,
    pub clear: u64,
}

/// Everything a list of options says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MountOptions {
    /// `MS_*` flags of a new file system.
    pub flags: libc::c_ulong,
    /// The same as attributes of a bind mount.
    pub attributes: Attributes,
    /// Attributes for the mount and everything below it (`rro` and its family).
    pub recursive: Attributes,
    /// Propagation changes, in order (`MS_PRIVATE`, …, with `MS_REC` for the r… forms).
    pub propagation: Vec<libc::c_ulong>,
    /// Whether it is a bind, and if so whether with what is mounted below the source.
    pub bind: Option<Recursion>,
    /// Copy what the image has at the destination into the new tmpfs.
    pub copy_up: bool,
    /// Map ids of the mount, and if so whether also below it.
    pub idmap: Option<Recursion>,
    /// What is left goes to the file system.
    pub data: Vec<String>,
}

/// This mount alone, or everything below it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recursion {
    Single,
    Recursive,
}

/// An option that sets (true) or clears one `MS_*` flag, with the attribute that means the same, if there is one.
const FLAGS: [(&str, bool, libc::c_ulong, u64); 33] = [
    ("acl", true, libc::MS_POSIXACL, 0),
    ("async", false, libc::MS_SYNCHRONOUS, 0),
    ("atime", false, libc::MS_NOATIME, MOUNT_ATTR_NOATIME),
    ("dev", false, libc::MS_NODEV, MOUNT_ATTR_NODEV),
    ("diratime", false, libc::MS_NODIRATIME, MOUNT_ATTR_NODIRATIME),
    ("dirsync", true, libc::MS_DIRSYNC, 0),
    ("exec", false, libc::MS_NOEXEC, MOUNT_ATTR_NOEXEC),
    ("iversion", true, libc::MS_I_VERSION, 0),
    ("lazytime", true, MS_LAZYTIME, 0),
    ("loud", false, libc::MS_SILENT, 0),
    ("mand", true, libc::MS_MANDLOCK, 0),
    ("noacl", false, libc::MS_POSIXACL, 0),
    ("noatime", true, libc::MS_NOATIME, MOUNT_ATTR_NOATIME),
    ("nodev", true, libc::MS_NODEV, MOUNT_ATTR_NODEV),
    ("nodiratime", true, libc::MS_NODIRATIME, MOUNT_ATTR_NODIRATIME),
    ("noexec", true, libc::MS_NOEXEC, MOUNT_ATTR_NOEXEC),
    ("noiversion", false, libc::MS_I_VERSION, 0),
    ("nolazytime", false, MS_LAZYTIME, 0),
    ("nomand", false, libc::MS_MANDLOCK, 0),
    ("norelatime", false, libc::MS_RELATIME, RELATIME),
    ("nostrictatime", false, libc::MS_STRICTATIME, MOUNT_ATTR_STRICTATIME),
    ("nosuid", true, libc::MS_NOSUID, MOUNT_ATTR_NOSUID),
    ("nosymfollow", true, MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW),
    ("relatime", true, libc::MS_RELATIME, RELATIME),
    ("remount", true, libc::MS_REMOUNT, 0),
    ("ro", true, libc::MS_RDONLY, MOUNT_ATTR_RDONLY),
    ("rw", false, libc::MS_RDONLY, MOUNT_ATTR_RDONLY),
    ("silent", true, libc::MS_SILENT, 0),
    ("strictatime", true, libc::MS_STRICTATIME, MOUNT_ATTR_STRICTATIME),
    ("suid", false, libc::MS_NOSUID, MOUNT_ATTR_NOSUID),
    ("symfollow", false, MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW),
    ("sync", true, libc::MS_SYNCHRONOUS, 0),
    ("defaults", false, 0, 0),
];

const MS_LAZYTIME: libc::c_ulong = 1 << 25;
const MS_NOSYMFOLLOW: libc::c_ulong = 1 << 8;

/// Relatime is the zero of the access time field; this stands for it in the table above and never reaches the kernel.
const RELATIME: u64 = 1 << 63;

const PROPAGATION: [(&str, libc::c_ulong); 4] = [
    ("private", libc::MS_PRIVATE),
    ("shared", libc::MS_SHARED),
    ("slave", libc::MS_SLAVE),
    ("unbindable", libc::MS_UNBINDABLE),
];

// === impl MountOptions ===

impl MountOptions {
    /// Reads a list of options; words it does not know are the file system's.
    pub fn parse(options: &[String]) -> Self {
        let mut parsed = Self::default();
        for option in options {
            parsed.add(option);
        }
        parsed
    }

    fn add(&mut self, option: &str) {
        match option {
            "bind" => self.bind = self.bind.or(Some(Recursion::Single)),
            "rbind" => self.bind = Some(Recursion::Recursive),
            "idmap" => self.idmap = Some(Recursion::Single),
            "ridmap" => self.idmap = Some(Recursion::Recursive),
            "tmpcopyup" => self.copy_up = true,
            _ => {
                if let Some(flag) = propagation(option) {
                    self.propagation.push(flag);
                } else if let Some(&(_, set, flag, attribute)) = FLAGS.iter().find(|entry| entry.0 == option) {
                    if set {
                        self.flags |= flag;
                    } else {
                        self.flags &= !flag;
                    }
                    self.attributes.change(set, attribute);
                } else if !self.add_recursive(option) {
                    self.data.push(option.to_owned());
                }
            }
        }
    }

    /// `rro`, `rnosuid`, …: an option with an attribute, behind an `r`.
    fn add_recursive(&mut self, option: &str) -> bool {
        let known = option.strip_prefix('r').and_then(|name| FLAGS.iter().find(|entry| entry.0 == name));
        match known {
            Some(&(_, set, _, attribute)) if attribute != 0 => {
                self.recursive.change(set, attribute);
                true
            }
            _ => false,
        }
    }
}

// === impl Attributes ===

impl Attributes {
    /// The access time modes exclude each other: to set or clear one is to write the whole field.
    fn change(&mut self, set: bool, attribute: u64) {
        let time = attribute & (MOUNT_ATTR_ATIME | RELATIME) != 0;
        if time {
            self.set &= !MOUNT_ATTR_ATIME;
            self.clear |= MOUNT_ATTR_ATIME;
            if set {
                self.set |= attribute & MOUNT_ATTR_ATIME;
            }
        } else if set {
            self.set |= attribute;
            self.clear &= !attribute;
        } else {
            self.set &= !attribute;
            self.clear |= attribute;
        }
    }

    /// Whether there is nothing to change.
    pub fn is_empty(self) -> bool {
        self.set == 0 && self.clear == 0
    }
}

/// Every word that [`MountOptions::parse`] understands, sorted.
pub(crate) fn names() -> Vec<String> {
    let with_recursion = |name: &str, recursive: bool| {
        [Some(name.to_owned()), recursive.then(|| format!("r{name}"))].into_iter().flatten().collect::<Vec<_>>()
    };
    let flags = FLAGS.iter().flat_map(|entry| with_recursion(entry.0, entry.3 != 0));
    let propagation = PROPAGATION.iter().flat_map(|entry| with_recursion(entry.0, true));
    let others = ["bind", "rbind", "idmap", "ridmap", "tmpcopyup"].map(str::to_owned);
    let mut names: Vec<String> = flags.chain(propagation).chain(others).collect();
    names.sort();
    names
}

/// `private`, `rslave`, … as `MS_*` flags.
pub(crate) fn propagation(word: &str) -> Option<libc::c_ulong> {
    let find = |name: &str| PROPAGATION.iter().find(|entry| entry.0 == name).map(|entry| entry.1);
    find(word).or_else(|| Some(find(word.strip_prefix('r')?)? | libc::MS_REC))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> MountOptions {
        MountOptions::parse(&text.split(',').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn flags_data_and_propagation() {
        let options = parse("nosuid,noexec,mode=755,size=64k,rprivate,ro");
        assert_eq!(options.flags, libc::MS_NOSUID | libc::MS_NOEXEC | libc::MS_RDONLY);
        assert_eq!(options.data, ["mode=755", "size=64k"]);
        assert_eq!(options.propagation, [libc::MS_PRIVATE | libc::MS_REC]);
        assert_eq!(options.bind, None);
    }

    #[test]
    fn binds_and_recursive_attributes() {
        let options = parse("rbind,rro,rnosuid,rshared,relatime,rw");
        assert_eq!(options.bind, Some(Recursion::Recursive));
        assert_eq!(options.recursive, Attributes { set: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, clear: 0 });
        assert_eq!(options.attributes, Attributes { set: 0, clear: MOUNT_ATTR_RDONLY | MOUNT_ATTR_ATIME });
        assert!(options.data.is_empty());
    }

    #[test]
    fn the_last_word_wins() {
        assert_eq!(parse("ro,rw").flags, 0);
        assert_eq!(parse("rw,ro").attributes, Attributes { set: MOUNT_ATTR_RDONLY, clear: 0 });
        let times = parse("noatime,strictatime").attributes;
        assert_eq!(times, Attributes { set: MOUNT_ATTR_STRICTATIME, clear: MOUNT_ATTR_ATIME });
        assert_eq!(parse("rrelatime").recursive, Attributes { set: 0, clear: MOUNT_ATTR_ATIME });
        assert!(!parse("ro").attributes.is_empty() && parse("defaults").attributes.is_empty());
    }
}

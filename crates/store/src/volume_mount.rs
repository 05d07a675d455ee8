//! What backs a volume with driver options (`type`, `device`, `o`): a file system that is mounted at the volume's
//! directory while somebody uses the volume.
//!
//! Nothing is written down: a daemon that starts knows from its containers who uses what ([`Store::adopt_volumes`]).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, mount_remount, unmount};

use crate::{Error, Result, Store, Volume};

/// Who uses a volume now; the lock is held while it is mounted or unmounted.
type Users = Arc<Mutex<BTreeSet<String>>>;

/// The users of every volume that has had some. A mount that hangs holds up its own volume only.
#[derive(Debug, Default)]
pub(crate) struct VolumeUsers(Mutex<BTreeMap<String, Users>>);

/// A use of a volume by the store itself.
#[must_use]
pub(crate) struct VolumeUse {
    store: Store,
    name: String,
    holder: String,
    path: PathBuf,
}

/// What `o` means, as flags of mount(2) or as words for the file system.
#[derive(Debug, PartialEq)]
struct Options {
    flags: MountFlags,
    propagation: MountPropagationFlags,
    data: Vec<String>,
}

/// Words that set (true) or clear a flag.
const FLAGS: [(&str, bool, MountFlags); 24] = [
    ("async", false, MountFlags::SYNCHRONOUS),
    ("atime", false, MountFlags::NOATIME),
    ("bind", true, MountFlags::BIND),
    ("defaults", true, MountFlags::empty()),
    ("dev", false, MountFlags::NODEV),
    ("diratime", false, MountFlags::NODIRATIME),
    ("dirsync", true, MountFlags::DIRSYNC),
    ("exec", false, MountFlags::NOEXEC),
    ("mand", true, MountFlags::PERMIT_MANDATORY_FILE_LOCKING),
    ("noatime", true, MountFlags::NOATIME),
    ("nodev", true, MountFlags::NODEV),
    ("nodiratime", true, MountFlags::NODIRATIME),
    ("noexec", true, MountFlags::NOEXEC),
    ("nomand", false, MountFlags::PERMIT_MANDATORY_FILE_LOCKING),
    ("norelatime", false, MountFlags::RELATIME),
    ("nostrictatime", false, MountFlags::STRICTATIME),
    ("nosuid", true, MountFlags::NOSUID),
    ("rbind", true, MountFlags::BIND.union(REC)),
    ("relatime", true, MountFlags::RELATIME),
    ("ro", true, MountFlags::RDONLY),
    ("rw", false, MountFlags::RDONLY),
    ("strictatime", true, MountFlags::STRICTATIME),
    ("suid", false, MountFlags::NOSUID),
    ("sync", true, MountFlags::SYNCHRONOUS),
];
const REC: MountFlags = MountFlags::from_bits_retain(MountPropagationFlags::REC.bits());

const PROPAGATION: [(&str, MountPropagationFlags); 4] = [
    ("private", MountPropagationFlags::PRIVATE),
    ("shared", MountPropagationFlags::SHARED),
    ("slave", MountPropagationFlags::DOWNSTREAM),
    ("unbindable", MountPropagationFlags::UNBINDABLE),
];

impl Store {
    /// Makes what backs a volume available for `holder`, until [`Store::release_volume`], and says where it is. Nothing
    /// is done for a local volume without driver options; a plugin mounts its own.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::VolumeMount`].
    pub fn hold_volume(&self, name: &str, holder: &str) -> Result<PathBuf> {
        let volume = match self.volume(name) {
            Ok(volume) => volume,
            // Its plugin may know of it.
            Err(_) => self.volume_details(name)?.volume,
        };
        if volume.driver != "local" {
            return self.hold_at_plugin(&volume, holder);
        }
        if !volume.is_mounted() {
            return Ok(volume.mountpoint);
        }
        let users = self.0.volume_users.of(name);
        let mut users = lock(&users);
        if users.is_empty() {
            unmount_all(&volume.mountpoint)?;
            mount_backing(&volume)?;
        }
        users.insert(holder.to_owned());
        Ok(volume.mountpoint)
    }

    /// Whether a part of a volume can be mounted, which whoever does so finds out again; what backs the volume is there.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::Subpath`], [`Error::SubpathEscapes`].
    pub fn check_part(&self, name: &str, subpath: &str) -> Result<()> {
        crate::subpath::open_below(&self.volume(name)?.mountpoint, subpath).map(drop)
    }

    /// Takes a use back; what backs the volume is unmounted behind the last one.
    ///
    /// # Errors
    /// The system's refusal to unmount, or the plugin's.
    pub fn release_volume(&self, name: &str, holder: &str) -> Result<()> {
        if let Some(volume) = self.0.plugin_volumes.known(name) {
            return self.release_at_plugin(&volume, holder);
        }
        let Some(users) = self.0.volume_users.known(name) else { return Ok(()) };
        let mut users = lock(&users);
        if users.remove(holder) && users.is_empty() {
            unmount_all(&self.0.paths.volume(name).join("_data"))?;
        }
        Ok(())
    }

    /// Takes over from an earlier daemon: `held` are pairs of a volume and its user. What nobody uses is unmounted.
    pub fn adopt_volumes(&self, held: &[(String, String)]) {
        self.adopt_at_plugins(held);
        for volume in self.volumes().into_iter().filter(Volume::is_mounted) {
            let users: BTreeSet<String> =
                held.iter().filter(|(name, _)| *name == volume.name).map(|(_, holder)| holder.clone()).collect();
            if users.is_empty() {
                if let Err(error) = unmount_all(&volume.mountpoint) {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(volume = volume.name, error, "what backs a volume stays mounted");
                }
            } else {
                *lock(&self.0.volume_users.of(&volume.name)) = users;
            }
        }
    }

    /// Makes what backs a volume available for as long as the value lives.
    ///
    /// # Errors
    /// As [`Store::hold_volume`].
    pub(crate) fn use_volume(&self, name: &str) -> Result<VolumeUse> {
        let holder = crate::driver::random_id();
        let path = self.hold_volume(name, &holder)?;
        Ok(VolumeUse { store: self.clone(), name: name.to_owned(), holder, path })
    }

    /// Before a volume goes: nobody may use it, and nothing may be mounted that the removal would reach into.
    pub(crate) fn detach_volume(&self, volume: &Volume) -> Result<()> {
        if !volume.is_mounted() {
            return Ok(());
        }
        let in_use = |users: &BTreeSet<String>| Error::VolumeInUse {
            name: volume.name.clone(),
            users: users.iter().cloned().collect(),
        };
        let users = self.0.volume_users.of(&volume.name);
        match users.try_lock() {
            Ok(users) if users.is_empty() => unmount_all(&volume.mountpoint),
            Ok(users) => Err(in_use(&users)),
            // It is being mounted, which may take its time.
            Err(_) => Err(in_use(&BTreeSet::new())),
        }
    }
}

// === impl VolumeUse ===

impl VolumeUse {
    /// Where the volume's files are.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for VolumeUse {
    fn drop(&mut self) {
        if let Err(error) = self.store.release_volume(&self.name, &self.holder) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(volume = self.name, error, "what backs a volume stays mounted");
        }
    }
}

// === impl Volume ===

impl Volume {
    /// Whether something has to be mounted before it can be used.
    #[must_use]
    pub fn is_mounted(&self) -> bool {
        !self.option("device").is_empty() || !self.option("type").is_empty()
    }

    fn option(&self, name: &str) -> &str {
        self.options.get(name).map(String::as_str).unwrap_or_default()
    }
}

// === impl VolumeUsers ===

impl VolumeUsers {
    fn of(&self, name: &str) -> Users {
        Arc::clone(self.table().entry(name.to_owned()).or_default())
    }

    fn known(&self, name: &str) -> Option<Users> {
        self.table().get(name).cloned()
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Users>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Options ===

impl Options {
    fn parse(words: &str) -> Self {
        let mut parsed =
            Self { flags: MountFlags::empty(), propagation: MountPropagationFlags::empty(), data: Vec::new() };
        for word in words.split(',').filter(|word| !word.is_empty()) {
            let (plain, recursive) = match word.strip_prefix('r') {
                Some(rest) if PROPAGATION.iter().any(|entry| entry.0 == rest) => (rest, true),
                _ => (word, false),
            };
            if let Some(&(_, set, flag)) = FLAGS.iter().find(|entry| entry.0 == word) {
                parsed.flags.set(flag, set);
            } else if let Some(&(_, flag)) = PROPAGATION.iter().find(|entry| entry.0 == plain) {
                parsed.propagation |= flag;
                parsed.propagation.set(MountPropagationFlags::REC, recursive);
            } else {
                parsed.data.push(word.to_owned());
            }
        }
        parsed
    }
}

fn lock(users: &Users) -> MutexGuard<'_, BTreeSet<String>> {
    users.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Mounts what the options name.
fn mount_backing(volume: &Volume) -> Result<()> {
    let (device, kind) = (volume.option("device").to_owned(), volume.option("type"));
    let failed = |reason: String| Error::VolumeMount { path: volume.mountpoint.clone(), reason };
    if device.is_empty() {
        return Err(failed("missing device in volume options".to_owned()));
    }
    let (device, words) = match kind {
        "nfs" | "nfs4" | "cifs" => resolve(kind, device, volume.option("o")).map_err(failed)?,
        _ => (device, volume.option("o").to_owned()),
    };
    let options = Options::parse(&words);
    let data = options.data.join(",");
    perform(&device, &volume.mountpoint, kind, &options, &data).map_err(|errno| {
        // What was mounted before a later step failed.
        let _ = unmount_all(&volume.mountpoint);
        let mut what = format!("mount {device}:{}", volume.mountpoint.display());
        let flags = options.flags.bits() | options.propagation.bits();
        if flags != 0 {
            what = format!("{what}, flags: 0x{flags:x}");
        }
        if !data.is_empty() && kind != "cifs" {
            // A password may be among them.
            what = format!("{what}, data: {data}");
        }
        failed(format!("failed to mount local volume: {what}: {}", crate::error::go_text(&errno.into())))
    })
}

fn perform(device: &str, target: &Path, kind: &str, options: &Options, data: &str) -> std::result::Result<(), Errno> {
    let data = CString::new(data).map_err(|_| Errno::INVAL)?;
    let words = (!data.is_empty()).then_some(data.as_c_str());
    mount(device, target, kind, options.flags, words)?;
    if !options.propagation.is_empty() {
        mount_change(target, options.propagation)?;
    }
    // The kernel takes no other flag together with a bind.
    if options.flags.contains(MountFlags::BIND | MountFlags::RDONLY) {
        mount_remount(target, options.flags, c"")?;
    }
    Ok(())
}

/// The kernel's network file systems take addresses and no names.
fn resolve(kind: &str, device: String, words: &str) -> std::result::Result<(String, String), String> {
    let address = words.split(',').find_map(|word| word.strip_prefix("addr=")).filter(|address| !address.is_empty());
    if let Some(name) = address {
        let found = look_up(name)?;
        let replace = |word: &str| if word.starts_with("addr=") { format!("addr={found}") } else { word.to_owned() };
        let words: Vec<String> = words.split(',').map(replace).collect();
        return Ok((device, words.join(",")));
    }
    // `//host/share` of a CIFS server.
    let host = device.strip_prefix("//").and_then(|rest| rest.split('/').next()).filter(|_| kind == "cifs");
    match host.map(str::to_owned) {
        Some(host) if !host.is_empty() => Ok((device.replacen(&host, &look_up(&host)?, 1), words.to_owned())),
        _ => Ok((device, words.to_owned())),
    }
}

fn look_up(name: &str) -> std::result::Result<String, String> {
    let failed = |reason: &dyn std::fmt::Display| {
        format!("error resolving passed in network volume address: lookup {name}: {reason}")
    };
    let found = sys::host_name::look_up(name).map_err(|error| failed(&error))?;
    let preferred = found.iter().min_by_key(|address| address.is_ipv6());
    preferred.map(ToString::to_string).ok_or_else(|| failed(&"no such host"))
}

/// Unmounts all that is mounted there; nothing is fine.
fn unmount_all(path: &Path) -> Result<()> {
    loop {
        match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(error) => return Err(Error::io("unmount", path, io::Error::from(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_flags_or_the_file_systems() {
        let parsed = Options::parse("size=1m,ro,nosuid,rw,rshared,,bind");
        assert_eq!(parsed.flags, MountFlags::NOSUID | MountFlags::BIND);
        assert_eq!(parsed.propagation, MountPropagationFlags::SHARED | MountPropagationFlags::REC);
        assert_eq!(parsed.data, ["size=1m"]);
    }

    #[test]
    fn addresses_stay_and_names_are_looked_up() {
        let same = resolve("nfs", ":/x".to_owned(), "addr=10.0.0.1,rw");
        assert_eq!(same, Ok((":/x".to_owned(), "addr=10.0.0.1,rw".to_owned())));
        let local = resolve("cifs", "//127.0.0.1/x".to_owned(), "user=a");
        assert_eq!(local, Ok(("//127.0.0.1/x".to_owned(), "user=a".to_owned())));
        assert!(resolve("nfs", ":/x".to_owned(), "addr=no-such-host.invalid").is_err());
    }
}

//! Whole files that are there completely or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Replaces `path` with `bytes` so that after a power cut it holds either the old or the new content:
/// temporary file, fsync, rename, fsync of the directory.
///
/// # Errors
/// The first refusal; the temporary file is gone then and `path` is as before.
pub fn write_durable(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace(path, bytes, mode, true)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Replaces `path` with `bytes` so that other processes see either the old or the new content. Does not wait
/// for the disk.
///
/// # Errors
/// The first refusal; the temporary file is gone then and `path` is as before.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace(path, bytes, mode, false)
}

fn replace(path: &Path, bytes: &[u8], mode: u32, sync: bool) -> io::Result<()> {
    let temporary = temporary_name(path);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        if sync {
            file.sync_all()?;
        }
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // Best effort: the first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn temporary_name(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut name = std::ffi::OsString::from(".tmp-");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!("-{}-{number}", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_content_and_leaves_no_temporary_file() {
        let directory = std::env::temp_dir().join(format!("atomic-file-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("make directory");
        let path = directory.join("record.json");
        for (content, mode) in [("old", 0o600), ("new", 0o644)] {
            write_durable(&path, content.as_bytes(), mode).expect("write");
            assert_eq!(fs::read_to_string(&path).expect("read"), content);
            assert_eq!(fs::metadata(&path).expect("stat").permissions().mode() & 0o777, mode);
        }
        write_atomic(&path, b"newest", 0o600).expect("write");
        assert_eq!(fs::read_dir(&directory).expect("list").count(), 1);
        assert!(write_durable(&directory.join("missing/x"), b"", 0o600).is_err());
        fs::remove_dir_all(&directory).expect("clean up");
    }
}

//! Finding the command the way a shell would, with the errors that Docker's users know.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, FileType};
use rustix::io::Errno;

use crate::error::Error;

/// Where commands are looked for when the environment has no PATH.
const DEFAULT_SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Finds the file to execute: a command with a slash is a path, another is searched in `search` (a list separated by
/// colons). Uses the root, working directory and identity of the calling process.
pub(crate) fn find(command: &str, search: Option<&str>) -> Result<PathBuf, Error> {
    if command.contains('/') {
        return match executable(Path::new(command)) {
            Ok(()) => Ok(PathBuf::from(command)),
            Err(errno) => Err(refused(command, errno)),
        };
    }
    for directory in search.unwrap_or(DEFAULT_SEARCH).split(':') {
        let directory = if directory.is_empty() { "." } else { directory };
        let candidate = Path::new(directory).join(command);
        if executable(&candidate).is_ok() {
            return Ok(candidate);
        }
    }
    Err(Error::CommandNotFound { command: command.to_owned() })
}

fn executable(path: &Path) -> Result<(), Errno> {
    let stat = rustix::fs::stat(path)?;
    if FileType::from_raw_mode(stat.st_mode).is_dir() {
        return Err(Errno::ISDIR);
    }
    // Root may "execute" a file without any x bit as far as access(2) is concerned on some file systems.
    if stat.st_mode & 0o111 == 0 {
        return Err(Errno::ACCESS);
    }
    rustix::fs::accessat(rustix::fs::CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
}

fn refused(command: &str, errno: Errno) -> Error {
    let command = command.to_owned();
    match errno {
        Errno::NOENT => Error::CommandMissing { command },
        Errno::ACCESS | Errno::PERM => Error::CommandNotExecutable { command },
        Errno::ISDIR => Error::CommandIsDirectory { command },
        other => Error::Execute { command, source: other.into() },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn each_refusal_has_its_own_words() {
        let directory = std::env::temp_dir().join(format!("runtime-command-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (good, plain) = (directory.join("good"), directory.join("plain"));
        for (path, mode) in [(&good, 0o755), (&plain, 0o644)] {
            std::fs::write(path, "").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let search = directory.to_str().unwrap();
        assert_eq!(find("good", Some(search)).unwrap(), good);
        assert_eq!(find(good.to_str().unwrap(), None).unwrap(), good);
        let words = |command: &str| find(command, Some(search)).unwrap_err().to_string();
        assert_eq!(words("plain"), "exec: \"plain\": executable file not found in $PATH");
        assert_eq!(words("/nope"), "exec: \"/nope\": stat /nope: no such file or directory");
        let plain = plain.to_str().unwrap();
        assert_eq!(words(plain), format!("exec: \"{plain}\": permission denied"));
        assert_eq!(words(search), format!("exec: \"{search}\": is a directory"));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}

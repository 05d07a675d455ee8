//! `--chown`: names looked up in the image's own files.

use std::os::fd::BorrowedFd;

use store::assemble::sources;

use crate::error::Error;

/// Nobody's passwd file is larger; what is beyond is not read.
const LIMIT: u64 = 4 << 20;

/// The numbers of `user[:group]`. Without a group, the group is called as the user is.
pub(super) fn resolve(root: BorrowedFd<'_>, text: &str) -> Result<(u32, u32), Error> {
    let (user, group) = text.split_once(':').unwrap_or((text, text));
    let failed = |what: &str, kind: &str, name: &str| {
        let why = format!("can't find {what} for {kind} {name}: no such {kind}: {name}");
        Error::BuildFiles(format!("unable to convert uid/gid chown string to host mapping: {why}"))
    };
    let uid = number(user).or_else(|| id_of(&read(root, "etc/passwd"), user));
    let gid = number(group).or_else(|| id_of(&read(root, "etc/group"), group));
    match (uid, gid) {
        (None, _) => Err(failed("uid", "user", user)),
        (_, None) => Err(failed("gid", "group", group)),
        (Some(uid), Some(gid)) => Ok((uid, gid)),
    }
}

fn number(text: &str) -> Option<u32> {
    if text.is_empty() { Some(0) } else { text.parse().ok() }
}

/// The third field of the line that begins with the name, in passwd(5) and group(5).
fn id_of(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

/// An image without the file knows no names.
fn read(root: BorrowedFd<'_>, path: &str) -> String {
    let found = sources::find(root, path).ok().and_then(|found| found.first()?.open().ok());
    let text = found.and_then(|file| std::io::read_to_string(std::io::Read::take(file, LIMIT)).ok());
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn names_and_numbers_are_resolved() {
        let directory = std::env::temp_dir().join(format!("engine-owner-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("etc")).expect("mkdir");
        std::fs::write(directory.join("etc/passwd"), "root:x:0:0::/:\nbob:x:44:45::/:/bin/sh\n").expect("write");
        std::fs::write(directory.join("etc/group"), "grp:x:77:\n").expect("write");
        let root = std::fs::File::open(&directory).expect("open");
        let resolve = |text: &str| resolve(root.as_fd(), text).map_err(|error| error.to_string());
        assert_eq!(resolve("bob:grp"), Ok((44, 77)));
        assert_eq!(resolve("9"), Ok((9, 9)));
        assert_eq!(resolve(":grp"), Ok((0, 77)));
        let prefix = "unable to convert uid/gid chown string to host mapping: can't find";
        assert_eq!(resolve("bob"), Err(format!("{prefix} gid for group bob: no such group: bob")));
        assert_eq!(resolve("nobody"), Err(format!("{prefix} uid for user nobody: no such user: nobody")));
        std::fs::remove_dir_all(&directory).expect("cleanup");
    }
}

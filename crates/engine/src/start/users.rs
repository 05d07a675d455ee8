//! Who the container's process is: `--user` and `--group-add` read against the image's passwd and group files.
//!
//! The files are parsed here, never through NSS: they belong to the image, not to the host.

use crate::error::Invalid;

/// The numbers a process runs with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcessUser {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Home directory; `/` when the files do not know the user.
    pub home: String,
}

struct PasswdEntry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct GroupEntry<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

/// Resolves `user[:group]` (names or numbers, empty for root) and further groups.
///
/// # Errors
/// [`Invalid::User`], [`Invalid::Group`], [`Invalid::IdRange`].
pub(crate) fn resolve(user: &str, add: &[String], passwd: &str, group: &str) -> Result<ProcessUser, Invalid> {
    let (wanted, wanted_group) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (user, None),
    };
    let wanted = if wanted.is_empty() { "0" } else { wanted };
    let entry = passwd_entries(passwd).find(|entry| entry.name == wanted || entry.uid.to_string() == wanted);
    let mut found = match (&entry, number(wanted)?) {
        (Some(entry), _) => {
            ProcessUser { uid: entry.uid, gid: entry.gid, groups: Vec::new(), home: entry.home.to_owned() }
        }
        (None, Some(uid)) => ProcessUser { uid, gid: 0, groups: Vec::new(), home: "/".to_owned() },
        (None, None) => return Err(Invalid::User(wanted.to_owned())),
    };
    match wanted_group {
        Some(name) => found.gid = group_id(name, group)?,
        None => {
            if let Some(entry) = &entry {
                found.groups = memberships(entry.name, group);
            }
        }
    }
    for name in add {
        let gid = group_id(name, group)?;
        if !found.groups.contains(&gid) {
            found.groups.push(gid);
        }
    }
    if found.home.is_empty() {
        "/".clone_into(&mut found.home);
    }
    Ok(found)
}

/// The user and group id of `user[:group]`.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn ids(user: &str, passwd: &str, group: &str) -> Result<(u32, u32), Invalid> {
    resolve(user, &[], passwd, group).map(|user| (user.uid, user.gid))
}

fn memberships(user: &str, group: &str) -> Vec<u32> {
    let member = |entry: &GroupEntry<'_>| entry.members.split(',').any(|member| member == user);
    group_entries(group).filter(member).map(|entry| entry.gid).collect()
}

fn group_id(wanted: &str, group: &str) -> Result<u32, Invalid> {
    let known = group_entries(group).find(|entry| entry.name == wanted).map(|entry| entry.gid);
    match known {
        Some(gid) => Ok(gid),
        None => number(wanted)?.ok_or_else(|| Invalid::Group(wanted.to_owned())),
    }
}

/// A number within the range of ids, or `None` for a name.
fn number(text: &str) -> Result<Option<u32>, Invalid> {
    match text.parse::<i64>() {
        Ok(id) => u32::try_from(id).ok().filter(|id| *id <= 0x7fff_ffff).map(Some).ok_or(Invalid::IdRange),
        Err(_) => Ok(None),
    }
}

fn passwd_entries(text: &str) -> impl Iterator<Item = PasswdEntry<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let home = fields.nth(1).unwrap_or("");
        Some(PasswdEntry { name, uid: uid.parse().ok()?, gid: gid.parse().ok()?, home })
    })
}

fn group_entries(text: &str) -> impl Iterator<Item = GroupEntry<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
        Some(GroupEntry { name, gid: gid.parse().ok()?, members: fields.next().unwrap_or("") })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33:www:/var/www:/bin/false\nbroken\n";
    const GROUP: &str = "root:x:0:\nweb:x:33:\nadm:x:4:web,other\nplugdev:x:46:web\n";

    #[test]
    fn names_and_numbers_are_found() {
        let cases = [
            ("", (0, 0, vec![], "/root")),
            ("web", (33, 33, vec![4, 46], "/var/www")),
            ("33", (33, 33, vec![4, 46], "/var/www")),
            ("web:adm", (33, 4, vec![], "/var/www")),
            ("1001", (1001, 0, vec![], "/")),
            ("1001:1002", (1001, 1002, vec![], "/")),
            (":adm", (0, 4, vec![], "/root")),
        ];
        for (user, (uid, gid, groups, home)) in cases {
            let expected = ProcessUser { uid, gid, groups, home: home.to_owned() };
            assert_eq!(resolve(user, &[], PASSWD, GROUP), Ok(expected), "{user}");
        }
    }

    #[test]
    fn additional_groups_are_not_doubled() {
        let add = ["adm".to_owned(), "77".to_owned(), "4".to_owned()];
        let user = resolve("web", &add, PASSWD, GROUP).expect("known");
        assert_eq!(user.groups, [4, 46, 77]);
    }

    #[test]
    fn unknown_names_are_refused() {
        assert_eq!(resolve("nobody", &[], PASSWD, GROUP), Err(Invalid::User("nobody".to_owned())));
        assert_eq!(resolve("0:staff", &[], PASSWD, GROUP), Err(Invalid::Group("staff".to_owned())));
        assert_eq!(resolve("-1", &[], PASSWD, GROUP), Err(Invalid::IdRange));
        assert_eq!(resolve("4294967296", &[], PASSWD, GROUP), Err(Invalid::IdRange));
    }
}

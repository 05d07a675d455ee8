//! `userns-remap`: whose subordinate ids containers get.

use std::fs;

use anyhow::{Context as _, bail};
use engine::Remap;

/// Ids that a mapped container has where no file says.
const SIZE: u32 = 65_536;
/// The first of them, and of Docker's own user's on a fresh machine.
const FIRST: u32 = 100_000;
/// The user whose ids `default` takes.
const DEFAULT_USER: &str = "dockremap";

/// What the setting asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RemapChoice {
    /// `default`.
    Default,
    /// `USER` or `USER:GROUP`, by name or number.
    User { user: String, group: Option<String> },
}

/// Reads the setting.
///
/// # Errors
/// In words.
pub(super) fn parse(text: &str) -> Result<RemapChoice, String> {
    if text == "default" {
        return Ok(RemapChoice::Default);
    }
    let mut parts = text.split(':');
    match (parts.next().filter(|user| !user.is_empty()), parts.next(), parts.next()) {
        (Some(user), None, None) => Ok(RemapChoice::User { user: user.to_owned(), group: None }),
        (Some(user), Some(group), None) if !group.is_empty() => {
            Ok(RemapChoice::User { user: user.to_owned(), group: Some(group.to_owned()) })
        }
        _ => Err(format!("invalid user/group specification in userns-remap setting: {text}")),
    }
}

/// Looks the ids up in the machine's files.
///
/// # Errors
/// For a user who does not exist, or has no subordinate ids.
pub(super) fn resolve(choice: &RemapChoice) -> anyhow::Result<Remap> {
    Files::read().resolve(choice)
}

/// passwd(5), group(5), subuid(5) and subgid(5); empty where there is none.
struct Files {
    passwd: String,
    group: String,
    subuid: String,
    subgid: String,
}

// === impl Files ===

impl Files {
    fn read() -> Self {
        let [passwd, group, subuid, subgid] = ["passwd", "group", "subuid", "subgid"]
            .map(|name| fs::read_to_string(format!("/etc/{name}")).unwrap_or_default());
        Self { passwd, group, subuid, subgid }
    }

    fn resolve(&self, choice: &RemapChoice) -> anyhow::Result<Remap> {
        let (user, group) = match choice {
            RemapChoice::Default => {
                let listed = lookup(&self.passwd, DEFAULT_USER)
                    .filter(|names| range(&self.subuid, names).is_some() && range(&self.subgid, names).is_some());
                match listed {
                    Some(names) => (names.clone(), names),
                    None => return Ok(Remap { uid: FIRST, gid: FIRST, size: SIZE }),
                }
            }
            RemapChoice::User { user, group } => match self.names(user, group.as_deref())? {
                Ok(names) => names,
                Err(first_ids) => return Ok(first_ids),
            },
        };
        let missing = |kind: &str, names: &Names| {
            format!("Can't create ID mappings: no {kind} ranges found for {:?}", names.name)
        };
        let (uid, uids) = range(&self.subuid, &user).with_context(|| missing("subuid", &user))?;
        let (gid, gids) = range(&self.subgid, &group).with_context(|| missing("subgid", &group))?;
        Ok(Remap { uid, gid, size: uids.min(gids) })
    }

    /// The two names whose ranges count; or the first host ids themselves, where numbers are nobody's.
    fn names(&self, user: &str, group: Option<&str>) -> anyhow::Result<Result<(Names, Names), Remap>> {
        let found = lookup(&self.passwd, user);
        let group_name = group.or(found.as_ref().map(|found| found.name.as_str())).unwrap_or(user);
        let found_group = lookup(&self.group, group_name);
        let number = |text: &str| text.parse::<u32>().ok().filter(|id| *id > 0);
        match (found, found_group) {
            (Some(user), Some(group)) => Ok(Ok((user, group))),
            // A user without a group of the same name has the subordinate groups under its own.
            (Some(user), None) if group.is_none() => Ok(Ok((user.clone(), user))),
            (Some(_), None) => bail!("userns-remap: no group {:?}", group.unwrap_or(user)),
            (None, _) => match (number(user), number(group.unwrap_or(user))) {
                (Some(uid), Some(gid)) => Ok(Err(Remap { uid, gid, size: SIZE })),
                _ => bail!("userns-remap: no user {user:?}"),
            },
        }
    }
}

/// Who an entry belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Names {
    name: String,
    id: String,
}

/// An entry of passwd(5) or group(5) by name or number.
fn lookup(file: &str, wanted: &str) -> Option<Names> {
    let entries = file.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id = fields.nth(1)?;
        Some(Names { name: name.to_owned(), id: id.to_owned() })
    });
    let entries: Vec<Names> = entries.collect();
    let by = |key: fn(&Names) -> &str| entries.iter().find(|entry| key(entry) == wanted).cloned();
    by(|entry| &entry.name).or_else(|| by(|entry| &entry.id))
}

/// The first range of subuid(5) or subgid(5), with those that go on where it ends.
fn range(file: &str, names: &Names) -> Option<(u32, u32)> {
    let mut found: Option<(u32, u32)> = None;
    for line in file.lines() {
        let mut fields = line.trim().split(':');
        let (Some(owner), Some(first), Some(count)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let (Ok(first), Ok(count)) = (first.parse::<u32>(), count.parse::<u32>()) else { continue };
        if (owner != names.name && owner != names.id) || first == 0 || count == 0 {
            continue;
        }
        found = match found {
            None => Some((first, count)),
            Some((start, size)) if start.checked_add(size) == Some(first) => Some((start, size.saturating_add(count))),
            other => other,
        };
    }
    found.filter(|(first, count)| first.checked_add(*count).is_some())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn files() -> Files {
        Files {
            passwd: "root:x:0:0::/:/bin/sh\nmapped:x:900:901::/:/bin/sh\nbare:x:902:902::/:\n".to_owned(),
            group: "root:x:0:\nmapped:x:901:\nothers:x:950:\n".to_owned(),
            subuid: "# x\nmapped:200000:1000\nmapped:201000:500\nmapped:400000:10\n".to_owned(),
            subgid: "901:300000:65536\nothers:500000:7\n".to_owned(),
        }
    }

    #[test]
    fn the_setting_is_read() {
        assert_eq!(parse("default"), Ok(RemapChoice::Default));
        let user = |user: &str, group: Option<&str>| RemapChoice::User {
            user: user.to_owned(),
            group: group.map(str::to_owned),
        };
        assert_eq!(parse("a"), Ok(user("a", None)));
        assert_eq!(parse("a:b"), Ok(user("a", Some("b"))));
        for bad in ["", ":", "a:", ":b", "a:b:c"] {
            assert_eq!(parse(bad), Err(format!("invalid user/group specification in userns-remap setting: {bad}")));
        }
    }

    #[test]
    fn ids_come_from_the_files() {
        let of = |text: &str| files().resolve(&parse(text).unwrap()).map_err(|error| error.to_string());
        assert_eq!(of("mapped"), Ok(Remap { uid: 200_000, gid: 300_000, size: 1500 }));
        assert_eq!(of("900"), of("mapped"));
        assert_eq!(of("mapped:others"), Ok(Remap { uid: 200_000, gid: 500_000, size: 7 }));
        assert_eq!(of("900:950"), of("mapped:others"));
        assert_eq!(of("default"), Ok(Remap { uid: 100_000, gid: 100_000, size: 65_536 }));
        assert_eq!(of("70000:80000"), Ok(Remap { uid: 70_000, gid: 80_000, size: 65_536 }));
        assert_eq!(of("bare"), Err("Can't create ID mappings: no subuid ranges found for \"bare\"".to_owned()));
        assert_eq!(of("nobody-here"), Err("userns-remap: no user \"nobody-here\"".to_owned()));
        assert_eq!(of("mapped:nobody"), Err("userns-remap: no group \"nobody\"".to_owned()));
    }
}

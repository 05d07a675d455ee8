//! Whose the files of a bind are (`-v SOURCE:TARGET:idmap`): who owns the source on the host is the container's user
//! inside, and what that user makes there is the owner's on the host.
//!
//! `idmap` alone maps that one user and group. All other ids keep their number, but for the two that take part: whoever
//! has the user's number on the disk is nobody inside, and who has the owner's number inside can make no file, so that
//! nobody in the container makes files in another one's name. `idmap=uids=D-C-N#…;gids=D-C-N#…` says it all: N ids from D
//! on the disk are those from C in the container; the rest is nobody.

use runtime::spec::IdMapping;

use crate::error::Invalid;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Idmap {
    /// The source's owner is the container's user.
    Owner,
    /// These users and groups.
    Given(Vec<IdRange>, Vec<IdRange>),
}

/// Ids of a disk that are others in the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdRange {
    disk: u32,
    container: u32,
    count: u32,
}

/// As many ids as the kernel has: the last number means none.
const IDS: u32 = u32::MAX;
/// Lines that the kernel takes of one map.
const MOST: usize = 340;

// === impl Idmap ===

impl Idmap {
    /// Reads one word of a bind's mode; `None` when it is about something else.
    ///
    /// # Errors
    /// [`Invalid::MountMode`].
    pub(crate) fn parse(word: &str) -> Result<Option<Self>, Invalid> {
        if word == "idmap" {
            return Ok(Some(Self::Owner));
        }
        let Some(given) = word.strip_prefix("idmap=") else { return Ok(None) };
        let (mut uids, mut gids) = (Vec::new(), Vec::new());
        for part in given.split(';') {
            match part.split_once('=') {
                Some(("uids", ranges)) => uids.extend(read(ranges)),
                Some(("gids", ranges)) => gids.extend(read(ranges)),
                _ => return Err(Invalid::MountMode(word.to_owned())),
            }
        }
        let fine = |ranges: &[IdRange]| !ranges.is_empty() && ranges.len() <= MOST && ranges.iter().all(IdRange::fits);
        // A range that could not be read is one of no ids.
        if fine(&uids) && fine(&gids) {
            Ok(Some(Self::Given(uids, gids)))
        } else {
            Err(Invalid::MountMode(word.to_owned()))
        }
    }

    /// The maps of users and groups; `owner` and `user` are user and group of the source and of the process. `host` gives
    /// for both kinds the first id and the number of ids of the container's user namespace.
    pub(crate) fn maps(
        &self,
        owner: (u32, u32),
        user: (u32, u32),
        host: Option<[(u32, u32); 2]>,
    ) -> [Vec<IdMapping>; 2] {
        let (uids, gids) = match self {
            Self::Owner => (swapped(owner.0, user.0), swapped(owner.1, user.1)),
            Self::Given(uids, gids) => (uids.clone(), gids.clone()),
        };
        let on_host = host.map_or([None; 2], |[uids, gids]| [Some(uids), Some(gids)]);
        [map(&uids, on_host[0]), map(&gids, on_host[1])]
    }
}

// === impl IdRange ===

impl IdRange {
    fn fits(&self) -> bool {
        let end = |first: u32| first.checked_add(self.count).is_some();
        self.count > 0 && end(self.disk) && end(self.container)
    }
}

fn read(ranges: &str) -> Vec<IdRange> {
    let one = |text: &str| {
        let mut numbers = text.split('-').map(|number| number.parse().ok());
        let range = IdRange { disk: numbers.next()??, container: numbers.next()??, count: numbers.next()?? };
        numbers.next().is_none().then_some(range)
    };
    ranges.split('#').map(|text| one(text).unwrap_or(IdRange { disk: 0, container: 0, count: 0 })).collect()
}

/// `owner` on the disk is `user` inside; the others are who they are.
fn swapped(owner: u32, user: u32) -> Vec<IdRange> {
    let same = |first: u32, end: u32| IdRange { disk: first, container: first, count: end.saturating_sub(first) };
    let (low, high) = (owner.min(user), owner.max(user));
    let own = IdRange { disk: owner, container: user, count: 1 };
    let ranges = [own, same(0, low), same(low.saturating_add(1), high), same(high.saturating_add(1), IDS)];
    ranges.into_iter().filter(|range| range.count > 0).collect()
}

/// Ids as the host has them: `base` and `size` of the container's namespace, or the same ids without one.
fn map(ranges: &[IdRange], namespace: Option<(u32, u32)>) -> Vec<IdMapping> {
    let on_host = |range: &IdRange| {
        let (base, size) = namespace.unwrap_or((0, IDS));
        let count = size.saturating_sub(range.container).min(range.count);
        let host_id = base.checked_add(range.container)?;
        (count > 0).then_some(IdMapping { container_id: range.disk, host_id, size: count })
    };
    ranges.iter().filter_map(on_host).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(map: &[IdMapping]) -> Vec<(u32, u32, u32)> {
        map.iter().map(|one| (one.container_id, one.host_id, one.size)).collect()
    }

    #[test]
    fn the_owner_is_the_user_and_nobody_else_is() {
        let idmap = Idmap::parse("idmap").expect("a word").expect("of ours");
        let [uids, gids] = idmap.maps((1000, 100), (0, 0), None);
        assert_eq!(lines(&uids), [(1000, 0, 1), (1, 1, 999), (1001, 1001, IDS - 1001)]);
        assert_eq!(lines(&gids), [(100, 0, 1), (1, 1, 99), (101, 101, IDS - 101)]);
        let [same, _] = idmap.maps((0, 0), (0, 0), None);
        assert_eq!(lines(&same), [(0, 0, 1), (1, 1, IDS - 1)]);
        let [mapped, _] = idmap.maps((1000, 0), (33, 0), Some([(100_000, 65_536); 2]));
        assert_eq!(lines(&mapped)[..2], [(1000, 100_033, 1), (0, 100_000, 33)]);
        assert_eq!(lines(&mapped)[3], (1001, 101_001, 65_536 - 1001));
    }

    #[test]
    fn ranges_are_given_or_refused() {
        let given = Idmap::parse("idmap=uids=1000-0-1#0-1-5;gids=0-0-10").expect("valid").expect("of ours");
        let [uids, gids] = given.maps((7, 7), (8, 8), None);
        assert_eq!((lines(&uids), lines(&gids)), (vec![(1000, 0, 1), (0, 1, 5)], vec![(0, 0, 10)]));
        for bad in ["idmap=", "idmap=uids=0-0-1", "idmap=uids=0-0;gids=0-0-1", "idmap=uids=0-0-0;gids=0-0-1", "idmap=x"]
        {
            assert_eq!(
                Idmap::parse(bad).map_err(|error| error.to_string()),
                Err(format!("invalid mode: {bad}")),
                "{bad}"
            );
        }
        assert_eq!(Idmap::parse("ro"), Ok(None));
    }
}

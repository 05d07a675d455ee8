//! Owners of files in containers whose users are mapped.

/// The host's ids that stand for a container's own, seen through a mount that maps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    /// First host user id.
    pub uid: u32,
    /// First host group id.
    pub gid: u32,
    /// How many ids.
    pub size: u32,
}

/// Who owns what has no owner in the container (`/proc/sys/kernel/overflowuid`).
const NOBODY: u32 = 65534;

impl Shift {
    /// Owner and group as the container sees them.
    pub(crate) fn to_container(self, uid: u32, gid: u32) -> (u32, u32) {
        let back = |id: u32, first: u32| id.checked_sub(first).filter(|id| *id < self.size).unwrap_or(NOBODY);
        (back(uid, self.uid), back(gid, self.gid))
    }

    /// Owner and group as the host stores them; the error is the id that has no place.
    pub(crate) fn to_host(self, uid: u32, gid: u32) -> Result<(u32, u32), u32> {
        let forth = |id: u32, first: u32| {
            let mapped = first.checked_add(id).filter(|_| id < self.size);
            mapped.ok_or(id)
        };
        Ok((forth(uid, self.uid)?, forth(gid, self.gid)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_forth_and_back() {
        let shift = Shift { uid: 100_000, gid: 200_000, size: 65536 };
        assert_eq!(shift.to_host(0, 33), Ok((100_000, 200_033)));
        assert_eq!(shift.to_host(65536, 0), Err(65536));
        assert_eq!(shift.to_container(100_000, 200_033), (0, 33));
        assert_eq!(shift.to_container(0, 300_000), (NOBODY, NOBODY));
    }
}

//! What a path in a container leads to.

use api::container::PathStat;
use jiff::Timestamp;

use super::time;

/// Types of files in Go's `os.FileMode`, by the type bits of stat(2).
const KINDS: [(u32, u32); 6] = [
    (0o040_000, 1 << 31),
    (0o120_000, 1 << 27),
    (0o060_000, 1 << 26),
    (0o020_000, 1 << 26 | 1 << 21),
    (0o010_000, 1 << 25),
    (0o140_000, 1 << 24),
];
/// Set-user-id, set-group-id and sticky bit.
const BITS: [(u32, u32); 3] = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];

/// Encodes the header of `/containers/{id}/archive`.
#[must_use]
pub fn path_stat(stat: &engine::model::PathStat) -> PathStat {
    let (seconds, nanos) = stat.modified;
    let modified = Timestamp::new(seconds, i32::try_from(nanos).unwrap_or(0));
    PathStat {
        name: stat.name.clone(),
        size: stat.size,
        mode: go_mode(stat.mode),
        mtime: modified.map_or_else(|_| time::ZERO.to_owned(), |time| time.to_string()),
        link_target: stat.link_target.clone(),
    }
}

fn go_mode(mode: u32) -> u32 {
    let kind = KINDS.iter().find(|(bits, _)| mode & 0o170_000 == *bits).map_or(0, |(_, go)| *go);
    let bits: u32 = BITS.iter().filter(|(bit, _)| mode & bit != 0).map(|(_, go)| go).sum();
    mode & 0o777 | kind | bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_gos() {
        for (mode, go) in [
            (0o040_755, 2_147_484_141),
            (0o104_755, 8_389_101),
            (0o120_777, 134_218_239),
            (0o010_644, 33_554_852),
            (0o041_777, 2_148_532_735),
            (0o020_666, 0o666 | 1 << 26 | 1 << 21),
        ] {
            assert_eq!(go_mode(mode), go, "{mode:o}");
        }
    }
}

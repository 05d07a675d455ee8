//! Conversions from config.json's units, which are version 1's, to version 2's.

use super::Error;

/// `cpu.weight` (1 to 10000) for CPU shares (2 to 262144): 2 → 1, 1024 → 100, 262144 → 10000.
///
/// The curve goes through the three points where the two scales agree (least, default, most), so that a
/// container with the default share weighs as much as a group nobody configured. The older straight line gave
/// the default share a weight of 39. It is the curve of the OCI runtimes since 2025.
pub fn cpu_weight(shares: u64) -> u64 {
    if shares <= 2 {
        return 1;
    }
    if shares >= 262_144 {
        return 10_000;
    }
    let log = (shares as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    (10f64.powf(exponent)).ceil() as u64
}

/// `io.weight` (1 to 10000) for a block weight (10 to 1000).
pub fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight).clamp(10, 1000) - 10) * 9999 / 990
}

/// `memory.swap.max` for Docker's memory and memory-plus-swap limits, in bytes; `None` leaves it alone.
/// -1 is unlimited; an absent or zero limit is unset.
pub fn swap_limit(limit: Option<i64>, memory_and_swap: Option<i64>) -> Result<Option<i64>, Error> {
    let invalid = |reason| Err(Error::Invalid { setting: "memory.swap", reason });
    let limit = limit.unwrap_or(0);
    match memory_and_swap.unwrap_or(0) {
        // Unlimited memory with unset swap: unlimited swap, as version 1 has it.
        0 if limit == -1 => Ok(Some(-1)),
        0 => Ok(None),
        -1 => Ok(Some(-1)),
        total if total < 0 => invalid("negative"),
        _ if limit == 0 || limit == -1 => invalid("it needs a memory limit"),
        _ if limit < 0 => invalid("the memory limit is negative"),
        total if total < limit => invalid("it must not be smaller than the memory limit"),
        total => Ok(Some(total - limit)),
    }
}

/// A version 2 limit as text.
pub(super) fn or_max(value: i64) -> String {
    if value < 0 { "max".to_owned() } else { value.to_string() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shares_map_through_the_three_fixed_points() {
        assert_eq!([0, 2, 1024, 262_144, 1_000_000].map(cpu_weight), [1, 1, 100, 10_000, 10_000]);
        assert_eq!([512, 2048].map(cpu_weight), [59, 174]);
        assert!((3..262_144u64).step_by(97).all(|s| cpu_weight(s) <= cpu_weight(s + 97)));
    }

    #[test]
    fn io_weight_spans_the_range() {
        assert_eq!([10, 100, 500, 1000].map(io_weight), [1, 910, 4950, 10_000]);
    }

    #[test]
    fn swap_is_the_difference() {
        assert_eq!(swap_limit(Some(100), Some(150)).unwrap(), Some(50));
        assert_eq!(swap_limit(Some(100), Some(100)).unwrap(), Some(0));
        assert_eq!(swap_limit(Some(100), Some(-1)).unwrap(), Some(-1));
        assert_eq!(swap_limit(Some(100), None).unwrap(), None);
        assert_eq!(swap_limit(Some(-1), None).unwrap(), Some(-1));
        assert!(swap_limit(None, Some(100)).is_err());
        assert!(swap_limit(Some(100), Some(50)).is_err());
    }
}

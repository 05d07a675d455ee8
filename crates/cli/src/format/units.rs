//! Sizes in words (`1.24MB`, `1.952GiB`), as go-units writes them.

use super::number::significant;

const DECIMAL: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const BINARY: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

/// A size in powers of 1000 with `precision` significant digits.
#[must_use]
pub fn human_size(bytes: f64, precision: usize) -> String {
    let (value, unit) = scale(bytes, 1000.0, &DECIMAL);
    format!("{}{unit}", significant(value, precision))
}

/// A size in powers of 1024 with four significant digits (`1.952GiB`).
#[must_use]
pub fn binary_size(bytes: f64) -> String {
    let (value, unit) = scale(bytes, 1024.0, &BINARY);
    format!("{}{unit}", significant(value, 4))
}

fn scale(mut size: f64, base: f64, units: &[&'static str]) -> (f64, &'static str) {
    let mut unit = 0;
    while size >= base && unit + 1 < units.len() {
        size /= base;
        unit += 1;
    }
    (size, units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_sizes() {
        assert_eq!(human_size(1_240_000.0, 3), "1.24MB");
        assert_eq!(human_size(0.0, 3), "0B");
        assert_eq!(human_size(13_256.0, 4), "13.26kB");
        assert_eq!(binary_size(2_095_734_784.0), "1.952GiB");
    }
}

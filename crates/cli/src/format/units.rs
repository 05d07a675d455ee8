//! Sizes and durations in words (`1.24MB`, `2 hours`), as go-units writes them.

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

/// A duration of whole seconds, roughly (`About a minute`, `3 weeks`).
#[must_use]
pub fn human_duration(seconds: i64) -> String {
    // Hours are rounded to the nearest for everything but years.
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        i64::MIN..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
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
    fn words_for_sizes_and_durations() {
        assert_eq!(human_size(1_240_000.0, 3), "1.24MB");
        assert_eq!(human_size(0.0, 3), "0B");
        assert_eq!(human_size(13_256.0, 4), "13.26kB");
        assert_eq!(binary_size(2_095_734_784.0), "1.952GiB");
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (61, "About a minute"),
            (180, "3 minutes"),
            (3600, "About an hour"),
            (5399, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (14 * 86400, "2 weeks"),
            (60 * 86400, "2 months"),
            (3 * 365 * 86400, "3 years"),
        ] {
            assert_eq!(human_duration(seconds), text, "{seconds}");
        }
    }
}

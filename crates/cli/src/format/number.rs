//! Numbers as Go prints them.

/// Go's `%.<precision>g`.
#[must_use]
pub fn significant(value: f64, precision: usize) -> String {
    let precision = precision.max(1);
    let scientific = format!("{value:.*e}", precision - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let precision = i32::try_from(precision).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= precision {
        return format!("{}{}", trim_zeros(mantissa), go_exponent(exponent));
    }
    let decimals = usize::try_from(precision - 1 - exponent).unwrap_or(0);
    trim_zeros(&format!("{value:.decimals$}")).to_owned()
}

/// Go's `%v` of a `float64`: the shortest text that reads back, with an exponent from 1e21 on.
#[must_use]
pub fn shortest(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..21).contains(&exponent) { format!("{value}") } else { format!("{mantissa}{}", go_exponent(exponent)) }
}

fn trim_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

fn go_exponent(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_numbers_as_go_does() {
        for (value, precision, text) in [
            (1.24, 3, "1.24"),
            (77.8, 3, "77.8"),
            (999.9, 3, "1e+03"),
            (0.0, 3, "0"),
            (1001.0, 4, "1001"),
            (13.256, 4, "13.26"),
        ] {
            assert_eq!(significant(value, precision), text);
        }
        assert_eq!(shortest(0.25), "0.25");
        assert_eq!(shortest(1e21), "1e+21");
        assert_eq!(shortest(3.0), "3");
    }
}

//! Named figures and their comparison.

/// Figures in the order in which they were measured.
#[derive(Default)]
pub struct Figures(Vec<(String, f64)>);

impl Figures {
    /// Adds a figure.
    pub fn add(&mut self, name: impl Into<String>, value: f64) {
        self.0.push((name.into(), value));
    }

    fn value(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

/// The middle of some values; the mean of the two middle ones of an even number.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// Prints a table; with a reference also how many times better (over 1) or worse Gantry is.
pub fn print(ours: &Figures, theirs: Option<&Figures>) {
    let heading = if theirs.is_some() { "reference     ratio" } else { "" };
    println!("\n{:<26} {:>10} {heading}", "figure", "gantry");
    for (name, value) in &ours.0 {
        match theirs.and_then(|figures| figures.value(name)) {
            Some(other) => println!("{name:<26} {value:>10.2} {other:>9.2} {:>9.1}", ratio(name, *value, other)),
            None => println!("{name:<26} {value:>10.2}"),
        }
    }
}

/// Rates are better when larger, everything else when smaller.
fn ratio(name: &str, ours: f64, theirs: f64) -> f64 {
    let rate = name.ends_with("_per_s") || name.ends_with("_mb_s");
    if rate { ours / theirs } else { theirs / ours }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ratios() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!((ratio("exec_ms", 5.0, 50.0) - 10.0).abs() < 1e-9);
        assert!((ratio("log_read_mb_s", 300.0, 30.0) - 10.0).abs() < 1e-9);
        assert!((ratio("many_start_per_s", 100.0, 10.0) - 10.0).abs() < 1e-9);
    }
}

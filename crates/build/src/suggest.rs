//! The nearest known word to a misspelt one.

/// Edits at which a word is too far off to be meant.
const TOO_FAR: usize = 3;

/// The option with the fewest edits to `word`, if there are fewer than three; letters' case counts.
///
/// `None` as well when the word is one of the options: then it is not misspelt.
pub fn nearest<'a>(word: &str, options: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best = None;
    let mut distance = TOO_FAR;
    for option in options {
        if option == word {
            return None;
        }
        let edits = edits(word, option);
        if edits < distance {
            (best, distance) = (Some(option), edits);
        }
    }
    best
}

/// As [`nearest`] for a word in any case; the answer is in the case of the word.
pub fn nearest_any_case<'a>(word: &str, options: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let options: Vec<String> = options.into_iter().map(str::to_lowercase).collect();
    let found = nearest(&word.to_lowercase(), options.iter().map(String::as_str))?;
    Some(if word == word.to_uppercase() { found.to_uppercase() } else { found.to_owned() })
}

/// Insertions, deletions and replacements that lead from one word to the other.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, letter) in from.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let words = ["FROM", "RUN", "COPY", "HEALTHCHECK"];
        assert_eq!(nearest_any_case("FORM", words).as_deref(), Some("FROM"));
        assert_eq!(nearest_any_case("coppy", words).as_deref(), Some("copy"));
        assert_eq!(nearest_any_case("HEALTCHEK", words).as_deref(), Some("HEALTHCHECK"));
        assert_eq!(nearest_any_case("python", words), None);
        assert_eq!(nearest("FROM", words), None);
    }
}

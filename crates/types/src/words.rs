//! The system's words as Go writes them.

/// Text of a system call's error without its number, beginning small: `No such file or directory (os error 2)` becomes
/// `no such file or directory`. Other texts stay as they are.
#[must_use]
pub fn go_words(text: &str) -> String {
    let Some((words, _)) = text.split_once(" (os error ") else { return text.to_owned() };
    let mut letters = words.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_the_system_change() {
        assert_eq!(go_words("No such file or directory (os error 2)"), "no such file or directory");
        assert_eq!(go_words("RFC 1035 forbids it"), "RFC 1035 forbids it");
    }
}

//! The system's words as Go writes them.

/// Texts of system calls' errors without their numbers, beginning small: `open x: No such file or directory (os error 2)`
/// becomes `open x: no such file or directory`. Other texts stay as they are.
#[must_use]
pub fn go_words(text: &str) -> String {
    const NUMBER: &str = " (os error ";
    let (mut said, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, behind)) = rest.split_once(NUMBER) {
        let Some((_, behind)) = behind.split_once(')') else { break };
        let clause = before.rfind(": ").map_or(0, |colon| colon + 2);
        let mut letters = before[clause..].chars();
        said.push_str(&before[..clause]);
        said.extend(letters.next().into_iter().flat_map(char::to_lowercase));
        said.push_str(letters.as_str());
        rest = behind;
    }
    said.push_str(rest);
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_the_system_change() {
        assert_eq!(go_words("No such file or directory (os error 2)"), "no such file or directory");
        assert_eq!(
            go_words("Mkdir /X: Read-only file system (os error 30): No space left on device (os error 28), so"),
            "Mkdir /X: read-only file system: no space left on device, so"
        );
        assert_eq!(go_words("RFC 1035 forbids it"), "RFC 1035 forbids it");
    }
}

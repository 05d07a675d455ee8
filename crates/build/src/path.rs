//! Paths as text, cleaned as Go's `path.Clean` does.

/// The shortest path that means the same without looking at any file: no `//`, `.` or avoidable `..`. Nothing is `.`.
#[must_use]
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            // Above the root is the root.
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// `path` seen from the directory `from`, cleaned.
#[must_use]
pub fn join(from: &str, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("{from}/{path}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, cleaned) in [
            ("", "."),
            ("a//b/./c/..", "a/b"),
            ("/../a", "/a"),
            ("../a/../..", "../.."),
            ("/", "/"),
            ("a/..", "."),
            ("./a/", "a"),
            ("//", "/"),
        ] {
            assert_eq!(clean(path), cleaned, "{path:?}");
        }
        assert_eq!((join("/a", "../b"), join("/a", "/c/")), ("/b".to_owned(), "/c".to_owned()));
    }
}

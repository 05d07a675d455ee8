//! Which paths are left out. Cases follow what Docker's matcher does, oddities included.

use proptest::prelude::*;

use super::*;

fn ignores(patterns: &[&str], path: &str) -> bool {
    Ignore::new(patterns).unwrap_or_else(|error| panic!("{patterns:?}: {error}")).ignores(path)
}

#[test]
fn single_patterns() {
    for (pattern, path, ignored) in [
        ("a", "a", true),
        ("a", "a/b/c", true),
        ("a", "b/a", false),
        ("a", "ab", false),
        ("a/", "a", true),
        ("./a", "a", true),
        ("a/./b/../c", "a/c", true),
        ("*", "a", true),
        ("*", "a/b", true),
        ("*.go", "x.go", true),
        ("*.go", "d/x.go", false),
        ("*/x.go", "d/x.go", true),
        ("*/x.go", "d/e/x.go", false),
        ("a?c", "abc", true),
        ("a?c", "a/c", false),
        ("a[b-d]e", "ace", true),
        ("a[b-d]e", "aze", false),
        ("a[^b-d]e", "aze", true),
        ("a[^b-d]e", "a/e", true),
        ("a\\*b", "a*b", true),
        ("a\\*b", "axb", false),
        ("a\\[b", "a[b", true),
        ("[\\]a]", "]", true),
        ("**", "a/b", true),
        ("**/", "a", true),
        ("**/a", "a", true),
        ("**/a", "x/y/a", true),
        ("**/a", "x/y/a/z", true),
        ("**/a", "xa", false),
        ("**a", "xa", true),
        ("**/*.go", "x/y.go", true),
        ("**/*.go", "y.go", true),
        ("**/x/*.go", "a/x/b.go", true),
        ("**/x/*.go", "a/xx/b.go", false),
        ("a/**", "a/b/c", true),
        ("a/**", "a", false),
        ("a**", "abc/d", true),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true),
        ("a/**/b", "a/x/yb", false),
        ("a/**/b/*.c", "a/x/b/y.c", true),
        ("a**/*.c", "axx/b.c", true),
        ("a**/*.c", "ab.c", true),
        (".", "a", false),
        ("a.b", "axb", false),
        ("a+(b)|{c}$", "a+(b)|{c}$", true),
        ("ä?", "äö", true),
        ("a", ".", false),
        ("*", ".", false),
        (" a ", "a", true),
    ] {
        assert_eq!(ignores(&[pattern], path), ignored, "{pattern:?} {path:?}");
    }
}

#[test]
fn the_last_pattern_that_matches_decides() {
    for (patterns, path, ignored) in [
        (&["*", "!a"][..], "a", false),
        (&["*", "!a"], "a/b", false),
        (&["*", "!a/b"], "a/b", false),
        (&["*", "!a/b"], "a/c", true),
        (&["*", "!a"], "b", true),
        (&["!a", "*"], "a", true),
        (&["*.md", "!README*.md", "README-secret.md"], "README-secret.md", true),
        (&["*.md", "!README*.md", "README-secret.md"], "README.md", false),
        (&["d", "!d/e", "d/e/f"], "d/e/f", true),
        (&["d", "!d/e", "d/e/f"], "d/e/g", false),
        (&["d", "!**/keep"], "d/x/keep", false),
        (&["**/x", "!a/x"], "a/x/y", false),
        (&["", "  ", "a"], "a", true),
    ] {
        assert_eq!(ignores(patterns, path), ignored, "{patterns:?} {path:?}");
    }
}

#[test]
fn files_of_patterns() {
    let text = b"\xef\xbb\xbf# comment\r\n\n  /rooted  \n ! /kept/../rooted/in\n#x\n #y\na/\n/\n";
    let ignore = Ignore::parse(text).expect("patterns");
    let texts: Vec<_> = ignore.patterns.iter().map(|pattern| (pattern.text.as_str(), pattern.exception)).collect();
    assert_eq!(texts, [("rooted", false), ("rooted/in", true), ("#y", false), ("a", false), ("/", false)]);
    assert!(ignore.ignores("rooted/x") && !ignore.ignores("rooted/in") && ignore.ignores("a/b"));
    assert!(ignore.has_exceptions() && !ignore.is_empty() && !ignore.ignores_all());
}

#[test]
fn wrong_patterns_are_told() {
    for bad in ["[", "[a", "[]", "[]a]", "[-x]", "[a-]", "[z-a]", "a\\", "[^]"] {
        assert_eq!(Ignore::new([bad]).err(), Some(Error::Syntax(bad.to_owned())), "{bad}");
    }
    assert_eq!(
        Ignore::new(["!"]).err().map(|error| error.to_string()).as_deref(),
        Some("illegal exclusion pattern: \"!\"")
    );
    assert_eq!(Ignore::parse(b"!  \n").err(), Some(Error::Exception));
}

#[test]
fn directories_are_skipped_when_nothing_in_them_is_kept() {
    for (patterns, directory, skipped) in [
        (&["a"][..], "a", true),
        (&["a", "!a/b"], "a", false),
        (&["a", "!a/b/c"], "a/b", false),
        (&["a", "!a/b"], "a/c", true),
        (&["a", "!b"], "a", true),
        (&["a", "!**/keep"], "a", false),
        (&["a", "!*/keep"], "a", false),
        (&["a", "!*/keep"], "a/b", true),
        (&["a", "!a/x*/keep"], "a/xy", false),
        (&["a", "!a/x*/keep"], "a/y", true),
        (&["a", "!a/**/keep"], "a/b/c", false),
        (&["a", "!b/**/k*"], "a", true),
        (&["a", "!a/b/**"], "a/b/c", false),
    ] {
        let ignore = Ignore::new(patterns).expect("patterns");
        assert_eq!(ignore.skips(directory), skipped, "{patterns:?} {directory}");
    }
}

#[test]
fn what_the_builder_reads_is_kept() {
    let mut ignore = Ignore::new(["*", "**/Docker*"]).expect("patterns");
    ignore.keep("sub/Dockerfile[1]");
    assert!(!ignore.ignores("sub/Dockerfile[1]") && ignore.ignores("sub/Dockerfile1") && ignore.ignores("x"));
    let mut ignore = Ignore::new(["x"]).expect("patterns");
    ignore.keep("Dockerfile");
    assert!(!ignore.has_exceptions());
}

fn part() -> impl Strategy<Value = String> {
    "(\\*\\*|\\*|\\?|[ab]|[ab]\\*|\\[a-b\\]|\\\\a){1,2}"
}

proptest! {
    /// A walk that skips directories finds what asking for every path finds.
    #[test]
    fn walking_agrees_with_asking(
        patterns in proptest::collection::vec((proptest::bool::ANY, proptest::collection::vec(part(), 1..4)), 1..5),
        path in "[ab]{1,2}(/[ab]{1,2}){0,3}",
    ) {
        let patterns: Vec<String> =
            patterns.into_iter().map(|(keep, parts)| format!("{}{}", if keep { "!" } else { "" }, parts.join("/"))).collect();
        let ignore = Ignore::new(&patterns).expect("patterns");
        let (mut matched, mut walked) = (Matched::default(), None);
        for (at, _) in path.match_indices('/').chain([(path.len(), "")]) {
            let part = &path[..at];
            let (ignored, below) = ignore.below(&matched, part);
            matched = below;
            if at < path.len() && ignored && ignore.skips(part) {
                walked = Some(true);
                break;
            }
            if at == path.len() {
                walked = Some(ignored);
            }
        }
        prop_assert_eq!(walked, Some(ignore.ignores(&path)), "{:?} {}", patterns, path);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "([!*?a/\\[\\]\\\\ ^.#-]|\\PC|\n){0,40}", path in "\\PC{0,20}") {
        if let Ok(ignore) = Ignore::parse(text.as_bytes()) {
            let _ = (ignore.ignores(&path), ignore.skips(&path));
        }
    }
}

//! The lexer, table by table.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::dockerfile::{Instruction, Source, steps};

fn variables() -> BTreeMap<String, String> {
    let pairs = [("A", "a"), ("EMPTY", ""), ("TWO", "x y"), ("FILE", "dir/a.tar.gz"), ("ä", "umlaut"), ("1", "one")];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn expanded(word: &str) -> String {
    Lexer::default().expand(word, &variables()).unwrap_or_else(|error| panic!("{word:?}: {error}")).text
}

fn refused(word: &str) -> String {
    Lexer::default().expand(word, &variables()).expect_err(word).reason.to_string()
}

#[test]
fn values_quotes_and_escapes() {
    for (word, text) in [
        ("$A", "a"),
        ("${A}b", "ab"),
        ("$Ab", ""),
        ("$A-$A.", "a-a."),
        ("x$", "x$"),
        ("$ x", "$ x"),
        ("$$", ""),
        ("$1$2", "one"),
        ("$ä", "umlaut"),
        ("'$A'", "$A"),
        ("\"$A'\"", "a'"),
        ("\\$A", "$A"),
        ("\"\\$A\\n\\\\\"", "$A\\n\\"),
        ("a\\ b", "a b"),
        ("a\\", "a"),
        ("\"a\"'b'c", "abc"),
        ("he\"l'l\"o", "hel'lo"),
        ("$TWO", "x y"),
        ("a < b << c", "a < b << c"),
    ] {
        assert_eq!(expanded(word), text, "{word:?}");
    }
    let tick = Lexer::new('`').expand("`$A \\$A", &variables()).expect("a word");
    assert_eq!(tick.text, "$A \\a");
}

#[test]
fn modifiers() {
    for (word, text) in [
        ("${A:-x}", "a"),
        ("${B:-x}", "x"),
        ("${B-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${A:+x}", "x"),
        ("${EMPTY:+x}", ""),
        ("${EMPTY+x}", "x"),
        ("${B+x}", ""),
        ("${A:?no}", "a"),
        ("${EMPTY?no}", ""),
        ("${B:-${A}y}", "ay"),
        ("${B:-$A}", "a"),
        ("${B:-'}'}", "}"),
        ("${B:-\\}}", "}"),
        ("${B:-\"a b\"}", "a b"),
        ("${FILE#*/}", "a.tar.gz"),
        ("${FILE#*a}", ".tar.gz"),
        ("${FILE##*.}", "gz"),
        ("${FILE%.*}", "dir/a.tar"),
        ("${FILE%%.*}", "dir/a"),
        ("${FILE/a/A}", "dir/A.tar.gz"),
        ("${FILE//a/A}", "dir/A.tAr.gz"),
        ("${FILE/\\//-}", "dir-a.tar.gz"),
        ("${FILE//?/x}", "xxxxxxxxxxxx"),
        ("${B#x}${B%x}${B/x/y}", ""),
    ] {
        assert_eq!(expanded(word), text, "{word:?}");
    }
}

#[test]
fn what_docker_refuses() {
    for (word, message) in [
        ("'a", "unexpected end of statement while looking for matching single-quote"),
        ("\"a", "unexpected end of statement while looking for matching double-quote"),
        ("${A", "syntax error: missing '}'"),
        ("${", "syntax error: missing '}'"),
        ("${A:-x", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${:x}", "syntax error: bad substitution"),
        ("${{A}}", "syntax error: bad substitution"),
        ("${A!c}", "unsupported modifier (!) in substitution"),
        ("${A:x}", "unsupported modifier (:x) in substitution"),
        ("${A:#x}", "unsupported modifier (:#) in substitution"),
        ("${A/x}", "syntax error: missing '/' in ${}"),
        ("${A/x/y", "syntax error: missing '}'"),
        ("${A#\\x}", "invalid pattern (\\x) in substitution: invalid escape '\\x'"),
        ("${B:?}", "B: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${B?who is B}", "B: who is B"),
    ] {
        assert_eq!(refused(word), message, "{word:?}");
    }
    let error = Lexer::default().expand("${b:?no}", &()).expect_err("unset");
    assert_eq!(error.to_string(), "failed to process \"${b:?no}\": b: no");
}

#[test]
fn nesting_has_a_bound() {
    let nested = |depth: usize| format!("{}x{}", "${B:-".repeat(depth), "}".repeat(depth));
    assert_eq!(expanded(&nested(64)), "x");
    assert_eq!(refused(&nested(65)), "syntax error: substitutions are nested too deeply");
    assert_eq!(refused(&"\"${B:-".repeat(200_000)), "syntax error: substitutions are nested too deeply");
    // One after the other is not inside each other.
    assert_eq!(expanded(&"${B:-x}".repeat(1000)), "x".repeat(1000));
}

#[test]
fn words_split_where_nothing_is_quoted() {
    for (text, words) in [
        ("a b  c", &["a", "b", "c"][..]),
        ("$TWO z", &["x", "y", "z"]),
        ("\"$TWO\" z", &["x y", "z"]),
        ("a\\ b c", &["a b", "c"]),
        ("\"\" ''", &[]),
        ("pre$TWO", &["prex", "y"]),
    ] {
        assert_eq!(Lexer::default().expand(text, &variables()).expect("words").words, words, "{text:?}");
    }
}

#[test]
fn what_was_used_is_known() {
    let found = Lexer::default().expand("$A ${B:-$C} '$D' $A", &variables()).expect("words");
    let names = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    assert_eq!(
        (names(&found.used), names(&found.missing)),
        (vec!["A".to_owned()], vec!["B".to_owned(), "C".to_owned()])
    );
    let kept = Lexer { keep_unset: true, ..Lexer::default() };
    let text = "$A $B ${C} ${D:-x} ${E#y} ${F//a/b}";
    assert_eq!(kept.expand(text, &variables()).expect("words").text, "a $B ${C} ${D:-x} ${E#y} ${F//a/b}");
}

fn stepped(line: &str) -> Expansion<Instruction> {
    let step = steps(line, |_| Ok(())).expect("a step").remove(0);
    instruction(&step.instruction, '\\', &variables()).expect("an instruction")
}

#[test]
fn only_some_instructions_have_variables() {
    for line in [
        "RUN $A",
        "CMD $A",
        "ENTRYPOINT [\"$A\"]",
        "ONBUILD RUN $A",
        "HEALTHCHECK CMD $A",
        "SHELL [\"$A\"]",
        "MAINTAINER $A",
    ] {
        let before = steps(line, |_| Ok(())).expect("a step").remove(0).instruction;
        assert_eq!(stepped(line).value, before, "{line}");
    }
    assert_eq!(stepped("WORKDIR /$A").value, Instruction::Workdir("/a".into()));
    assert_eq!(stepped("VOLUME $TWO [\"$A\"]").value, Instruction::Volume(vec!["x y".into(), "[a]".into()]));
    assert_eq!(stepped("EXPOSE $TWO 80").value, Instruction::Expose(vec!["x".into(), "y".into(), "80".into()]));
    let Instruction::Env(pairs) = stepped("ENV x=\"$A b\" '$A'=\"$B\"").value else { panic!("no ENV") };
    let pairs: Vec<_> = pairs.iter().map(|pair| (pair.name.as_str(), pair.value.as_str())).collect();
    assert_eq!(pairs, [("x", "a b"), ("$A", "")]);
    let Instruction::Copy(copy) = stepped("COPY --chown=$A $A <<x <<'y' /$A\n\"$A\"\nx\n$A\ny\n").value else {
        panic!("no COPY")
    };
    let Source::Inline(x) = &copy.files.sources[1] else { panic!("{copy:?}") };
    let Source::Inline(y) = &copy.files.sources[2] else { panic!("{copy:?}") };
    assert_eq!((copy.files.chown.as_deref(), copy.files.destination.as_str()), (Some("a"), "/a"));
    assert_eq!((x.content.as_str(), y.content.as_str()), ("\"a\"\n", "$A\n"));
}

proptest! {
    #[test]
    fn any_word_is_expanded_or_refused(word in "([${}:?+#%/*'\"\\\\<A-C ]|\\PC){0,24}") {
        for (escape, keep) in [('\\', false), ('`', true)] {
            let lexer = Lexer { keep_quotes: keep, keep_escapes: keep, keep_unset: keep, ..Lexer::new(escape) };
            if let Ok(found) = lexer.expand(&word, &variables()) {
                let joined: usize = found.words.iter().map(String::len).sum();
                prop_assert!(joined <= found.text.len(), "{found:?}");
            }
        }
    }

    #[test]
    fn text_without_anything_special_stays(text in "[a-zA-Z0-9 ./:=äöü-]{0,40}") {
        prop_assert_eq!(expanded(&text), text);
    }
}

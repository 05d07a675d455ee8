//! Every rule, kept and broken, in Docker's words.

use std::collections::BTreeMap;

use types::Platform;

use super::*;

fn image(name: &str) -> Option<Config> {
    let env = ["PATH=/bin", "LANG=C"].map(str::to_owned).into();
    (name != "unknown").then(|| Config { env, ..Config::default() })
}

fn found_with(text: &str, given: &[(&str, &str)], ignore: Option<&Ignore>, target: Option<usize>) -> Vec<String> {
    let file = Dockerfile::parse("Dockerfile", text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let given: BTreeMap<_, _> =
        given.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect();
    let amd = Platform::parse("linux/amd64").expect("a platform");
    let surroundings = Surroundings {
        globals: Globals::new(given).with_platforms(&amd, &amd, None),
        ignore,
        image: &image,
        target,
        options: Options::default(),
    };
    check(&file, &surroundings).iter().map(Warning::line).collect()
}

fn found(text: &str) -> Vec<String> {
    found_with(text, &[], None, None)
}

/// What a line says behind `FROM x`.
fn said(line: &str) -> Vec<String> {
    found(&format!("FROM x\n{line}\n"))
}

#[test]
fn a_clean_file_has_no_warnings() {
    let text = "# syntax=docker/dockerfile:1\nARG base=alpine\n\nFROM ${base} AS build\nARG v=1\nENV a=$v b=$PATH c=$LANG\n\
                WORKDIR /src\nWORKDIR sub\nCOPY . .\nRUN make $undefined\nEXPOSE 80/udp\nLABEL a=b\n\
                FROM --platform=$BUILDPLATFORM build\nARG v\nCOPY --from=build /a /b\nENTRYPOINT [\"a\"]\nCMD [\"b\"]\n";
    assert_eq!(found(text), [""; 0]);
}

#[test]
fn casing() {
    assert_eq!(
        found("FROM x AS Base\nfrom y as b\nRUN z\nRun z\n"),
        [
            "StageNameCasing: Stage name 'Base' should be lowercase (line 1)",
            "ConsistentInstructionCasing: Command 'from' should match the case of the command majority (uppercase) (line 2)",
            "ConsistentInstructionCasing: Command 'Run' should match the case of the command majority (uppercase) (line 4)",
        ]
    );
    assert_eq!(
        found("from x\nrun z\nCOPY a b\n"),
        [
            "ConsistentInstructionCasing: Command 'COPY' should match the case of the command majority (lowercase) (line 3)"
        ]
    );
    assert_eq!(found("FROM x as b\n"), ["FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)"]);
    assert_eq!(found("from x AS b\n"), ["FromAsCasing: 'AS' and 'from' keywords' casing do not match (line 1)"]);
}

#[test]
fn names_of_stages() {
    assert_eq!(
        found("FROM x AS scratch\nFROM x AS a\nFROM x AS a\n"),
        [
            "ReservedStageName: Stage name should not use the same name as reserved stage \"scratch\" (line 1)",
            "DuplicateStageName: Duplicate stage name \"a\", stage names should be unique (line 3)",
        ]
    );
}

#[test]
fn arguments_of_bases() {
    assert_eq!(
        found("ARG version=1\nFROM x:${versio}1\n"),
        ["UndefinedArgInFrom: FROM argument 'versio' is not declared (did you mean version?) (line 2)"]
    );
    assert_eq!(
        found_with("ARG base\nFROM $base\n", &[("base", "x")], None, None),
        ["InvalidDefaultArgInFrom: Default value for ARG $base results in empty or invalid base image name (line 2)"]
    );
    assert_eq!(found("ARG v\nFROM x:${v:-1}\n"), [""; 0]);
    assert_eq!(
        found("FROM --platform=$TARGETPLATFORM x\n"),
        [
            "RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior (line 1)"
        ]
    );
    assert_eq!(
        found("FROM --platform=linux/arm64 x AS build\nFROM --platform=linux/arm64 x AS build-arm64\n"),
        [
            "FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value \"linux/arm64\" (line 1)"
        ]
    );
}

#[test]
fn undefined_variables() {
    assert_eq!(
        said("ARG version\nENV a=$versoin b=$version c=${PTH:-x}"),
        [
            "UndefinedVar: Usage of undefined variable '$PTH' (did you mean $PATH?) (line 3)",
            "UndefinedVar: Usage of undefined variable '$versoin' (did you mean $version?) (line 3)",
        ]
    );
    assert_eq!(said("ENV a=$a"), ["UndefinedVar: Usage of undefined variable '$a' (line 2)"]);
    assert_eq!(said("COPY <<x /y\n$nothing\nx"), ["UndefinedVar: Usage of undefined variable '$nothing' (line 2)"]);
    assert_eq!(
        said("RUN --mount=type=cache,target=$t x $y"),
        ["UndefinedVar: Usage of undefined variable '$t' (line 2)"]
    );
    // Arguments of the base stage are known, and nothing is said of what an unknown image may have set.
    assert_eq!(found("FROM x AS a\nARG v\nFROM a\nENV w=$v\n"), [""; 0]);
    assert_eq!(found("FROM unknown\nENV w=$v\n"), [""; 0]);
    assert_eq!(found("FROM scratch\nENV w=$v p=$PATH\n"), ["UndefinedVar: Usage of undefined variable '$v' (line 2)"]);
}

#[test]
fn only_stages_that_are_built_are_walked() {
    let text = "FROM x AS a\nENV q=$q\nFROM x AS b\nENV r=$r\nFROM b\nCOPY --from=0 /a /\nFROM a\n";
    let line =
        |variable: &str, line: usize| format!("UndefinedVar: Usage of undefined variable '${variable}' (line {line})");
    assert_eq!(found(text), [line("q", 2)]);
    assert_eq!(found_with(text, &[], None, Some(2)), [line("q", 2), line("r", 4)]);
    assert_eq!(found_with(text, &[], None, Some(1)), [line("r", 4)]);
    let mount = "FROM x AS a\nENV q=$q\nFROM x\nRUN --mount=from=a,target=/a true\n";
    assert_eq!(found(mount), [line("q", 2)]);
}

#[test]
fn single_instructions() {
    for (line, warnings) in [
        (
            "MAINTAINER me",
            &["MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)"][..],
        ),
        (
            "ENV a b",
            &[
                "LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format (line 2)",
            ],
        ),
        (
            "LABEL a b",
            &[
                "LegacyKeyValueFormat: \"LABEL key=value\" should be used instead of legacy \"LABEL key value\" format (line 2)",
            ],
        ),
        (
            "CMD a",
            &[
                "JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (line 2)",
            ],
        ),
        ("SHELL [\"sh\"]\nENTRYPOINT a", &[]),
        (
            "CMD [\"a\"]\nCMD [\"b\"]",
            &[
                "MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used (line 2)",
            ],
        ),
    ] {
        assert_eq!(said(line), warnings, "{line}");
    }
}

#[test]
fn values_of_single_instructions() {
    for (line, warnings) in [
        (
            "WORKDIR a\nWORKDIR b",
            &[
                "WorkdirRelativePath: Relative workdir \"a\" can have unexpected results if the base image changes (line 2)",
            ],
        ),
        ("RUN a \\\n\n b", &["NoEmptyContinuation: Empty continuation line (line 2)"]),
        (
            "ENV GITHUB_TOKEN=x TOKENIZER=y PUBLIC_KEY=z",
            &[
                "SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV \"GITHUB_TOKEN\") (line 2)",
            ],
        ),
        (
            "ARG password",
            &[
                "SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG \"password\") (line 2)",
            ],
        ),
        (
            "EXPOSE 80/TCP 81/tcp",
            &["ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase (line 2)"],
        ),
        (
            "EXPOSE 1.2.3.4:80:80",
            &[
                "ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '1.2.3.4:80:80' (line 2)",
            ],
        ),
    ] {
        assert_eq!(said(line), warnings, "{line}");
    }
}

#[test]
fn files_that_are_left_out() {
    let ignore = Ignore::new(["*.log", "dir"]).expect("patterns");
    let text = "FROM x\nCOPY a.log dir/x b /\nADD dir http://h/a.log /\nCOPY --from=x a.log /\nCOPY . /\n";
    let line = |word: &str, file: &str, line: usize| {
        format!("CopyIgnoredFile: Attempting to {word} file \"{file}\" that is excluded by .dockerignore (line {line})")
    };
    let expected = [line("Copy", "a.log", 2), line("Copy", "dir/x", 2), line("Add", "dir", 3)];
    assert_eq!(found_with(text, &[], Some(&ignore), None), expected);
    let exceptions = Ignore::new(["*.log", "!a.log"]).expect("patterns");
    assert_eq!(found_with(text, &[], Some(&exceptions), None), [""; 0]);
    let all = Ignore::new(["**"]).expect("patterns");
    assert_eq!(found_with("FROM x\nCOPY . /\n", &[], Some(&all), None), [line("Copy", ".", 2)]);
}

#[test]
fn files_choose_their_rules() {
    let bad = "FROM x AS Base\nCMD a\n";
    assert_eq!(found(bad).len(), 2);
    assert_eq!(found(&format!("# check=skip=StageNameCasing\n{bad}")).len(), 1);
    assert_eq!(found(&format!("# check=skip=all\n{bad}")), [""; 0]);
    assert_eq!(found("FROM x AS Base\n# check=skip=JSONArgsRecommended\nCMD a\n").len(), 1);
    let described =
        "# check=experimental=InvalidDefinitionDescription\n\n# the base\nFROM x AS base\n\n# v is it\nARG v\n";
    assert_eq!(
        found(described),
        ["InvalidDefinitionDescription: Comment for FROM should follow the format: `# base <description>` (line 4)"]
    );
    assert_eq!(found(described.trim_start_matches("# check=experimental=InvalidDefinitionDescription\n")), [""; 0]);
    let options = Options::parse("skip=A, B;error=true").expect("options");
    assert!(options.error && options != Options::default());
    for (text, message) in [
        ("foo", "invalid check option \"foo\""),
        ("foo=1", "invalid check option \"foo\""),
        ("error=x", "failed to parse check option \"error=x\": invalid syntax"),
    ] {
        assert_eq!(Options::parse(text), Err(message.to_owned()));
    }
    let names: BTreeMap<_, _> = Rule::ALL.into_iter().map(|rule| (rule.name(), rule)).collect();
    assert_eq!(names.len(), Rule::ALL.len());
}

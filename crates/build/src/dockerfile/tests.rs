//! The language, table by table. What Docker says was taken down from Debian's dockerd and the published reference.

use proptest::prelude::*;

use super::*;

mod refusals;

fn parsed(text: &str) -> Dockerfile {
    Dockerfile::parse("Dockerfile", text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn failure(text: &str) -> Error {
    match Dockerfile::parse("Dockerfile", text.as_bytes()) {
        Ok(file) => panic!("{text:?} was understood: {file:?}"),
        Err(error) => error,
    }
}

fn refused(text: &str) -> String {
    failure(text).to_string()
}

/// The only step behind `FROM x`.
fn step(line: &str) -> Step {
    let mut file = parsed(&format!("FROM x\n{line}\n"));
    assert_eq!((file.stages.len(), file.stages[0].steps.len()), (1, 1), "{line}");
    file.stages.remove(0).steps.remove(0)
}

fn instruction(line: &str) -> Instruction {
    step(line).instruction
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn exec(words: &[&str]) -> CommandLine {
    CommandLine::Exec(texts(words))
}

fn sh(text: &str) -> CommandLine {
    CommandLine::Shell(text.to_owned())
}

fn pairs(of: &[(&str, &str)]) -> Vec<Pair> {
    let pair = |&(name, value): &(&str, &str)| Pair { name: name.into(), value: value.into(), legacy: false };
    of.iter().map(pair).collect()
}

#[test]
fn stages_and_global_arguments() {
    let file = parsed(
        "# syntax=docker/dockerfile:1\n# escape = `\n\nARG base=alpine\nFROM --platform=$BUILDPLATFORM ${base} AS Builder\n\
         RUN make\n\nfrom scratch\ncopy --from=builder /out /\n",
    );
    let directives: Vec<_> = file.directives.iter().map(|d| (d.name.as_str(), d.value.as_str())).collect();
    assert_eq!(directives, [("syntax", "docker/dockerfile:1"), ("escape", "`")]);
    assert_eq!((file.escape, file.global_args.len(), file.stages.len()), ('`', 1, 2));
    assert_eq!(file.global_args[0].instruction, [Argument { name: "base".into(), value: Some("alpine".into()) }]);
    let from = &file.stages[0].from;
    assert_eq!(from.instruction.name.as_deref(), Some("builder"));
    assert_eq!(from.instruction.platform.as_deref(), Some("$BUILDPLATFORM"));
    assert_eq!(from.instruction.image, "${base}");
    assert_eq!(
        (from.range, from.text.as_str()),
        (Range { first: 5, last: 5 }, "FROM --platform=$BUILDPLATFORM ${base} AS Builder")
    );
    assert_eq!((file.stages[1].from.word.as_str(), file.stages[1].from.text.as_str()), ("from", "from scratch"));
    let Instruction::Copy(copy) = &file.stages[1].steps[0].instruction else { panic!("{file:?}") };
    assert_eq!(copy.from.as_deref(), Some("builder"));
}

#[test]
fn lines_are_joined_as_docker_shows_them() {
    for (lines, text, last) in [
        ("label  a=1 \\\n   b=2", "label  a=1    b=2", 3),
        ("RUN echo hi \\\n # comment\n   there", "RUN echo hi    there", 4),
        ("RUN a \\\n\n\n b", "RUN a  b", 5),
        ("RUN a \\   \nb", "RUN a b", 3),
        ("RUN a \\\r\n b\r", "RUN a  b", 3),
        ("   RUN a", "RUN a", 2),
        ("RUN a \\\\", "RUN a \\\\", 2),
        ("RUN a \\", "RUN a", 2),
        ("RUN \\\na", "RUN a", 3),
        ("\\\nRUN a", "RUN a", 3),
        ("RUN a #b", "RUN a #b", 2),
    ] {
        let step = step(lines);
        assert_eq!((step.text.as_str(), step.range), (text, Range { first: 2, last }), "{lines:?}");
    }
    let marked = parsed("\u{feff}FROM x\r\nRUN a \\\r\n\r\n  b\r\n");
    assert_eq!(marked.stages[0].steps[0].text, "RUN a   b");
    assert_eq!(
        marked.printed_warnings(),
        [
            "[WARNING]: Empty continuation line found in:\n    RUN a   b",
            "[WARNING]: Empty continuation lines will become errors in a future release."
        ]
    );
}

#[test]
fn another_escape_leaves_backslashes_alone() {
    let file = parsed("# escape=`\nFROM x\nRUN dir c:\\\nCOPY a `\n b\\\n");
    let texts: Vec<_> = file.stages[0].steps.iter().map(|step| step.text.as_str()).collect();
    assert_eq!(texts, ["RUN dir c:\\", "COPY a  b\\"]);
    // A directive behind a comment or an instruction is a comment.
    for late in [
        "# hello\n# escape=`\nFROM x\nRUN a `\n",
        "FROM x\n# escape=`\nRUN a `\n",
        "# foo=1\n# escape=`\nFROM x\nRUN a `\n",
    ] {
        assert_eq!((parsed(late).escape, parsed(late).stages[0].steps[0].text.as_str()), ('\\', "RUN a `"), "{late}");
    }
}

#[test]
fn commands_in_both_forms() {
    assert_eq!(instruction("CMD [\"a\", \"b c\"]"), Instruction::Cmd(exec(&["a", "b c"])));
    assert_eq!(instruction("CMD []"), Instruction::Cmd(exec(&[])));
    assert_eq!(instruction("CMD"), Instruction::Cmd(sh("")));
    assert_eq!(instruction("cmd  echo  $HOME "), Instruction::Cmd(sh("echo  $HOME")));
    // What is no JSON is text for the shell.
    for text in ["['a']", "[\"a\",]", "[\"a\"", "[\"a\"] x", "a [\"b\"]", "[ -e x ]"] {
        assert_eq!(instruction(&format!("ENTRYPOINT {text}")), Instruction::Entrypoint(sh(text)));
    }
    assert_eq!(instruction("SHELL [\"/bin/bash\", \"-c\"]"), Instruction::Shell(texts(&["/bin/bash", "-c"])));
    assert_eq!(sh("a b").words(&texts(&["/bin/sh", "-c"])), ["/bin/sh", "-c", "a b"]);
    assert_eq!(sh("").words(&texts(&["/bin/sh", "-c"])), ["/bin/sh", "-c"]);
    assert_eq!(exec(&["x"]).words(&texts(&["/bin/sh", "-c"])), ["x"]);
}

#[test]
fn words_keep_quotes_until_variables_are_known() {
    assert_eq!(
        instruction("ENV a=1 b=\"x y\" c='$z' d=x\\ y e="),
        Instruction::Env(pairs(&[("a", "1"), ("b", "\"x y\""), ("c", "'$z'"), ("d", "x\\ y"), ("e", "")]))
    );
    let legacy = Pair { name: "a".into(), value: "b  c = \"d\"".into(), legacy: true };
    assert_eq!(instruction("ENV a   b  c = \"d\""), Instruction::Env(vec![legacy]));
    assert_eq!(instruction("LABEL \"a.b\"=c"), Instruction::Label(pairs(&[("\"a.b\"", "c")])));
    let argument = |name: &str, value: Option<&str>| Argument { name: name.into(), value: value.map(str::to_owned) };
    assert_eq!(
        instruction("ARG a b= c=\"d e\""),
        Instruction::Arg(vec![argument("a", None), argument("b", Some("")), argument("c", Some("\"d e\""))])
    );
    assert_eq!(instruction("EXPOSE 90/udp $a 80"), Instruction::Expose(texts(&["$a", "80", "90/udp"])));
    assert_eq!(instruction("VOLUME /a  /b"), Instruction::Volume(texts(&["/a", "/b"])));
    assert_eq!(instruction("VOLUME [\"/a b\"]"), Instruction::Volume(texts(&["/a b"])));
    assert_eq!(instruction("WORKDIR /a b"), Instruction::Workdir("/a b".into()));
    assert_eq!(instruction("MAINTAINER a  b <c>"), Instruction::Maintainer("a  b <c>".into()));
    assert_eq!(instruction("USER $u:g"), Instruction::User("$u:g".into()));
    assert_eq!(instruction("STOPSIGNAL 9"), Instruction::Stopsignal("9".into()));
}

#[test]
fn files_and_their_flags() {
    let Instruction::Copy(copy) = instruction(
        "COPY --chown=a:b --chmod=0644 --link --exclude=*.o --exclude=*.a --parents --from=0 a \"b c\" /d/",
    ) else {
        panic!("no COPY")
    };
    assert_eq!((copy.from.as_deref(), copy.parents, copy.files.link), (Some("0"), true, true));
    assert_eq!((copy.files.chown.as_deref(), copy.files.chmod.as_deref()), (Some("a:b"), Some("0644")));
    assert_eq!((copy.files.excludes, copy.files.destination), (texts(&["*.o", "*.a"]), "/d/".to_owned()));
    // Quotes do not keep a path with blanks together: that needs JSON.
    let paths = |words: &[&str]| words.iter().map(|&word| Source::Path(word.to_owned())).collect::<Vec<_>>();
    assert_eq!(copy.files.sources, paths(&["a", "\"b", "c\""]));
    let Instruction::Add(add) =
        instruction("ADD --checksum=sha256:ab --keep-git-dir=true --unpack=false [\"a b\", \"c\"]")
    else {
        panic!("no ADD")
    };
    assert_eq!((add.files.sources, add.files.destination.as_str()), (paths(&["a b"]), "c"));
    assert_eq!((add.checksum.as_deref(), add.keep_git_dir, add.unpack), (Some("sha256:ab"), Some(true), Some(false)));
    // `--` ends the flags.
    let Instruction::Copy(copy) = instruction("COPY --link=false -- --a /b") else { panic!("no COPY") };
    assert_eq!((copy.files.sources, copy.files.link), (paths(&["--a"]), false));
}

#[test]
fn health_checks() {
    let Instruction::Healthcheck(check) = instruction(
        "HEALTHCHECK --interval=5m --timeout=3s --start-period=0 --start-interval=1ms --retries=3 CMD curl -f x || exit 1",
    ) else {
        panic!("no HEALTHCHECK")
    };
    assert_eq!(check.test, ["CMD-SHELL", "curl -f x || exit 1"]);
    assert_eq!(check.interval.map(|time| time.as_secs()), Some(300));
    assert_eq!((check.start_period, check.retries), (None, Some(3)));
    assert_eq!(check.start_interval.map(|time| time.as_millis()), Some(1));
    let check = |test: &[&str]| Instruction::Healthcheck(Healthcheck { test: texts(test), ..Healthcheck::default() });
    assert_eq!(instruction("HEALTHCHECK none"), check(&["NONE"]));
    assert_eq!(instruction("HEALTHCHECK cmd [\"a\", \"b\"]"), check(&["CMD", "a", "b"]));
}

#[test]
fn triggers_keep_their_text() {
    assert_eq!(instruction("onbuild  run echo  a"), Instruction::Onbuild("run echo  a".into()));
    assert_eq!(instruction("ONBUILD FOO"), Instruction::Onbuild("FOO".into()));
    let Instruction::Onbuild(trigger) = instruction("ONBUILD COPY <<EOF /x\na\nEOF") else { panic!("no ONBUILD") };
    assert_eq!(trigger, "COPY <<EOF /x\na\nEOF");
    let steps = steps(&trigger, |_| Ok(())).expect("a trigger");
    assert!(matches!(&steps[..], [Step { instruction: Instruction::Copy(_), .. }]), "{steps:?}");
}

#[test]
fn here_documents() {
    let Instruction::Run(run) = instruction("RUN <<EOF\napt-get update\n  # kept\n\nEOF") else { panic!("no RUN") };
    assert_eq!(run.heredocs[0].content, "apt-get update\n  # kept\n\n");
    assert_eq!(run.task(), Task::Command(sh("apt-get update\n  # kept\n\n")));
    let Instruction::Run(run) = instruction("RUN <<-'EOF'\n\t#!/bin/awk -f\n\t\tx\n\tEOF") else { panic!("no RUN") };
    assert_eq!(run.task(), Task::Script { name: "EOF".into(), content: "#!/bin/awk -f\nx\n".into() });
    assert!(!run.heredocs[0].expand && run.heredocs[0].strip_tabs);
    let Instruction::Run(run) = instruction("RUN cat <<A 3<<\"B C\" > /x\n1\nA\n2\nB C") else { panic!("no RUN") };
    let whole = "cat <<A 3<<\"B C\" > /x\n1\nA\n2\nB C";
    assert_eq!(run.task(), Task::Command(sh(whole)));
    assert_eq!((run.heredocs[1].name.as_str(), run.heredocs[1].descriptor), ("B C", 3));
    let copied = step("COPY <<a.txt b <<-\"c.txt\" /d/\n$x\na.txt\n\ty\nc.txt\n");
    assert_eq!((copied.range, copied.text.as_str()), (Range { first: 2, last: 6 }, "COPY <<a.txt b <<-\"c.txt\" /d/"));
    let Instruction::Copy(copy) = copied.instruction else { panic!("no COPY") };
    let [Source::Inline(a), Source::Path(b), Source::Inline(c)] = &copy.files.sources[..] else { panic!("{copy:?}") };
    assert_eq!((a.name.as_str(), a.text().as_str(), a.expand), ("a.txt", "$x\n", true));
    assert_eq!((b.as_str(), c.text().as_str(), c.expand), ("b", "y\n", false));
    // Not in JSON, not in other instructions, not in quotes, not as `<<<`.
    for line in ["RUN [\"<<EOF\"]", "CMD cat <<EOF", "RUN echo '<<EOF'", "RUN cat <<<EOF", "RUN echo \"a << b\""] {
        assert!(matches!(instruction(line), Instruction::Cmd(_) | Instruction::Run(Run { .. })), "{line}");
        if let Instruction::Run(run) = instruction(line) {
            assert_eq!(run.heredocs, [], "{line}");
        }
    }
    assert_eq!(refused("FROM x\nRUN <<EOF\na\n"), "failed to parse Dockerfile: unterminated heredoc");
    assert_eq!(
        refused("FROM x\nCOPY a <<EOF\nx\nEOF\n"),
        "dockerfile parse error on line 2: COPY cannot accept a heredoc as a destination"
    );
}

#[test]
fn run_flags_and_mounts() {
    let Instruction::Run(run) = instruction(
        "RUN --mount=type=cache,target=/x --network=none --mount=type=\"secret\",id=y --security=insecure make",
    ) else {
        panic!("no RUN")
    };
    assert_eq!((run.command, run.network, run.security), (sh("make"), RunNetwork::None, RunSecurity::Insecure));
    assert_eq!(run.flags, ["mount", "network", "security"]);
    let mut same = |value: &str| Ok(value.to_owned());
    let cache = run.mounts[0].resolve(&mut same).expect("a mount");
    assert_eq!((cache.kind, cache.target.as_deref(), cache.readonly), (MountKind::Cache, Some("/x"), false));
    let secret = run.mounts[1].resolve(&mut same).expect("a mount");
    assert_eq!((secret.kind, secret.id.as_deref(), secret.readonly), (MountKind::Secret, Some("y"), true));
    for (flag, message) in [
        ("type=x", "unsupported mount type \"x\""),
        ("type=cach", "unsupported mount type \"cach\" (did you mean cache?)"),
        ("type=bind,uid=0", "uid not allowed for \"bind\" type mounts"),
        ("type=bind,required", "unexpected key 'required' for mount type 'bind'"),
        ("type=bind,foo", "invalid field 'foo' must be a key=value pair"),
        ("type=bind,targt=/x", "unexpected key 'targt' in 'targt=/x' (did you mean target?)"),
        ("type=bind,size=1", "unexpected key 'size' for mount type 'bind'"),
        ("type=tmpfs,size=x", "invalid value for size: x"),
        ("type=cache,mode=9", "invalid value 9 for mode"),
        ("type=cache,sharing=x", "unsupported sharing value \"x\""),
        ("type=tmpfs,sharing=shared", "invalid cache sharing set for tmpfs mount"),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=bind,ro=maybe", "invalid value for ro: maybe"),
    ] {
        assert_eq!(MountFlag(flag.to_owned()).resolve(&mut same), Err(message.to_owned()), "{flag}");
    }
    let all = "type=bind,\"source=a,b\",target=/t,from=base,rw";
    let mount = MountFlag(all.to_owned()).resolve(&mut same).expect("a mount");
    assert_eq!((mount.source.as_deref(), mount.from.as_deref(), mount.readonly), (Some("a,b"), Some("base"), false));
}

#[test]
fn nothing_in_a_file_exhausts_the_stack() {
    let triggers = format!("FROM x\n{}RUN y\n", "ONBUILD ".repeat(200_000));
    assert!(refused(&triggers).ends_with("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"));
    let arrays = format!("CMD {}", "[".repeat(200_000));
    assert!(matches!(instruction(&arrays), Instruction::Cmd(CommandLine::Shell(_))));
    assert!(refused(&format!("FROM x\nRUN <<a {}\na\n", "${a:-".repeat(200_000))).contains("unknown instruction: a"));
}

#[test]
fn steps_outside_a_build() {
    let refuse = |word: &str| if word == "run" { Err(format!("{word} is not a valid change command")) } else { Ok(()) };
    assert_eq!(steps("ENV a=b\nCMD x", refuse).map(|steps| steps.len()), Ok(2));
    assert_eq!(
        steps("ENV a=b\nRun x", refuse).map_err(|error| error.message),
        Err("run is not a valid change command".into())
    );
    assert!(steps("FROM x", |_| Ok(())).is_err());
    assert_eq!(steps("# x", |_| Ok(())).map_err(|error| error.message), Err("file with no instructions".into()));
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "(FROM x\n)?((RUN|COPY|ENV|CMD|ONBUILD|HEALTHCHECK|ARG|\\PC{0,6}) [-<>'\"\\\\=\\[\\], \ta-c$\n]{0,40}\n){0,4}\\PC{0,20}") {
        let lines = text.lines().count();
        match Dockerfile::parse("Dockerfile", text.as_bytes()) {
            Ok(file) => for step in file.stages.iter().flat_map(|stage| &stage.steps) {
                prop_assert!(step.range.first >= 1 && step.range.first <= step.range.last && step.range.last <= lines);
            },
            Err(error) => if let Some(range) = error.range {
                prop_assert!(range.first >= 1 && range.first <= range.last && range.last <= lines);
                prop_assert!(error.column >= 1 && error.column <= error.line.chars().count() + 1, "{error:?}");
            },
        }
    }
}

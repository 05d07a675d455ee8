//! Rows BLD-07 … BLD-19, 27 … 29, 31, 38: what instructions make of an image, with the stock client and with Gantry's own.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;

use privileged_tests::building::{build, context, daemon, gone, image, output, prints};
use privileged_tests::skip;

#[test]
fn bld_07_the_author_is_kept() {
    let daemon = daemon();
    for client in daemon.clients() {
        let name = image(daemon, &client, "FROM busybox\nMAINTAINER me <me@here>\n", &[]);
        assert_eq!(daemon.inspect(&name, "{{.Author}}"), "me <me@here>");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_08_run_uses_the_shell() {
    let daemon = daemon();
    let client = daemon.stock();
    let name = image(
        daemon,
        &client,
        "FROM busybox\nRUN echo $((1+2)) >/sum\nSHELL [\"/bin/sh\",\"-ec\"]\nRUN x=5; echo $x >>/sum\n",
        &[],
    );
    assert_eq!(output(daemon, &name, &["cat", "/sum"]), "3\n5");
    gone(daemon, &[&name]);
}

#[test]
fn bld_09_run_takes_words() {
    let daemon = daemon();
    let run =
        build(&daemon.stock(), &[&context(daemon, &[("Dockerfile", "FROM busybox\nRUN [\"nosuch-program\"]\n")])]);
    assert!(run.code != 0 && run.stderr.contains("nosuch-program"), "{run}");
}

#[test]
fn bld_11_three_forms_of_a_command() {
    prints("FROM busybox\nCMD [\"echo\",\"words\"]\n", &[], "words");
    prints("FROM busybox\nCMD echo two $((1+1))\n", &[], "two 2");
    prints("FROM busybox\nENTRYPOINT [\"echo\",\"to\"]\nCMD [\"it\"]\n", &[], "to it");
}

#[test]
fn bld_12_the_last_command_counts_and_the_users_wins() {
    prints("FROM busybox\nCMD [\"echo\",\"one\"]\nCMD [\"echo\",\"two\"]\n", &[], "two");
    prints("FROM busybox\nCMD [\"echo\",\"one\"]\n", &["echo", "hi"], "hi");
}

#[test]
fn bld_13_an_entrypoint_stays() {
    prints("FROM busybox\nENTRYPOINT [\"echo\",\"in\"]\n", &["arg"], "in arg");
    let daemon = daemon();
    let name = image(daemon, &daemon.stock(), "FROM busybox\nENTRYPOINT [\"echo\",\"in\"]\n", &[]);
    assert_eq!(daemon.docker(&["run", "--rm", "--entrypoint", "printf", &name, "out"]).ok(), "out");
    gone(daemon, &[&name]);
}

#[test]
fn bld_14_the_shell_form_takes_no_arguments() {
    prints("FROM busybox\nENTRYPOINT echo shell\nCMD [\"a\"]\n", &["b"], "shell");
    prints("FROM busybox\nENTRYPOINT [\"echo\",\"exec\"]\n", &["b"], "exec b");
}

#[test]
fn bld_15_a_command_is_the_entrypoints_default() {
    prints("FROM busybox\nENTRYPOINT [\"echo\"]\nCMD [\"a\"]\n", &[], "a");
    prints("FROM busybox\nENTRYPOINT [\"echo\"]\nCMD [\"a\"]\n", &["b"], "b");
}

#[test]
fn bld_16_words_have_no_shell() {
    prints("FROM busybox\nCMD [\"echo\",\"$HOME\",\"~\"]\n", &[], "$HOME ~");
}

#[test]
fn bld_17_the_shell_form_runs_below_a_shell() {
    let daemon = daemon();
    let name = image(daemon, &daemon.stock(), "FROM busybox\nCMD sleep 600; true\n", &[]);
    let container = daemon.name("shell");
    daemon.docker(&["run", "-d", "--name", &container, &name]).exits(0);
    assert_eq!(daemon.inspect(&container, "{{.Path}} {{json .Args}}"), r#"/bin/sh ["-c","sleep 600; true"]"#);
    // The shell is the first process and does not pass signals on.
    daemon.docker(&["stop", "-t", "1", &container]).exits(0);
    assert_eq!(daemon.inspect(&container, "{{.State.ExitCode}}"), "137");
    daemon.docker(&["rm", &container]).exits(0);
    gone(daemon, &[&name]);
}

#[test]
fn bld_18_ports_are_declared() {
    let daemon = daemon();
    for client in daemon.clients() {
        let name = image(daemon, &client, "FROM busybox\nEXPOSE 80 3306\nEXPOSE 53/udp\n", &[]);
        let ports = daemon.inspect(&name, "{{json .Config.ExposedPorts}}");
        assert_eq!(ports, r#"{"3306/tcp":{},"53/udp":{},"80/tcp":{}}"#);
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_19_variables_in_both_forms() {
    let dockerfile = "FROM busybox\nENV A=1 B=\"two words\"\nENV C three words\nRUN echo $A-$B-$C >/seen\nCMD cat /seen; echo $A-$B-$C\n";
    prints(dockerfile, &[], "1-two words-three words\n1-two words-three words");
}

#[test]
fn bld_27_volumes_are_declared() {
    let daemon = daemon();
    for client in daemon.clients() {
        let name = image(daemon, &client, "FROM busybox\nVOLUME [\"/a\",\"/b\"]\nVOLUME /c\n", &[]);
        assert_eq!(daemon.inspect(&name, "{{json .Config.Volumes}}"), r#"{"/a":{},"/b":{},"/c":{}}"#);
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_28_a_user_runs_what_follows() {
    prints("FROM busybox\nUSER 12:13\nRUN id -u >/tmp/id\nCMD cat /tmp/id; id -u; id -g\n", &[], "12\n12\n13");
}

#[test]
fn bld_29_directories_are_made_and_kept() {
    prints(
        "FROM busybox\nWORKDIR /w\nWORKDIR deep\nRUN cd /tmp\nRUN pwd >here\nCMD pwd; cat here\n",
        &[],
        "/w/deep\n/w/deep",
    );
}

#[test]
fn bld_31_words_in_any_case_comments_and_blank_lines() {
    let daemon = daemon();
    for client in daemon.clients() {
        let dockerfile = "# escape=\\\n\n# a comment\nfrom busybox\n\n   # another\nrun echo a \\\n  # in between\n  b >/out\nEnV x=y\n";
        let name = image(daemon, &client, dockerfile, &[]);
        assert_eq!(output(daemon, &name, &["sh", "-c", "cat /out; echo $x"]), "a b\ny");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_38_stages_arguments_and_targets() {
    let daemon = daemon();
    for client in daemon.clients() {
        let dockerfile = "ARG BASE=busybox\nFROM ${BASE} AS first\nARG V=default\nRUN echo $V >/v && mkdir /d && ln -s v /d/link\nFROM scratch AS second\nCOPY --from=first /v /d/ /out/\nFROM busybox\nCOPY --from=second /out /out\nCOPY --from=busybox /bin/true /true\nHEALTHCHECK --interval=5s --retries=2 CMD true\nSTOPSIGNAL SIGINT\n";
        let directory = context(daemon, &[("Dockerfile", dockerfile)]);
        let (name, id) = (daemon.name("stages"), daemon.scratch("iid").join(daemon.name("iid")));
        let run = build(
            &client,
            &[
                "--build-arg",
                "V=given",
                "--build-arg",
                "UNUSED=1",
                "--label",
                "l=m n",
                "--iidfile",
                &id.display().to_string(),
                "-t",
                &name,
                &directory,
            ],
        );
        run.exits(0);
        assert!(run.stdout.contains("[Warning] One or more build-args [UNUSED] were not consumed"), "{run}");
        assert_eq!(fs::read_to_string(&id).unwrap(), daemon.inspect(&name, "{{.Id}}"));
        assert_eq!(
            output(daemon, &name, &["sh", "-c", "cat /out/v; readlink /out/link; /true && echo true"]),
            "given\nv\ntrue"
        );
        assert_eq!(daemon.inspect(&name, "{{.Config.Labels.l}} {{.Config.StopSignal}} {{json .Config.Healthcheck.Test}} {{.Config.Healthcheck.Retries}}"), r#"m n SIGINT ["CMD-SHELL","true"] 2"#);
        let run = build(&client, &["--target", "first", "-t", &name, &directory]);
        run.exits(0);
        assert_eq!(output(daemon, &name, &["cat", "/v"]), "default");
        build(&client, &["--target", "nosuch", &directory]).says("nosuch");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_38_here_documents() {
    let daemon = daemon();
    if daemon.is_reference() {
        return skip("the classic builder of 20.10 has no here-documents");
    }
    for client in daemon.clients() {
        let dockerfile = "FROM busybox\nENV WHO=me\nRUN <<EOF\necho one >/out\necho two $WHO >>/out\nEOF\nCOPY <<a.txt <<\"b.txt\" /d/\na $WHO\na.txt\nb $WHO\nb.txt\nRUN <<S\n#!/bin/cat\ntext\nS\n";
        let directory = context(daemon, &[("Dockerfile", dockerfile)]);
        let name = daemon.name("here");
        let run = build(&client, &["-t", &name, &directory]);
        run.exits(0);
        assert!(run.stdout.contains("#!/bin/cat\ntext\n"), "{run}");
        assert_eq!(
            output(daemon, &name, &["sh", "-c", "cat /out /d/a.txt /d/b.txt"]).lines().take(4).collect::<Vec<_>>(),
            ["one", "two me", "a me", "b $WHO"]
        );
        let mounts = context(daemon, &[("Dockerfile", "FROM busybox\nRUN --mount=type=cache,target=/x true\n")]);
        build(&client, &[&mounts]).says("the --mount option requires BuildKit");
        gone(daemon, &[&name]);
    }
}

//! Configurations and histories as Debian's dockerd made them of the same instructions.

use super::*;
use crate::dockerfile::steps;
use crate::expand::{self, Arguments, Globals, Scope};

/// Applies instructions as a build does; the histories come back.
fn applied(config: &mut Config, text: &str) -> Result<Vec<String>, String> {
    let mut arguments = Arguments::default();
    let globals = Globals::default();
    let mut histories = Vec::new();
    for step in steps(text, |_| Ok(())).map_err(|error| error.message)? {
        let scope = Scope { env: &config.env, arguments: &arguments, globals: &globals };
        let found = expand::instruction(&step.instruction, '\\', &scope).map_err(|error| error.to_string())?;
        if let crate::Instruction::Arg(found) = &found.value {
            found.iter().for_each(|argument| arguments.declare(argument));
        }
        histories.extend(config.apply(&found.value).map_err(|error| error.to_string())?);
    }
    Ok(histories)
}

fn of(text: &str) -> (Config, Vec<String>) {
    let base =
        Config { env: vec!["PATH=/bin:/usr/bin".to_owned()], cmd: Some(vec!["sh".to_owned()]), ..Config::default() };
    let mut config = base;
    let histories = applied(&mut config, text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    (config, histories)
}

fn refused(line: &str) -> String {
    let mut config = Config::default();
    let error = applied(&mut config, line).expect_err(line);
    assert_eq!(config, Config::default(), "{line}");
    error
}

fn set(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|&text| text.to_owned()).collect()
}

fn words(of: &[&str]) -> Option<Vec<String>> {
    Some(of.iter().map(|&text| text.to_owned()).collect())
}

#[test]
fn everything_at_once() {
    let (config, histories) =
        of("ARG p=\"80 81\"\nEXPOSE $p 5000-5002/udp\nWORKDIR a\nWORKDIR b/../c\nWORKDIR /x/$p\n\
         VOLUME $p [\"a\"]\nVOLUME [\"/q\",\"/r s\"]\nUSER $p\nSTOPSIGNAL SIGKILL\nCMD a\nENTRYPOINT [\"e\"]\n\
         HEALTHCHECK --interval=3s CMD x $p\nSHELL [\"/bin/ash\",\"-c\"]\nCMD b c\nONBUILD RUN $p\nMAINTAINER m $p");
    assert_eq!(config.exposed_ports, set(&["5000/udp", "5001/udp", "5002/udp", "80/tcp", "81/tcp"]));
    assert_eq!(config.volumes, set(&["/q", "/r s", "80 81", "[a]"]));
    assert_eq!((config.user.as_str(), config.working_dir.as_str()), ("80 81", "/x/80 81"));
    assert_eq!((config.entrypoint, config.cmd), (words(&["e"]), words(&["/bin/ash", "-c", "b c"])));
    assert_eq!((config.stop_signal.as_deref(), config.author.as_str()), (Some("SIGKILL"), "m $p"));
    assert_eq!((config.on_build, config.shell), (vec!["RUN $p".to_owned()], words(&["/bin/ash", "-c"])));
    assert_eq!(
        histories,
        [
            "ARG p=80 81",
            "EXPOSE 80 81 5000-5002/udp",
            "WORKDIR /a",
            "WORKDIR /a/c",
            "WORKDIR /x/80 81",
            "VOLUME [80 81 [a]]",
            "VOLUME [/q /r s]",
            "USER 80 81",
            "STOPSIGNAL SIGKILL",
            "CMD [\"/bin/sh\" \"-c\" \"a\"]",
            "ENTRYPOINT [\"e\"]",
            // One time more than Debian's: the interval while starting is newer.
            "HEALTHCHECK &{[\"CMD-SHELL\" \"x $p\"] \"3s\" \"0s\" \"0s\" \"0s\" '\\x00'}",
            "SHELL [/bin/ash -c]",
            "CMD [\"/bin/ash\" \"-c\" \"b c\"]",
            "ONBUILD RUN $p",
            "MAINTAINER m $p",
        ]
    );
}

#[test]
fn variables_and_labels() {
    let (config, histories) = of("ENV a=b b=$a\nENV c=\"x y\"  d=${a}z e=x\\ y f=\"\\$a\" g='$a' a=n\n\
         LABEL \"$a\"=$c 'k y'=v\nENV  q b\\ c  \"d\"\nENV PATH=$PATH:/x h=$$ i=$0");
    assert_eq!(
        config.env,
        ["PATH=/bin:/usr/bin:/x", "a=n", "b=", "c=x y", "d=bz", "e=x y", "f=$a", "g=$a", "q=b c  d", "h=", "i="]
    );
    assert_eq!(
        config.labels.into_iter().collect::<Vec<_>>(),
        [("k y", "v"), ("n", "x y")].map(|(k, v)| (k.into(), v.into()))
    );
    assert_eq!(histories[2], "LABEL n=x y k y=v");
}

#[test]
fn entrypoints_and_commands() {
    let cmd = |text: &str| {
        let (config, histories) = of(text);
        (config.entrypoint, config.cmd, histories.last().cloned().unwrap_or_default())
    };
    // The base's command goes, an own one stays.
    assert_eq!(cmd("ENTRYPOINT x").1, None);
    assert_eq!(cmd("ENTRYPOINT [\"a\"]\nCMD [\"b\"]\nENTRYPOINT [\"c\"]").1, words(&["b"]));
    assert_eq!(cmd("ENTRYPOINT y\nENTRYPOINT []"), (None, None, "ENTRYPOINT []".into()));
    assert_eq!(cmd("ENTRYPOINT"), (None, None, "ENTRYPOINT []".into()));
    assert_eq!(cmd("CMD []"), (None, Some(vec![]), "CMD []".into()));
    assert_eq!(cmd("SHELL [\"a\"]\nCMD"), (None, words(&["a"]), "CMD [\"a\"]".into()));
    assert_eq!(cmd("CMD"), (None, words(&["/bin/sh", "-c"]), "CMD [\"/bin/sh\" \"-c\"]".into()));
}

#[test]
fn directories() {
    for (lines, directory) in [
        ("WORKDIR /", "/"),
        ("WORKDIR /\nWORKDIR .\nWORKDIR x/\nWORKDIR ..", "/"),
        ("WORKDIR /x/../y//z/\nWORKDIR a", "/y/z/a"),
        ("WORKDIR ../a", "/a"),
    ] {
        assert_eq!(of(lines).0.working_dir, directory, "{lines}");
    }
}

#[test]
fn ports_and_what_is_wrong_with_them() {
    let (config, _) = of("EXPOSE 80 80/tcp 81/Tcp 70-72 1.2.3.4:90:90 [::1]:91:91 1-2:92 93/ 0 7/sctp");
    let ports =
        ["80/tcp", "81/tcp", "70/tcp", "71/tcp", "72/tcp", "90/tcp", "91/tcp", "92/tcp", "93/tcp", "0/tcp", "7/sctp"];
    assert_eq!(config.exposed_ports, set(&ports));
    for (port, message) in [
        ("foo", "invalid containerPort: foo"),
        ("70000", "invalid containerPort: 70000"),
        ("9-8", "invalid containerPort: 9-8"),
        ("80/foo", "invalid proto: foo"),
        ("80:", "no port specified: 80:<empty>"),
        ("/tcp", "no port specified: /tcp<empty>"),
        ("1-2:80-82", "invalid ranges specified for container and host Ports: 80-82 and 1-2"),
        ("x:80", "invalid hostPort: x"),
        ("a:1:80", "invalid IP address: a"),
    ] {
        assert_eq!(refused(&format!("EXPOSE {port}")), message);
    }
}

#[test]
fn what_comes_to_nothing_is_refused() {
    for (line, message) in [
        ("WORKDIR \"\"", "cannot normalize nothing"),
        ("WORKDIR $x", "cannot normalize nothing"),
        ("VOLUME $x", "VOLUME specified can not be an empty string"),
        ("STOPSIGNAL FOO", "invalid signal: FOO"),
        ("STOPSIGNAL $x", "invalid signal: "),
        ("ENV $x=y", "invalid environment variable: =y"),
        ("LABEL a=${b:?no}", "failed to process \"${b:?no}\": b: no"),
    ] {
        assert_eq!(refused(line), message, "{line}");
    }
    assert_eq!(of("USER $x").0.user, "");
}

#[test]
fn health_checks_replace_each_other() {
    let (config, histories) =
        of("HEALTHCHECK --retries=33 --timeout=1m30s CMD [\"a b\",\"c\"]\nHEALTHCHECK --retries=3 CMD x");
    assert_eq!(config.healthcheck.map(|check| (check.timeout, check.retries)), Some((None, Some(3))));
    assert_eq!(histories[0], "HEALTHCHECK &{[\"CMD\" \"a b\" \"c\"] \"0s\" \"1m30s\" \"0s\" \"0s\" '!'}");
    assert_eq!(histories[1], "HEALTHCHECK &{[\"CMD-SHELL\" \"x\"] \"0s\" \"0s\" \"0s\" \"0s\" '\\x03'}");
    assert_eq!(of("HEALTHCHECK none").0.healthcheck.map(|check| check.test), words(&["NONE"]));
}

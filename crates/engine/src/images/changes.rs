//! `--change`: single Dockerfile instructions that edit an image's configuration.

use build::dockerfile::steps;
use build::expand::{Arguments, Globals, Scope, instruction};
use store::ContainerConfig;

use crate::build::convert::{to_builder, to_store};
use crate::error::{Error, Invalid};

/// The instructions that change a configuration and nothing else.
const WORDS: [&str; 11] = [
    "cmd",
    "entrypoint",
    "env",
    "expose",
    "healthcheck",
    "label",
    "onbuild",
    "stopsignal",
    "user",
    "volume",
    "workdir",
];

/// Applies instructions in order; the configuration is as it was when one is wrong.
///
/// # Errors
/// [`Invalid::Change`] with Docker's words.
pub fn apply_changes(lines: &[String], config: &mut ContainerConfig) -> Result<(), Error> {
    if lines.is_empty() {
        return Ok(());
    }
    let admit = |word: &str| {
        if WORDS.contains(&word) { Ok(()) } else { Err(format!("{word} is not a valid change command")) }
    };
    let refused = |text: String| Invalid::Change(text);
    // A here-document would need lines that a change does not have.
    let steps = steps(&lines.join("\n"), admit).map_err(|error| refused(error.message))?;
    let (globals, arguments) = (Globals::default(), Arguments::default());
    let mut changed = to_builder(config);
    for step in steps {
        let scope = Scope { env: &changed.env, arguments: &arguments, globals: &globals };
        let found = instruction(&step.instruction, '\\', &scope).map_err(|error| refused(error.to_string()))?;
        changed.apply(&found.value).map_err(|error| refused(error.to_string()))?;
    }
    // What instructions do not know stays.
    *config = ContainerConfig { other: std::mem::take(&mut config.other), ..to_store(&changed) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(lines: &[&str]) -> Result<ContainerConfig, String> {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        let mut config = ContainerConfig { cmd: Some(vec!["base".to_owned()]), ..ContainerConfig::default() };
        apply_changes(&lines, &mut config).map(|()| config).map_err(|error| error.to_string())
    }

    #[test]
    fn instructions_edit_the_configuration() {
        let config = changed(&[
            "CMD [\"sh\"]",
            "env A=1 B=\"two words\"",
            "ENV A changed",
            "ENV C=$A-${D:-d}",
            "EXPOSE 80 53/udp",
            "VOLUME [\"/data\"]",
            "WORKDIR /srv",
            "WORKDIR app",
            "LABEL a.b=c",
            "HEALTHCHECK --interval=2s --retries=3 CMD probe $A",
        ])
        .expect("valid");
        assert_eq!(config.cmd, Some(vec!["sh".to_owned()]));
        assert_eq!(config.env, ["A=changed", "B=two words", "C=changed-d"]);
        assert_eq!(config.exposed_ports.keys().collect::<Vec<_>>(), ["53/udp", "80/tcp"]);
        assert_eq!((config.working_dir.as_str(), config.volumes.contains_key("/data")), ("/srv/app", true));
        assert_eq!(config.labels["a.b"], "c");
        let check = config.healthcheck.expect("a health check");
        assert_eq!(
            (check.test, check.interval, check.retries),
            (vec!["CMD-SHELL".to_owned(), "probe $A".to_owned()], 2_000_000_000, 3)
        );
    }

    #[test]
    fn an_entrypoint_leaves_a_command_of_the_same_changes() {
        let words = |lines: &[&str]| changed(lines).map(|config| (config.entrypoint.map(|e| e.len()), config.cmd));
        let own = Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), "x".to_owned()]);
        assert_eq!(words(&["CMD x", "ENTRYPOINT run it"]), Ok((Some(3), own)));
        assert_eq!(words(&["ENTRYPOINT [\"x\"]"]), Ok((Some(1), None)));
    }

    /// As Debian's dockerd answers.
    #[test]
    fn refusals() {
        for (line, message) in [
            ("RUN x", "run is not a valid change command"),
            ("NOPE x", "nope is not a valid change command"),
            ("ARG x", "arg is not a valid change command"),
            ("", "file with no instructions"),
            ("ENV", "ENV requires at least one argument"),
            ("ENV A", "ENV must have two arguments"),
            ("EXPOSE foo", "invalid containerPort: foo"),
            ("HEALTHCHECK FOO", "Unknown type \"FOO\" in HEALTHCHECK (try CMD)"),
            ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
            ("USER", "USER requires exactly one argument"),
            ("STOPSIGNAL FOO", "invalid signal: FOO"),
            ("LABEL a=${b:?no}", "failed to process \"${b:?no}\": b: no"),
        ] {
            assert_eq!(changed(&["CMD y", line][usize::from(line.is_empty())..]), Err(message.to_owned()), "{line}");
        }
        assert_eq!(changed(&[]).map(|config| config.cmd), Ok(Some(vec!["base".to_owned()])));
    }
}

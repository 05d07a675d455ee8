//! `--change`: single Dockerfile instructions that edit an image's configuration.

use serde_json::Value;
use store::{ContainerConfig, Healthcheck};
use types::Signal;

use crate::error::{Error, Invalid};
use crate::model::PortKey;

/// Applies instructions in order.
///
/// # Errors
/// [`Invalid::Change`] with Docker's words.
pub fn apply_changes(lines: &[String], config: &mut ContainerConfig) -> Result<(), Error> {
    lines.iter().try_for_each(|line| apply(line.trim(), config))
}

fn apply(line: &str, config: &mut ContainerConfig) -> Result<(), Error> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let (word, rest) = (word.to_ascii_uppercase(), rest.trim());
    if rest.is_empty() {
        return Err(refused(format!("{word} requires at least one argument")));
    }
    match word.as_str() {
        "CMD" => config.cmd = Some(command(rest)),
        "ENTRYPOINT" => {
            config.entrypoint = Some(command(rest));
            // As in a Dockerfile: a new entrypoint does not go with an old command.
            config.cmd = None;
        }
        "ENV" => pairs(&word, rest)?.into_iter().for_each(|(name, value)| set_variable(&mut config.env, &name, &value)),
        "LABEL" => config.labels.extend(pairs(&word, rest)?),
        "EXPOSE" => {
            for port in rest.split_whitespace() {
                let port: PortKey = port.parse().map_err(|port| refused(format!("invalid containerPort: {port}")))?;
                config.exposed_ports.insert(port.to_string(), empty());
            }
        }
        "VOLUME" => {
            let paths = json(rest).unwrap_or_else(|| rest.split_whitespace().map(str::to_owned).collect());
            config.volumes.extend(paths.into_iter().map(|path| (path, empty())));
        }
        "USER" => rest.clone_into(&mut config.user),
        "WORKDIR" => config.working_dir = working_directory(&config.working_dir, rest),
        "ONBUILD" => config.on_build.push(rest.to_owned()),
        "STOPSIGNAL" => {
            let _: Signal = rest.parse().map_err(|error: types::InvalidSignal| refused(error.to_string()))?;
            config.stop_signal = Some(rest.to_owned());
        }
        "HEALTHCHECK" => config.healthcheck = Some(health(rest)?),
        "FROM" | "RUN" | "COPY" | "ADD" | "ARG" | "SHELL" | "MAINTAINER" => {
            return Err(refused(format!("{} is not a valid change command", word.to_ascii_lowercase())));
        }
        _ => return Err(refused(format!("{} is not a valid change command", word.to_ascii_lowercase()))),
    }
    Ok(())
}

fn refused(text: String) -> Error {
    Invalid::Change(text).into()
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

/// The JSON form, or the shell form.
fn command(rest: &str) -> Vec<String> {
    json(rest).unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned(), rest.to_owned()])
}

fn json(rest: &str) -> Option<Vec<String>> {
    serde_json::from_str(rest).ok()
}

fn set_variable(env: &mut Vec<String>, name: &str, value: &str) {
    let entry = format!("{name}={value}");
    match env.iter().position(|variable| variable.split('=').next() == Some(name)) {
        Some(at) => env[at] = entry,
        None => env.push(entry),
    }
}

fn working_directory(before: &str, path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", before.trim_end_matches('/')) }
}

/// `CMD command` or `NONE`; the options of a Dockerfile are not taken here.
fn health(rest: &str) -> Result<Healthcheck, Error> {
    let test = match rest.split_once(char::is_whitespace) {
        None if rest.eq_ignore_ascii_case("none") => vec!["NONE".to_owned()],
        Some((word, line)) if word.eq_ignore_ascii_case("cmd") => match json(line.trim()) {
            Some(words) => std::iter::once("CMD".to_owned()).chain(words).collect(),
            None => vec!["CMD-SHELL".to_owned(), line.trim().to_owned()],
        },
        _ => return Err(refused(format!("Unknown type {rest:?} in HEALTHCHECK (try CMD)"))),
    };
    Ok(Healthcheck { test, ..Healthcheck::default() })
}

/// `NAME=value NAME2="a b"`, or the old form `NAME the rest`.
fn pairs(word: &str, rest: &str) -> Result<Vec<(String, String)>, Error> {
    let malformed = || refused(format!("Syntax error - can't find = in {rest:?}. Must be of the form: name=value"));
    let first = rest.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (name, value) = rest.split_once(char::is_whitespace).ok_or_else(malformed)?;
        if word == "LABEL" && value.contains('=') {
            return Err(malformed());
        }
        return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
    }
    let words = words(rest);
    words
        .iter()
        .map(|pair| pair.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())).ok_or_else(malformed))
        .collect()
}

/// Splits at white space outside quotes and takes quotes and backslashes away.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => word.extend(letters.next()),
            ('"' | '\'', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            (letter, None) if letter.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
                continue;
            }
            (letter, _) => word.push(letter),
        }
        begun = true;
    }
    if begun {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(lines: &[&str]) -> Result<ContainerConfig, String> {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        let mut config = ContainerConfig::default();
        apply_changes(&lines, &mut config).map(|()| config).map_err(|error| error.to_string())
    }

    #[test]
    fn instructions_edit_the_configuration() {
        let config = changed(&[
            "CMD [\"sh\"]",
            "env A=1 B=\"two words\"",
            "ENV A changed",
            "EXPOSE 80 53/udp",
            "VOLUME [\"/data\"]",
            "WORKDIR /srv",
            "WORKDIR app",
            "LABEL a.b=c",
        ])
        .expect("valid");
        assert_eq!(config.cmd, Some(vec!["sh".to_owned()]));
        assert_eq!(config.env, ["A=changed", "B=two words"]);
        assert_eq!(config.exposed_ports.keys().collect::<Vec<_>>(), ["80/tcp", "53/udp"]);
        assert_eq!((config.working_dir.as_str(), config.volumes.contains_key("/data")), ("/srv/app", true));
        assert_eq!(config.labels["a.b"], "c");
    }

    #[test]
    fn shell_form_and_refusals() {
        assert_eq!(changed(&["ENTRYPOINT run it"]).map(|c| c.entrypoint.map(|e| e.len())), Ok(Some(3)));
        assert_eq!(changed(&["RUN x"]).err().as_deref(), Some("run is not a valid change command"));
        assert_eq!(changed(&["NOPE x"]).err().as_deref(), Some("nope is not a valid change command"));
        assert!(changed(&["ENV A"]).is_err() && changed(&["CMD"]).is_err());
    }
}

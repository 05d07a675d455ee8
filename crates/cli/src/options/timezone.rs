//! `--tz`: the time zone of a container, as a mount of the host's zone file.

use serde_json::{Value, json};

/// The mount for `local`, the daemon's host's own zone, or a name as `Europe/Berlin`.
///
/// # Errors
/// A name that leads out of the zones' directory.
pub fn mount(text: &str) -> Result<Value, String> {
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    let source = match text {
        "local" => "/etc/localtime".to_owned(),
        name if name.split('/').all(plain) => format!("/usr/share/zoneinfo/{name}"),
        _ => return Err(format!("invalid time zone: {text:?}: use local, or a name as Europe/Berlin")),
    };
    Ok(json!({ "Type": "bind", "Source": source, "Target": "/etc/localtime", "ReadOnly": true }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_files_of_the_host() {
        assert_eq!(mount("local").expect("valid")["Source"], "/etc/localtime");
        assert_eq!(mount("Europe/Berlin").expect("valid")["Source"], "/usr/share/zoneinfo/Europe/Berlin");
        assert!(mount("../../etc/passwd").is_err() && mount("").is_err() && mount("/etc/passwd").is_err());
    }
}

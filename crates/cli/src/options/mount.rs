//! `--mount`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::size;
use super::volume::absolute;

/// Fields of one `--mount`, by the group of options they belong to.
#[derive(Default)]
struct Mount {
    kind: String,
    source: String,
    target: String,
    read_only: bool,
    consistency: String,
    bind: Map<String, Value>,
    volume: Map<String, Value>,
    driver: Map<String, Value>,
    image: Map<String, Value>,
    tmpfs: Map<String, Value>,
}

/// Reads a comma-separated list of `key=value` into the API's `Mount`. `cwd` completes sources that begin with a dot.
///
/// # Errors
/// Docker's text.
pub fn parse(text: &str, cwd: &Path) -> Result<Value, String> {
    let mut mount = Mount { kind: "volume".to_owned(), ..Mount::default() };
    for field in csv_fields(text)? {
        mount.set(&field, cwd)?;
    }
    mount.finish()
}

/// For the flag table: whether the text reads.
pub fn check(text: &str) -> Result<(), String> {
    parse(text, Path::new("/")).map(|_| ())
}

impl Mount {
    fn set(&mut self, field: &str, cwd: &Path) -> Result<(), String> {
        let (key, value) = field.split_once('=').map_or((field, None), |(key, value)| (key, Some(value)));
        let key = key.to_ascii_lowercase();
        let Some(value) = value else { return self.set_bare(&key, field) };
        let bad = || format!("invalid value for {key}: {value}");
        let boolean = || match value {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(bad()),
        };
        let insert = |map: &mut Map<String, Value>, name: &str, value: Value| {
            map.insert(name.to_owned(), value);
        };
        match key.as_str() {
            "type" => self.kind = value.to_ascii_lowercase(),
            "source" | "src" => {
                self.source = if value.starts_with('.') { absolute(value, cwd) } else { value.to_owned() };
            }
            "target" | "dst" | "destination" => self.target = value.to_owned(),
            "readonly" | "ro" => self.read_only = boolean()?,
            "consistency" => self.consistency = value.to_ascii_lowercase(),
            "bind-propagation" => insert(&mut self.bind, "Propagation", json!(value.to_ascii_lowercase())),
            "bind-nonrecursive" => insert(&mut self.bind, "NonRecursive", json!(boolean()?)),
            "bind-recursive" => self.set_recursion(value, &key)?,
            "volume-subpath" => insert(&mut self.volume, "Subpath", json!(value)),
            "volume-nocopy" => insert(&mut self.volume, "NoCopy", json!(boolean()?)),
            "volume-label" => add_pair(&mut self.volume, "Labels", value),
            "volume-driver" => insert(&mut self.driver, "Name", json!(value)),
            "volume-opt" => add_pair(&mut self.driver, "Options", value),
            "image-subpath" => insert(&mut self.image, "Subpath", json!(value)),
            "tmpfs-size" => insert(&mut self.tmpfs, "SizeBytes", json!(size::parse(value).map_err(|_| bad())?)),
            "tmpfs-mode" => {
                let mode = u32::from_str_radix(value, 8).map_err(|_| bad())?;
                insert(&mut self.tmpfs, "Mode", json!(mode));
            }
            _ => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
        Ok(())
    }

    fn set_bare(&mut self, key: &str, field: &str) -> Result<(), String> {
        match key {
            "readonly" | "ro" => self.read_only = true,
            "volume-nocopy" => {
                self.volume.insert("NoCopy".to_owned(), json!(true));
            }
            "bind-nonrecursive" => {
                self.bind.insert("NonRecursive".to_owned(), json!(true));
            }
            _ => return Err(format!("invalid field '{field}' must be a key=value pair")),
        }
        Ok(())
    }

    fn set_recursion(&mut self, value: &str, key: &str) -> Result<(), String> {
        let field = match value {
            "enabled" => return Ok(()),
            "disabled" => "NonRecursive",
            "writable" => "ReadOnlyNonRecursive",
            "readonly" => "ReadOnlyForceRecursive",
            _ => {
                return Err(format!(
                    "invalid value for {key}: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
                ));
            }
        };
        self.bind.insert(field.to_owned(), json!(true));
        Ok(())
    }

    fn finish(mut self) -> Result<Value, String> {
        if self.kind.is_empty() {
            return Err("type is required".to_owned());
        }
        if self.target.is_empty() {
            return Err("target is required".to_owned());
        }
        if !self.driver.is_empty() || !self.volume.is_empty() {
            self.volume.insert("DriverConfig".to_owned(), Value::Object(self.driver));
        }
        let groups = [("volume", &self.volume), ("image", &self.image), ("bind", &self.bind), ("tmpfs", &self.tmpfs)];
        for (group, options) in groups {
            if !options.is_empty() && self.kind != group {
                return Err(format!("cannot mix '{group}-*' options with mount type '{}'", self.kind));
            }
        }
        for (field, word) in [("ReadOnlyNonRecursive", "writable"), ("ReadOnlyForceRecursive", "readonly")] {
            if self.bind.contains_key(field) && !self.read_only {
                return Err(format!(
                    "option 'bind-recursive={word}' requires 'readonly' to be specified in conjunction"
                ));
            }
        }
        if self.bind.contains_key("ReadOnlyForceRecursive") && self.bind.get("Propagation") != Some(&json!("rprivate"))
        {
            return Err(
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
                    .to_owned(),
            );
        }
        let mut mount = Map::new();
        mount.insert("Type".to_owned(), json!(self.kind));
        mount.insert("Target".to_owned(), json!(self.target));
        for (name, text) in [("Source", self.source), ("Consistency", self.consistency)] {
            if !text.is_empty() {
                mount.insert(name.to_owned(), json!(text));
            }
        }
        if self.read_only {
            mount.insert("ReadOnly".to_owned(), json!(true));
        }
        let groups = [
            ("BindOptions", self.bind),
            ("VolumeOptions", self.volume),
            ("ImageOptions", self.image),
            ("TmpfsOptions", self.tmpfs),
        ];
        for (name, options) in groups {
            if !options.is_empty() {
                mount.insert(name.to_owned(), Value::Object(options));
            }
        }
        Ok(Value::Object(mount))
    }
}

fn add_pair(map: &mut Map<String, Value>, name: &str, text: &str) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let entry = map.entry(name.to_owned()).or_insert_with(|| json!({}));
    if let Some(pairs) = entry.as_object_mut().filter(|_| !key.is_empty()) {
        pairs.insert(key.to_owned(), json!(value));
    }
}

/// One line of comma-separated values, with double quotes around fields that have commas.
///
/// # Errors
/// Go's text when quotes do not match.
pub fn csv_fields(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Err("EOF".to_owned());
    }
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            let (field, after) = rest.split_once(',').map_or((rest, None), |(field, after)| (field, Some(after)));
            if let Some(at) = field.find('"') {
                return Err(format!("parse error on line 1, column {}: bare \" in non-quoted field", at + 1));
            }
            fields.push(field.to_owned());
            match after {
                Some(after) => rest = after,
                None => return Ok(fields),
            }
            continue;
        };
        let mut field = String::new();
        let mut tail = quoted;
        loop {
            let Some((part, after)) = tail.split_once('"') else {
                return Err("parse error on line 1, column 1: extraneous or missing \" in quoted-field".to_owned());
            };
            field.push_str(part);
            match after.strip_prefix('"') {
                Some(more) => {
                    field.push('"');
                    tail = more;
                }
                None => {
                    tail = after;
                    break;
                }
            }
        }
        fields.push(field);
        match tail.strip_prefix(',') {
            Some(after) => rest = after,
            None if tail.is_empty() => return Ok(fields),
            None => {
                return Err("parse error on line 1, column 1: extraneous or missing \" in quoted-field".to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_mounts() {
        let cwd = Path::new("/w");
        assert_eq!(
            parse("type=bind,src=./a,dst=/b,ro,bind-propagation=rslave", cwd),
            Ok(
                json!({"Type":"bind","Source":"/w/a","Target":"/b","ReadOnly":true,"BindOptions":{"Propagation":"rslave"}})
            )
        );
        assert_eq!(
            parse("type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1777", cwd),
            Ok(json!({"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":67_108_864,"Mode":1023}}))
        );
        assert_eq!(
            parse("source=v,target=/t,volume-driver=local,\"volume-opt=o=a,b\"", cwd),
            Ok(json!({"Type":"volume","Source":"v","Target":"/t",
                      "VolumeOptions":{"DriverConfig":{"Name":"local","Options":{"o":"a,b"}}}}))
        );
    }

    #[test]
    fn refuses_with_dockers_words() {
        for (text, message) in [
            ("type=bind,src=/a", "target is required"),
            ("foo", "invalid field 'foo' must be a key=value pair"),
            ("foo=bar", "unexpected key 'foo' in 'foo=bar'"),
            ("type=tmpfs,target=/t,bind-propagation=shared", "cannot mix 'bind-*' options with mount type 'tmpfs'"),
            ("type=bind,src=/a,target=/b,readonly=x", "invalid value for readonly: x"),
        ] {
            assert_eq!(check(text), Err(message.to_owned()), "{text}");
        }
    }
}

//! `RUN --mount=type=…,key=value,…`.

use types::parse_size;

/// A mount as it is written. Its values may have variables, so it is understood when those are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountFlag(pub String);

/// A mount of a `RUN`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunMount {
    /// What it is.
    pub kind: MountKind,
    /// The stage or image a bind or cache comes from; `None` is the build context.
    pub from: Option<String>,
    /// Path in it; of a secret, its id.
    pub source: Option<String>,
    /// Where it is to be seen.
    pub target: Option<String>,
    /// Not to be written to.
    pub readonly: bool,
    /// Size of a tmpfs in bytes.
    pub size: Option<u64>,
    /// Id of a cache, secret or agent.
    pub id: Option<String>,
    /// How builds at the same time see a cache; `None` is shared.
    pub sharing: Option<Sharing>,
    /// The secret or agent must be there.
    pub required: bool,
    /// The variable a secret is put in.
    pub env: Option<String>,
    /// Permissions of a cache, secret or agent.
    pub mode: Option<u32>,
    /// Its user.
    pub uid: Option<u32>,
    /// Its group.
    pub gid: Option<u32>,
}

/// `type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MountKind {
    /// Files of the context, a stage or an image.
    #[default]
    Bind,
    /// A directory that lasts beyond the build.
    Cache,
    /// Memory.
    Tmpfs,
    /// A file the client has.
    Secret,
    /// The client's SSH agent.
    Ssh,
}

/// `sharing` of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// All at once.
    Shared,
    /// Each its own.
    Private,
    /// One after the other.
    Locked,
}

const KINDS: [(&str, MountKind); 5] = [
    ("bind", MountKind::Bind),
    ("cache", MountKind::Cache),
    ("tmpfs", MountKind::Tmpfs),
    ("secret", MountKind::Secret),
    ("ssh", MountKind::Ssh),
];

const SHARINGS: [(&str, Sharing); 3] =
    [("shared", Sharing::Shared), ("private", Sharing::Private), ("locked", Sharing::Locked)];

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
];

// === impl MountFlag ===

impl MountFlag {
    /// What can be said before variables are known.
    pub(super) fn check(&self) -> Result<(), String> {
        for field in fields(&self.0)? {
            let variable = |value: &str| value.find('$').is_some_and(|at| at + 1 < value.len());
            if let Some((key, value)) = field.split_once('=')
                && key.eq_ignore_ascii_case("from")
                && variable(value)
            {
                return Err("'from' doesn't support variable expansion, define alias stage instead".to_owned());
            }
        }
        Ok(())
    }

    /// The stage or image it comes from.
    pub(super) fn from(&self) -> Option<String> {
        let fields = fields(&self.0).ok()?;
        let value = |field: &String| {
            let (key, value) = field.split_once('=')?;
            key.eq_ignore_ascii_case("from").then(|| value.to_owned())
        };
        fields.iter().find_map(value)
    }

    /// The mount, its values passed through `expand`.
    ///
    /// # Errors
    /// Docker's words for a wrong key or value, or those of `expand`.
    pub fn resolve(&self, expand: &mut dyn FnMut(&str) -> Result<String, String>) -> Result<RunMount, String> {
        let mut mount = RunMount::default();
        let mut readonly = None;
        for field in fields(&self.0)? {
            match field.split_once('=') {
                None => mount.word(&field, &mut readonly)?,
                Some((key, value)) => {
                    let (key, value) = (key.to_lowercase(), expand(value)?);
                    mount.set(&key, &value, &field, &mut readonly)?;
                }
            }
        }
        mount.readonly = readonly.unwrap_or(!matches!(mount.kind, MountKind::Cache | MountKind::Tmpfs));
        mount.checked()
    }
}

// === impl RunMount ===

impl RunMount {
    /// A field without a value.
    fn word(&mut self, field: &str, readonly: &mut Option<bool>) -> Result<(), String> {
        let key = field.to_lowercase();
        match key.as_str() {
            "readonly" | "ro" => *readonly = Some(true),
            "readwrite" | "rw" => *readonly = Some(false),
            "required" => {
                self.only(&key, matches!(self.kind, MountKind::Secret | MountKind::Ssh))?;
                self.required = true;
            }
            _ => return Err(format!("invalid field '{field}' must be a key=value pair")),
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str, field: &str, readonly: &mut Option<bool>) -> Result<(), String> {
        let invalid = || format!("invalid value for {key}: {value}");
        let number =
            |radix: u32| u32::from_str_radix(value, radix).map_err(|_| format!("invalid value {value} for {key}"));
        let text = || Some(value.to_owned()).filter(|value| !value.is_empty());
        match key {
            "type" => self.kind = choice("mount type", value, &KINDS)?,
            "from" => self.from = text(),
            "source" | "src" => self.source = text(),
            "target" | "dst" | "destination" => self.target = text(),
            "readonly" | "ro" => *readonly = Some(boolean(value).ok_or_else(invalid)?),
            "readwrite" | "rw" => *readonly = Some(!boolean(value).ok_or_else(invalid)?),
            "required" => {
                self.only(key, matches!(self.kind, MountKind::Secret | MountKind::Ssh))?;
                self.required = boolean(value).ok_or_else(invalid)?;
            }
            "size" => {
                self.only(key, self.kind == MountKind::Tmpfs)?;
                self.size = Some(parse_size(value, 1024).map_err(|_| invalid())?);
            }
            "id" => self.id = text(),
            "sharing" => self.sharing = Some(choice("sharing value", value, &SHARINGS)?),
            "mode" => self.mode = Some(number(8)?),
            "uid" => self.uid = Some(number(10)?),
            "gid" => self.gid = Some(number(10)?),
            "env" => self.env = Some(value.to_owned()),
            _ => {
                let meant = crate::suggest::nearest(key, KEYS);
                return Err(suggested(format!("unexpected key '{key}' in '{field}'"), meant));
            }
        }
        Ok(())
    }

    fn only(&self, key: &str, allowed: bool) -> Result<(), String> {
        if allowed { Ok(()) } else { Err(format!("unexpected key '{key}' for mount type '{}'", self.kind.name())) }
    }

    fn checked(self) -> Result<Self, String> {
        let kind = self.kind.name();
        if matches!(self.kind, MountKind::Bind | MountKind::Tmpfs) {
            let set = [("mode", self.mode), ("uid", self.uid), ("gid", self.gid)];
            if let Some((key, _)) = set.iter().find(|(_, value)| value.is_some()) {
                return Err(format!("{key} not allowed for {kind:?} type mounts"));
            }
        }
        if self.kind == MountKind::Secret {
            let message = if self.from.is_some() {
                "secret mount should not have a from"
            } else if self.sharing.is_some() {
                "secret mount should not define sharing"
            } else if self.source.is_none() && self.target.is_none() && self.id.is_none() {
                "invalid secret mount. one of source, target required"
            } else if self.source.is_some() && self.id.is_some() {
                "both source and id can't be set"
            } else {
                return Ok(self);
            };
            return Err(message.to_owned());
        }
        if self.sharing.is_some() && self.kind != MountKind::Cache {
            return Err(format!("invalid cache sharing set for {kind} mount"));
        }
        Ok(self)
    }
}

// === impl MountKind ===

impl MountKind {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

// === helpers ===

/// The fields of one line of comma-separated values; `"` around a field may hold commas, `""` in it is a quote.
fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            let (field, after) = rest.split_once(',').map_or((rest, None), |(field, after)| (field, Some(after)));
            if field.contains('"') {
                return Err("failed to parse csv mounts: bare \" in non-quoted-field".to_owned());
            }
            fields.push(field.to_owned());
            match after {
                Some(after) => rest = after,
                None => return Ok(fields),
            }
            continue;
        };
        let (mut field, mut letters) = (String::new(), quoted.char_indices().peekable());
        let end = loop {
            match letters.next() {
                None => return Err("failed to parse csv mounts: extraneous or missing \" in quoted-field".to_owned()),
                Some((_, '"')) if letters.next_if(|(_, next)| *next == '"').is_some() => field.push('"'),
                Some((at, '"')) => break at + 1,
                Some((_, letter)) => field.push(letter),
            }
        };
        fields.push(field);
        match (quoted[end..].strip_prefix(','), quoted[end..].is_empty()) {
            (Some(after), _) => rest = after,
            (None, true) => return Ok(fields),
            (None, false) => {
                return Err("failed to parse csv mounts: extraneous or missing \" in quoted-field".to_owned());
            }
        }
    }
}

fn choice<T: Copy>(what: &str, value: &str, options: &[(&str, T)]) -> Result<T, String> {
    let found = options.iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
    found.map(|(_, option)| *option).ok_or_else(|| {
        let meant = crate::suggest::nearest(value, options.iter().map(|(name, _)| *name));
        suggested(format!("unsupported {what} {value:?}"), meant)
    })
}

/// Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn suggested(message: String, meant: Option<&str>) -> String {
    meant.map_or(message.clone(), |meant| format!("{message} (did you mean {meant}?)"))
}

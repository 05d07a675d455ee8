//! What a setting of the daemon is made of.

use cli::flags::Flag;

use Fate::Honoured;
use Shape::{List, Number, Raw, Switch, Text};

/// What a setting holds, in the file's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// A size: a text with a unit, or a number of bytes.
    Size,
    /// On or off.
    Switch,
    /// A list of texts.
    List,
    /// Texts by name.
    Map,
    /// Something of its own shape, read by its own code.
    Raw,
}

/// What the daemon does with a setting.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// What it says.
    Honoured,
    /// It has no meaning for this engine and harms nobody: accepted, and the log says why.
    Noted(&'static str),
    /// Only these values can be honoured (a list or map only when empty); others are refused, with the reason.
    Only(&'static [&'static str], &'static str),
}

/// One setting.
pub(super) struct Setting {
    /// The flag; without a name when only the file knows the setting.
    pub flag: Flag,
    /// The key in the file; empty when only the command line knows the setting.
    pub key: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// What becomes of it.
    pub fate: Fate,
}

/// A setting that holds a text.
pub(super) const fn text(name: &'static str, kind: &'static str, help: &'static str, fate: Fate) -> Setting {
    Setting { flag: Flag::value(name, kind, help), key: name, shape: Text, fate }
}

/// A setting that holds a whole number.
pub(super) const fn number(name: &'static str, help: &'static str, fate: Fate) -> Setting {
    Setting { flag: Flag::value(name, "int", help), key: name, shape: Number, fate }
}

/// A setting that is on or off.
pub(super) const fn switch(name: &'static str, help: &'static str, fate: Fate) -> Setting {
    Setting { flag: Flag::switch(name, help), key: name, shape: Switch, fate }
}

/// A setting that holds a list of texts, with another name in the file.
pub(super) const fn list(
    name: &'static str,
    key: &'static str,
    kind: &'static str,
    help: &'static str,
    fate: Fate,
) -> Setting {
    Setting { flag: Flag::value(name, kind, help), key, shape: List, fate }
}

/// The same, of another shape in the file.
pub(super) const fn of_shape(setting: Setting, shape: Shape) -> Setting {
    Setting { shape, ..setting }
}

/// The same with another flag.
pub(super) const fn with(setting: Setting, flag: Flag) -> Setting {
    Setting { flag, ..setting }
}

/// A setting that only the file knows.
pub(super) const fn file_only(key: &'static str, fate: Fate) -> Setting {
    Setting { flag: Flag::switch("", ""), key, shape: Raw, fate }
}

/// A setting that only the command line knows.
pub(super) const fn flag_only(flag: Flag) -> Setting {
    Setting { flag, key: "", shape: Text, fate: Honoured }
}

//! Which variables an instruction sees: build arguments by scope, and the environment.

use std::collections::{BTreeMap, BTreeSet};

use types::Platform;

use super::Variables;
use crate::dockerfile::Argument;

/// Arguments that need no `ARG`: they reach every `RUN`, and stay out of histories and caches.
const PROXIES: [&str; 10] = [
    "ALL_PROXY",
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "all_proxy",
    "ftp_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The scope before the first stage, which every `FROM` sees; and what the build was given.
#[derive(Clone, Debug, Default)]
pub struct Globals {
    /// `--build-arg`; one without a value is as good as not given.
    given: BTreeMap<String, Option<String>>,
    /// `TARGETPLATFORM` and the like.
    automatic: BTreeMap<String, String>,
    declared: BTreeMap<String, Option<String>>,
}

/// The arguments a stage has declared so far.
#[derive(Clone, Debug, Default)]
pub struct Arguments(BTreeMap<String, Option<String>>);

/// What an instruction of a stage sees. The environment comes before arguments.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The configuration's `NAME=value` lines.
    pub env: &'a [String],
    /// The stage's arguments.
    pub arguments: &'a Arguments,
    /// The build's.
    pub globals: &'a Globals,
}

// === impl Globals ===

impl Globals {
    /// A scope without declarations. `given` are the values the build was started with.
    #[must_use]
    pub fn new(given: BTreeMap<String, Option<String>>) -> Self {
        Self { given, ..Self::default() }
    }

    /// Adds the arguments that describe the platforms of the build (`TARGETPLATFORM`, `BUILDARCH`…) and its target
    /// stage. A stage sees them after an `ARG` without a default.
    #[must_use]
    pub fn with_platforms(mut self, build: &Platform, target: &Platform, stage: Option<&str>) -> Self {
        for (prefix, platform) in [("BUILD", build), ("TARGET", target)] {
            let values = [
                ("PLATFORM", platform.to_string()),
                ("OS", platform.os.clone()),
                ("ARCH", platform.architecture.clone()),
                ("VARIANT", platform.variant.clone().unwrap_or_default()),
            ];
            self.automatic.extend(values.map(|(name, value)| (format!("{prefix}{name}"), value)));
        }
        self.automatic.insert("TARGETSTAGE".to_owned(), stage.unwrap_or("default").to_owned());
        self
    }

    /// An `ARG` before the first stage, its default expanded.
    pub fn declare(&mut self, argument: &Argument) {
        self.declared.insert(argument.name.clone(), argument.value.clone());
    }

    /// Names that a `FROM` may use: those declared here, and those of the platforms.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.declared.keys().chain(self.automatic.keys()).map(String::as_str)
    }

    /// The same build without any given values.
    #[must_use]
    pub fn defaults(&self) -> Self {
        Self { given: BTreeMap::new(), ..self.clone() }
    }

    /// Values given for names that nobody declared, sorted: Docker warns of them.
    #[must_use]
    pub fn unused<'a>(&'a self, declared: &BTreeSet<String>) -> Vec<&'a str> {
        let names = self.given.keys().map(String::as_str);
        names
            .filter(|name| !declared.contains(*name) && !self.declared.contains_key(*name) && !PROXIES.contains(name))
            .collect()
    }

    fn given(&self, name: &str) -> Option<&str> {
        self.given.get(name)?.as_deref()
    }
}

impl Variables for Globals {
    fn value(&self, name: &str) -> Option<&str> {
        let declared = self.declared.get(name);
        if declared.is_some() || PROXIES.contains(&name) || self.automatic.contains_key(name) {
            let default = declared.and_then(|value| value.as_deref());
            return self.given(name).or(default).or_else(|| self.automatic.get(name).map(String::as_str));
        }
        None
    }
}

// === impl Arguments ===

impl Arguments {
    /// An `ARG` of the stage, its default expanded.
    pub fn declare(&mut self, argument: &Argument) {
        self.0.insert(argument.name.clone(), argument.value.clone());
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

// === impl Scope ===

impl Scope<'_> {
    /// The arguments a `RUN` has in its environment, sorted by name: those with a value which no `ENV` hides.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let names: BTreeSet<&str> = self.arguments.names().chain(PROXIES).collect();
        let visible = names.into_iter().filter(|name| self.env.value(name).is_none());
        visible.filter_map(|name| Some((name.to_owned(), self.argument(name)?.to_owned()))).collect()
    }

    /// Those of [`Scope::environment`] that a step's history and cache know: proxies only where an `ARG` names them.
    #[must_use]
    pub fn recorded(&self) -> Vec<(String, String)> {
        let mut values = self.environment();
        values.retain(|(name, _)| self.arguments.0.contains_key(name));
        values
    }

    fn argument(&self, name: &str) -> Option<&str> {
        match self.arguments.0.get(name) {
            Some(default) => self.globals.given(name).or(default.as_deref()).or_else(|| self.globals.value(name)),
            None if PROXIES.contains(&name) => self.globals.given(name),
            None => None,
        }
    }
}

impl Variables for Scope<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        self.env.value(name).or_else(|| self.argument(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(text: &str) -> Argument {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value.to_owned())));
        Argument { name: name.to_owned(), value }
    }

    fn given(pairs: &[(&str, &str)]) -> Globals {
        Globals::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect())
    }

    /// What was seen of Debian's dockerd: `RUN echo` behind the same declarations.
    #[test]
    fn scopes_hide_each_other_as_in_docker() {
        let mut globals = given(&[("k", "kk"), ("HTTP_PROXY", "p"), ("c", "1"), ("b", "2")]);
        globals.given.insert("unset".to_owned(), None);
        for text in ["g=1", "h=1-2", "e=x", "b=busybox"] {
            globals.declare(&argument(text));
        }
        assert_eq!((globals.value("b"), globals.value("c"), globals.value("g")), (Some("2"), None, Some("1")));
        let mut arguments = Arguments::default();
        for text in ["g", "h=z1", "k", "e=", "unset=def", "nothing"] {
            arguments.declare(&argument(text));
        }
        let env = ["PATH=/bin".to_owned(), "h=fromenv".to_owned()];
        let scope = Scope { env: &env, arguments: &arguments, globals: &globals };
        let values = ["g", "h", "k", "e", "unset", "nothing", "b", "HTTP_PROXY", "http_proxy"].map(|n| scope.value(n));
        let expected = [Some("1"), Some("fromenv"), Some("kk"), Some(""), Some("def"), None, None, Some("p"), None];
        assert_eq!(values, expected);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let recorded = [pair("e", ""), pair("g", "1"), pair("k", "kk"), pair("unset", "def")];
        assert_eq!(scope.recorded(), recorded);
        assert_eq!(scope.environment()[0], pair("HTTP_PROXY", "p"));
        assert_eq!(scope.environment().len(), 5);
        let declared = arguments.names().map(str::to_owned).collect();
        assert_eq!(globals.unused(&declared), ["c"]);
    }

    #[test]
    fn platforms_are_seen_where_they_are_declared() {
        let arm = Platform::parse("linux/arm64/v8").expect("a platform");
        let globals = given(&[("TARGETARCH", "mine")]).with_platforms(
            &Platform::parse("linux/amd64").expect("a platform"),
            &arm,
            None,
        );
        assert_eq!((globals.value("BUILDPLATFORM"), globals.value("TARGETVARIANT")), (Some("linux/amd64"), Some("v8")));
        assert_eq!((globals.value("TARGETARCH"), globals.value("TARGETSTAGE")), (Some("mine"), Some("default")));
        let mut arguments = Arguments::default();
        arguments.declare(&argument("TARGETPLATFORM"));
        let scope = Scope { env: &[], arguments: &arguments, globals: &globals };
        assert_eq!((scope.value("TARGETPLATFORM"), scope.value("TARGETOS")), (Some("linux/arm64/v8"), None));
    }
}

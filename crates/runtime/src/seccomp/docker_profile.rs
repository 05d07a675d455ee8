//! Docker's form of a profile (`--security-opt seccomp=FILE`): config.json's, plus rules that depend on the
//! container's capabilities, the architecture and the kernel.

use serde::{Deserialize, Deserializer};

use super::Error;
use super::arch::Arch;
use crate::spec::{Seccomp, SeccompAction, SeccompArg, SeccompRule};

/// What the rules depend on.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    /// Native architecture.
    pub arch: Arch,
    /// Major and minor number of the kernel.
    pub kernel: (u32, u32),
    /// The container's bounding set, as `CAP_…` names.
    pub capabilities: &'a [String],
}

/// A profile as users write it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DockerProfile {
    default_action: Option<SeccompAction>,
    default_errno_ret: Option<u32>,
    #[serde(deserialize_with = "null_is_empty")]
    architectures: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    arch_map: Vec<ArchEntry>,
    #[serde(deserialize_with = "null_is_empty")]
    flags: Vec<String>,
    listener_path: String,
    listener_metadata: String,
    #[serde(deserialize_with = "null_is_empty")]
    syscalls: Vec<Rule>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ArchEntry {
    architecture: String,
    #[serde(deserialize_with = "null_is_empty")]
    sub_architectures: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    name: String,
    #[serde(deserialize_with = "null_is_empty")]
    names: Vec<String>,
    action: SeccompAction,
    errno_ret: Option<u32>,
    #[serde(deserialize_with = "null_is_empty")]
    args: Vec<SeccompArg>,
    includes: Option<Circumstances>,
    excludes: Option<Circumstances>,
}

/// When a rule applies, or does not.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Circumstances {
    #[serde(deserialize_with = "null_is_empty")]
    caps: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    arches: Vec<String>,
    #[serde(deserialize_with = "kernel_version")]
    min_kernel: Option<(u32, u32)>,
}

// === impl Host ===

impl<'a> Host<'a> {
    /// This machine, for a container with these capabilities in its bounding set.
    pub fn here(capabilities: &'a [String]) -> Self {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        Self { arch: Arch::NATIVE, kernel: parse_release(&release), capabilities }
    }
}

// === impl DockerProfile ===

impl DockerProfile {
    /// Decodes the JSON text.
    pub fn parse(json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(Error::Decode)
    }

    /// The filter for one container; `None` for an empty profile, which means no filter.
    pub fn resolve(&self, host: Host<'_>) -> Result<Option<Seccomp>, Error> {
        let Some(default_action) = self.default_action else {
            // Docker takes a profile without default action for none at all.
            return Ok(None);
        };
        if !self.architectures.is_empty() && !self.arch_map.is_empty() {
            return Err(Error::Both { one: "architectures", two: "archMap" });
        }
        let mut architectures = self.architectures.clone();
        if let Some(entry) = self.arch_map.iter().find(|entry| entry.architecture == host.arch.scmp_name()) {
            architectures.push(entry.architecture.clone());
            architectures.extend_from_slice(&entry.sub_architectures);
        }
        let mut syscalls = Vec::with_capacity(self.syscalls.len());
        for rule in self.syscalls.iter().filter(|rule| rule.applies(host)) {
            syscalls.push(rule.resolve()?);
        }
        Ok(Some(Seccomp {
            default_action,
            default_errno_ret: self.default_errno_ret,
            architectures,
            flags: self.flags.clone(),
            listener_path: self.listener_path.clone(),
            listener_metadata: self.listener_metadata.clone(),
            syscalls,
        }))
    }
}

// === impl Rule ===

impl Rule {
    /// Every inclusion must hold, no exclusion may.
    fn applies(&self, host: Host<'_>) -> bool {
        let held = |name: &String| host.capabilities.contains(name);
        let here = |name: &String| name == host.arch.docker_name();
        let included = self.includes.as_ref().is_none_or(|needs| {
            needs.caps.iter().all(held)
                && (needs.arches.is_empty() || needs.arches.iter().any(here))
                && needs.min_kernel.is_none_or(|version| host.kernel >= version)
        });
        let excluded = self.excludes.as_ref().is_some_and(|bars| {
            bars.caps.iter().any(held)
                || bars.arches.iter().any(here)
                || bars.min_kernel.is_some_and(|version| host.kernel >= version)
        });
        included && !excluded
    }

    fn resolve(&self) -> Result<SeccompRule, Error> {
        let names = match (self.name.as_str(), self.names.as_slice()) {
            ("", names) => names.to_vec(),
            (name, []) => vec![name.to_owned()],
            _ => return Err(Error::Both { one: "name", two: "names" }),
        };
        Ok(SeccompRule { names, action: self.action, errno_ret: self.errno_ret, args: self.args.clone() })
    }
}

/// Major and minor number of a release such as `6.1.0-56-cloud-amd64`; zeroes for what is not a number.
fn parse_release(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

/// `"4.8"`.
fn kernel_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<(u32, u32)>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let parsed = text.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    parsed.map(Some).ok_or_else(|| serde::de::Error::custom(format!("invalid kernel version {text:?}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HOST: Host<'static> = Host { arch: Arch::X86_64, kernel: (6, 1), capabilities: &[] };

    #[test]
    fn rules_depend_on_the_circumstances() {
        let profile = DockerProfile::parse(
            r#"{"defaultAction":"SCMP_ACT_ERRNO","archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],
            "syscalls":[{"name":"read","action":"SCMP_ACT_ALLOW","args":null},
            {"names":["bpf"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_BPF"]}},
            {"names":["ptrace"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"4.8"},"excludes":{}},
            {"names":["clone"],"action":"SCMP_ACT_ALLOW","excludes":{"arches":["amd64"]}}]}"#,
        )
        .unwrap();
        let names = |host| -> Vec<String> {
            profile.resolve(host).unwrap().unwrap().syscalls.into_iter().flat_map(|rule| rule.names).collect()
        };
        assert_eq!(names(HOST), ["read", "ptrace"]);
        assert_eq!(names(Host { kernel: (4, 7), ..HOST }), ["read"]);
        let capabilities = ["CAP_BPF".to_owned()];
        assert_eq!(names(Host { capabilities: &capabilities, ..HOST }), ["read", "bpf", "ptrace"]);
        assert_eq!(profile.resolve(HOST).unwrap().unwrap().architectures, ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
    }

    #[test]
    fn releases_are_numbers() {
        assert_eq!(parse_release("6.1.0-56-cloud-amd64"), (6, 1));
        assert_eq!(parse_release("5.15"), (5, 15));
        assert!(Host::here(&[]).kernel >= (4, 0));
    }

    #[test]
    fn wrong_profiles_are_refused() {
        assert!(DockerProfile::parse("{").is_err());
        assert!(DockerProfile::parse("{}").unwrap().resolve(HOST).unwrap().is_none());
        let both = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"read","names":["write"]}]}"#;
        assert!(DockerProfile::parse(both).unwrap().resolve(HOST).is_err());
    }
}

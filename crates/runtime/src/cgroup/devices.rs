//! Device rules: parsed once, then written to version 1 or compiled for version 2.

use std::fmt;

use super::Error;
use crate::spec::DeviceRule;

/// Kind of device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeviceKind {
    Character,
    Block,
}

/// Letters of `rwm`, as the bits of `BPF_DEVCG_ACC_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access(pub u8);

/// One rule with its wildcards made explicit (`None`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub allow: bool,
    pub kind: Option<DeviceKind>,
    pub major: Option<u32>,
    pub minor: Option<u32>,
    pub access: Access,
}

impl Access {
    pub(super) const ALL: Self = Self(7);
    const LETTERS: [(char, u8); 3] = [('r', 2), ('w', 4), ('m', 1)];

    fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Self::ALL);
        }
        let mut bits = 0;
        for letter in text.chars() {
            let found = Self::LETTERS.iter().find(|(name, _)| *name == letter);
            bits |= found.ok_or_else(|| invalid("access is not made of the letters rwm"))?.1;
        }
        Ok(Self(bits))
    }
}

impl Rule {
    pub(super) fn parse(rule: &DeviceRule) -> Result<Self, Error> {
        let kind = match rule.kind.as_deref() {
            None | Some("a" | "") => None,
            Some("c" | "u") => Some(DeviceKind::Character),
            Some("b") => Some(DeviceKind::Block),
            Some(_) => return Err(invalid("type is none of a, b, c")),
        };
        Ok(Self {
            allow: rule.allow,
            kind,
            major: number(rule.major)?,
            minor: number(rule.minor)?,
            access: Access::parse(&rule.access)?,
        })
    }

    pub(super) fn parse_all(rules: &[DeviceRule]) -> Result<Vec<Self>, Error> {
        rules.iter().map(Self::parse).collect()
    }

    /// Matches every device and every access: nothing before it matters.
    pub(super) fn is_total(&self) -> bool {
        self.matches_every_device() && self.access == Access::ALL
    }

    pub(super) fn matches_every_device(&self) -> bool {
        self.kind.is_none() && self.major.is_none() && self.minor.is_none()
    }

    fn same_devices(&self, other: &Self) -> bool {
        self.kind == other.kind && self.major == other.major && self.minor == other.minor
    }

    fn overlaps(&self, other: &Self) -> bool {
        fn meets<T: PartialEq>(one: Option<T>, two: Option<T>) -> bool {
            one.is_none() || two.is_none() || one == two
        }
        meets(self.kind, other.kind)
            && meets(self.major, other.major)
            && meets(self.minor, other.minor)
            && self.access.0 & other.access.0 != 0
    }

    /// One rule per kind: version 1 has no rule for "major 1, character or block".
    fn by_kind(self) -> impl Iterator<Item = Self> {
        let both = self.kind.is_none() && !self.is_total();
        let kinds = if both { vec![Some(DeviceKind::Character), Some(DeviceKind::Block)] } else { vec![self.kind] };
        kinds.into_iter().map(move |kind| Self { kind, ..self })
    }
}

/// Version 1 form, for example `c 1:3 rwm`; `a` for a total rule.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |value: Option<u32>| value.map_or_else(|| "*".to_owned(), |value| value.to_string());
        let kind = match self.kind {
            None if self.is_total() => return f.write_str("a"),
            None => 'a',
            Some(DeviceKind::Character) => 'c',
            Some(DeviceKind::Block) => 'b',
        };
        write!(f, "{kind} {}:{} ", number(self.major), number(self.minor))?;
        Access::LETTERS
            .iter()
            .filter(|(_, bit)| self.access.0 & bit != 0)
            .try_for_each(|(letter, _)| write!(f, "{letter}"))
    }
}

/// The writes to `devices.allow` (`true`) and `devices.deny` that make version 1 behave as the list says.
///
/// The kernel keeps a default and a set of exact exceptions; taking part of a wider exception back has no effect
/// there, so such a list is refused instead of silently allowing more than it says.
pub(super) fn legacy_writes(rules: &[DeviceRule]) -> Result<Vec<(bool, String)>, Error> {
    let rules = Rule::parse_all(rules)?;
    // Only what follows the last total rule matters.
    let start = rules.iter().rposition(Rule::is_total).unwrap_or(0);
    let mut default_allow = true;
    let mut exceptions: Vec<Rule> = Vec::new();
    let mut writes = Vec::with_capacity(rules.len() - start);
    for rule in rules[start..].iter().flat_map(|rule| rule.by_kind()) {
        if rule.is_total() {
            default_allow = rule.allow;
        } else if rule.allow == default_allow {
            let clashes = exceptions.iter().any(|earlier| earlier.overlaps(&rule) && !earlier.same_devices(&rule));
            if clashes {
                return Err(Error::DeviceOverlap(rule.to_string()));
            }
        } else {
            exceptions.push(rule);
        }
        writes.push((rule.allow, rule.to_string()));
    }
    Ok(writes)
}

fn number(value: Option<i64>) -> Result<Option<u32>, Error> {
    match value {
        None | Some(-1) => Ok(None),
        Some(value) => u32::try_from(value).map(Some).map_err(|_| invalid("device number out of range")),
    }
}

fn invalid(reason: &'static str) -> Error {
    Error::Invalid { setting: "devices", reason }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn rule(allow: bool, kind: &str, major: i64, minor: i64, access: &str) -> DeviceRule {
        DeviceRule {
            allow,
            kind: Some(kind.to_owned()),
            major: Some(major),
            minor: Some(minor),
            access: access.to_owned(),
        }
    }

    #[test]
    fn dockers_list_is_written_rule_by_rule() {
        let rules = [
            rule(true, "c", 9, 9, "rwm"),
            DeviceRule { access: "rwm".to_owned(), ..DeviceRule::default() },
            rule(true, "c", -1, -1, "m"),
            rule(true, "c", 1, 3, "rwm"),
            rule(true, "a", 7, -1, "r"),
        ];
        let writes: Vec<String> = legacy_writes(&rules).unwrap().into_iter().map(|(a, t)| format!("{a} {t}")).collect();
        assert_eq!(
            writes,
            ["false a", "true c *:* m", "true c 1:3 rwm", "true c 7:* r", "true b 7:* r"],
            "what precedes the last total rule is dropped"
        );
    }

    #[test]
    fn taking_back_part_of_a_wildcard_is_refused_on_version_1() {
        let rules = [rule(false, "a", -1, -1, "rwm"), rule(true, "c", 1, -1, "rwm"), rule(false, "c", 1, 3, "w")];
        assert!(matches!(legacy_writes(&rules), Err(Error::DeviceOverlap(_))));
        let exact = [rule(false, "a", -1, -1, "rwm"), rule(true, "c", 1, 3, "rwm"), rule(false, "c", 1, 3, "w")];
        assert_eq!(legacy_writes(&exact).unwrap().len(), 3);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Rule::parse(&rule(true, "x", 1, 1, "r")).is_err());
        assert!(Rule::parse(&rule(true, "c", -2, 1, "r")).is_err());
        assert!(Rule::parse(&rule(true, "c", 1, 1, "rx")).is_err());
    }
}

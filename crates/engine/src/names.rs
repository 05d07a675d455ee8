//! Container names: which are allowed, and invented ones (`brave_lovelace`).

use crate::error::Error;

const FIRST: [&str; 64] = [
    "able", "agile", "amber", "ample", "azure", "bold", "brave", "bright", "brisk", "calm", "candid", "clever",
    "cosmic", "crisp", "daring", "deft", "eager", "early", "fair", "fleet", "fluent", "fond", "frank", "gentle",
    "golden", "happy", "hardy", "honest", "humble", "jolly", "keen", "kind", "lively", "loyal", "lucid", "lucky",
    "mellow", "merry", "mighty", "modest", "neat", "nimble", "noble", "patient", "placid", "polite", "proud", "quick",
    "quiet", "ready", "robust", "serene", "sharp", "silent", "smart", "solid", "steady", "sturdy", "sunny", "swift",
    "tidy", "vivid", "warm", "wise",
];

const SECOND: [&str; 64] = [
    "abel",
    "ampere",
    "babbage",
    "banach",
    "bardeen",
    "bessel",
    "bohr",
    "boole",
    "brahe",
    "cantor",
    "carnot",
    "cauchy",
    "celsius",
    "church",
    "copernicus",
    "coulomb",
    "curie",
    "dalton",
    "darwin",
    "dijkstra",
    "dirac",
    "einstein",
    "erdos",
    "euclid",
    "euler",
    "faraday",
    "fermat",
    "fermi",
    "feynman",
    "fourier",
    "franklin",
    "galileo",
    "galois",
    "gauss",
    "goedel",
    "hamilton",
    "hertz",
    "hilbert",
    "hopper",
    "hubble",
    "huygens",
    "joule",
    "kelvin",
    "kepler",
    "knuth",
    "lagrange",
    "laplace",
    "leibniz",
    "lovelace",
    "maxwell",
    "mendel",
    "meitner",
    "newton",
    "noether",
    "ohm",
    "pascal",
    "pasteur",
    "planck",
    "riemann",
    "shannon",
    "tesla",
    "turing",
    "volta",
    "wiener",
];

/// Names an unnamed container; `attempt` 1 and above append a digit, because the plain name was taken.
#[must_use]
pub(crate) fn invent(random: u16, attempt: u8) -> String {
    let (first, second) = (FIRST[usize::from(random % 64)], SECOND[usize::from(random / 64 % 64)]);
    match attempt {
        0 => format!("{first}_{second}"),
        _ => format!("{first}_{second}{}", attempt % 10),
    }
}

/// Checks a wanted name; one leading slash is tolerated and taken off.
///
/// # Errors
/// [`Error::InvalidName`].
pub(crate) fn validate(name: &str) -> Result<String, Error> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    let mut bytes = bare.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    // Docker's pattern asks for at least two characters.
    if first && rest && bare.len() > 1 { Ok(bare.to_owned()) } else { Err(Error::InvalidName(name.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_names_have_dockers_shape() {
        for random in [0, 1, 64, 4095, u16::MAX] {
            let name = invent(random, 3);
            let (first, second) = name.split_once('_').expect("underscore");
            assert!(first.bytes().all(|b| b.is_ascii_lowercase()), "{name}");
            assert!(second.trim_end_matches('3').bytes().all(|b| b.is_ascii_lowercase()), "{name}");
        }
    }

    #[test]
    fn names_follow_dockers_pattern() {
        assert_eq!(validate("/web-1.a_b").ok().as_deref(), Some("web-1.a_b"));
        for bad in ["", "/", "a", "-a", "a b", "ä1", "a/b", "//ab"] {
            assert!(validate(bad).is_err(), "{bad}");
        }
    }
}

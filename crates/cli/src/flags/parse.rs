//! Reading arguments by a flag table.

use super::{Flag, Matches};

/// Why the arguments do not fit. Texts are those of Docker's command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// `--x` is no flag of this command.
    #[error("unknown flag: --{0}")]
    UnknownLong(String),
    /// `-x` is no flag of this command.
    #[error("unknown shorthand flag: {0:?} in -{1}")]
    UnknownShort(char, String),
    /// `--name` at the end.
    #[error("flag needs an argument: --{0}")]
    MissingLong(String),
    /// `-n` at the end.
    #[error("flag needs an argument: {0:?} in -{1}")]
    MissingShort(char, String),
    /// `--=x` and the like.
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    /// The value does not fit the flag.
    #[error("invalid argument {value:?} for {flag:?} flag: {detail}")]
    Value {
        /// What was given.
        value: String,
        /// The flag as help shows it.
        flag: String,
        /// Why.
        detail: String,
    },
}

/// What the arguments ask for.
pub enum Parsed {
    /// To run with these.
    Matches(Matches),
    /// To show help; true when the deprecated `-h` asked for it.
    Help(bool),
}

struct Parser<'a> {
    flags: Vec<&'static Flag>,
    rest: std::slice::Iter<'a, String>,
    values: Vec<(&'static str, String)>,
    args: Vec<String>,
}

/// Reads `args`. When not `interspersed`, the first argument ends the flags.
///
/// # Errors
/// [`FlagError`] at the first argument that does not fit.
pub fn parse(
    flags: impl IntoIterator<Item = &'static Flag>,
    interspersed: bool,
    args: &[String],
) -> Result<Parsed, FlagError> {
    let mut parser =
        Parser { flags: flags.into_iter().collect(), rest: args.iter(), values: Vec::new(), args: Vec::new() };
    let mut help = None;
    while let Some(arg) = parser.rest.next() {
        if arg == "--" {
            break;
        }
        let asked = if let Some(long) = arg.strip_prefix("--") {
            parser.long(arg, long)?
        } else if let Some(group) = arg.strip_prefix('-').filter(|group| !group.is_empty()) {
            parser.group(group)?
        } else {
            parser.args.push(arg.clone());
            if !interspersed {
                break;
            }
            None
        };
        help = help.or(asked);
    }
    if let Some(short) = help {
        return Ok(Parsed::Help(short));
    }
    let Parser { flags, rest, values, mut args } = parser;
    args.extend(rest.cloned());
    Ok(Parsed::Matches(Matches::new(flags, values, args)))
}

impl Parser<'_> {
    /// `Some(false)` when help is asked for.
    fn long(&mut self, arg: &str, text: &str) -> Result<Option<bool>, FlagError> {
        if text.starts_with(['-', '=']) {
            return Err(FlagError::Syntax(arg.to_owned()));
        }
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value.to_owned())));
        if name == "help" {
            return Ok(Some(false));
        }
        let flag = self.flags.iter().copied().find(|flag| flag.name == name);
        let flag = flag.ok_or_else(|| FlagError::UnknownLong(name.to_owned()))?;
        let value = match value {
            Some(value) => value,
            None if flag.is_switch() => "true".to_owned(),
            None => self.rest.next().cloned().ok_or_else(|| FlagError::MissingLong(name.to_owned()))?,
        };
        self.set(flag, value)?;
        Ok(None)
    }

    /// `Some(true)` when help is asked for.
    fn group(&mut self, group: &str) -> Result<Option<bool>, FlagError> {
        for (at, letter) in group.char_indices() {
            let here = &group[at..];
            let after = &group[at + letter.len_utf8()..];
            let Some(flag) = self.flags.iter().copied().find(|flag| flag.short == Some(letter)) else {
                if letter == 'h' {
                    return Ok(Some(true));
                }
                return Err(FlagError::UnknownShort(letter, here.to_owned()));
            };
            if let Some(value) = after.strip_prefix('=') {
                self.set(flag, value.to_owned())?;
                return Ok(None);
            }
            if flag.is_switch() {
                self.set(flag, "true".to_owned())?;
                continue;
            }
            let value = if after.is_empty() {
                self.rest.next().cloned().ok_or_else(|| FlagError::MissingShort(letter, here.to_owned()))?
            } else {
                after.to_owned()
            };
            self.set(flag, value)?;
            return Ok(None);
        }
        Ok(None)
    }

    fn set(&mut self, flag: &'static Flag, value: String) -> Result<(), FlagError> {
        (flag.check)(&value).map_err(|detail| FlagError::Value {
            value: value.clone(),
            flag: match flag.short {
                Some(short) => format!("-{short}, --{}", flag.name),
                None => format!("--{}", flag.name),
            },
            detail,
        })?;
        self.values.push((flag.key(), value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static FLAGS: [Flag; 7] = [
        Flag::switch("interactive", "").short('i'),
        Flag::switch("tty", "").short('t'),
        Flag::switch("sig-proxy", "").default("true"),
        Flag::value("name", "string", ""),
        Flag::value("publish", "list", "").short('p'),
        Flag::value("network", "network", ""),
        Flag::value("net", "network", "").same_as("network"),
    ];

    fn read(interspersed: bool, args: &[&str]) -> Result<Matches, FlagError> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        match parse(&FLAGS, interspersed, &args)? {
            Parsed::Matches(matches) => Ok(matches),
            Parsed::Help(_) => panic!("help"),
        }
    }

    #[test]
    fn groups_values_and_switches() {
        let m =
            read(false, &["-itp", "80:80", "-p=1:1", "--name=c1", "--net", "host", "x", "-i", "--foo"]).expect("valid");
        assert!(m.on("interactive") && m.on("tty") && m.on("sig-proxy"));
        assert_eq!(m.list("publish"), ["80:80", "1:1"]);
        assert_eq!((m.text("name"), m.text("network")), ("c1", "host"));
        assert_eq!(m.args(), ["x", "-i", "--foo"]);
        let m = read(true, &["a", "-i=false", "--sig-proxy=0", "--", "-t"]).expect("valid");
        assert!(!m.on("interactive") && !m.on("sig-proxy") && !m.on("tty"));
        assert_eq!(m.args(), ["a", "-t"]);
    }

    #[test]
    fn error_texts_are_dockers() {
        for (args, text) in [
            (vec!["--foo"], "unknown flag: --foo"),
            (vec!["-iz"], "unknown shorthand flag: 'z' in -z"),
            (vec!["--name"], "flag needs an argument: --name"),
            (vec!["-p"], "flag needs an argument: 'p' in -p"),
            (vec!["--=x"], "bad flag syntax: --=x"),
            (
                vec!["-i=foo"],
                "invalid argument \"foo\" for \"-i, --interactive\" flag: strconv.ParseBool: parsing \"foo\": invalid syntax",
            ),
        ] {
            assert_eq!(read(true, &args).err().map(|e| e.to_string()), Some(text.to_owned()));
        }
    }
}

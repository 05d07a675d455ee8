//! Scripts of requests.
//!
//! ```text
//! # comment
//! VERSION METHOD PATH [BODY]        VERSION is `1.41`, or `-` for a path without one
//!     BODY continued
//!     > name = Path.To.0.Value      keeps a text of the answer; `$name` in later paths and bodies stands for it;
//!                                   `$now` is the present time
//!     > until Path.To.Value value   repeats the request until the answer says so
//!     > header Name: value          sends a header (a body is JSON unless this says otherwise)
//!     > chunked                     sends the body with chunked coding and without a length
//!     > unordered                   the top-level list may come in any order
//!     > no-body                     compares status and headers only
//! ```

use anyhow::{Context as _, Result, bail};

/// Requests in their order.
#[derive(Clone, Debug, Default)]
pub struct Script(pub Vec<Step>);

/// One request and what is done with its answer.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// File and line, for reports.
    pub place: String,
    /// `1.41`; empty for none.
    pub version: String,
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Body; `None` sends none.
    pub body: Option<String>,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Names and where in the answer their values are.
    pub captures: Vec<(String, String)>,
    /// Where in the answer which text must stand.
    pub until: Option<(String, String)>,
    /// Chunked transfer coding.
    pub chunked: bool,
    /// Sort the top-level list.
    pub unordered: bool,
    /// Leave the body out of the comparison.
    pub no_body: bool,
}

// === impl Script ===

impl Script {
    /// Parses the text of a file.
    ///
    /// # Errors
    /// Names the line that is not of the grammar.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let mut steps: Vec<Step> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let place = format!("{file}:{}", number + 1);
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            if !line.starts_with(' ') {
                steps.push(Step::parse(&place, line).with_context(|| format!("{place}: {line}"))?);
                continue;
            }
            let step = steps.last_mut().with_context(|| format!("{place}: nothing to continue"))?;
            match line.trim().strip_prefix('>') {
                Some(directive) => step.direct(directive.trim()).with_context(|| format!("{place}: {line}"))?,
                None => *step.body.get_or_insert_default() += line.trim(),
            }
        }
        Ok(Self(steps))
    }
}

// === impl Step ===

impl Step {
    fn parse(place: &str, line: &str) -> Result<Self> {
        let mut words = line.splitn(4, ' ');
        let mut word = |what: &str| words.next().filter(|word| !word.is_empty()).with_context(|| format!("no {what}"));
        let (version, method, path) = (word("version")?, word("method")?, word("path")?);
        Ok(Self {
            place: place.to_owned(),
            version: if version == "-" { String::new() } else { version.to_owned() },
            method: method.to_owned(),
            path: path.to_owned(),
            body: words.next().map(|body| body.trim().to_owned()),
            ..Self::default()
        })
    }

    fn direct(&mut self, directive: &str) -> Result<()> {
        let (word, rest) = directive.split_once(' ').unwrap_or((directive, ""));
        match word {
            "until" => {
                let (path, value) = rest.split_once(' ').context("until PATH VALUE")?;
                self.until = Some((path.to_owned(), value.to_owned()));
            }
            "header" => {
                let (name, value) = rest.split_once(':').context("header NAME: VALUE")?;
                self.headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            "chunked" => self.chunked = true,
            "unordered" => self.unordered = true,
            "no-body" => self.no_body = true,
            name => match rest.strip_prefix("= ") {
                Some(path) => self.captures.push((name.to_owned(), path.to_owned())),
                None => bail!("unknown directive"),
            },
        }
        Ok(())
    }

    /// How the step is called in reports and in the list of accepted differences.
    #[must_use]
    pub fn title(&self) -> String {
        let version = if self.version.is_empty() { "-" } else { &self.version };
        let body = self.body.iter().flat_map(|body| [" ", body.as_str()]).collect::<String>();
        format!("{version} {} {}{body}", self.method, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_bodies_and_directives() {
        let text = "# x\n1.41 POST /a?b=c {\"d\":\n    1}\n    > id = Id\n    > header X-Y: z\n\n- GET /_ping\n    > until State.Status exited\n";
        let Script(steps) = Script::parse("f", text).expect("parses");
        assert_eq!(steps[0].body.as_deref(), Some("{\"d\":1}"));
        assert_eq!(steps[0].captures, [("id".to_owned(), "Id".to_owned())]);
        assert_eq!(steps[0].headers, [("X-Y".to_owned(), "z".to_owned())]);
        assert_eq!(steps[0].title(), "1.41 POST /a?b=c {\"d\":1}");
        assert_eq!((steps[1].version.as_str(), steps[1].place.as_str()), ("", "f:7"));
        assert_eq!(steps[1].until, Some(("State.Status".to_owned(), "exited".to_owned())));
        assert!(Script::parse("f", "1.41 GET").is_err());
        assert!(Script::parse("f", "1.41 GET /a\n  > nonsense").is_err());
    }
}

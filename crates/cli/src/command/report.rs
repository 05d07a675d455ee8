//! Reports of the engine that Gantry's own commands tell: in lines, or as they came.

use crate::Failure;
use crate::context::Context;
use crate::flags::Matches;
use crate::format::value::Value;

/// What `--format` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines for a person.
    Lines,
    /// The engine's own JSON.
    Json,
}

impl Form {
    /// Reads `--format`; anything but `json` is refused.
    pub fn of(m: &Matches) -> Result<Self, Failure> {
        match m.text("format") {
            "" => Ok(Self::Lines),
            "json" => Ok(Self::Json),
            other => Err(Failure::Invalid(format!("--format takes 'json', not {other:?}"))),
        }
    }
}

/// Prints a report, in the lines that `told` makes of it, and hands it back. `text` is the engine's JSON.
pub fn print(context: &Context, form: Form, text: &str, told: fn(&Value) -> String) -> Result<Value, Failure> {
    let report: Value =
        serde_json::from_str(text).map_err(|error| Failure::Invalid(format!("the report does not parse: {error}")))?;
    match form {
        Form::Json => context.line(text),
        Form::Lines => context.print(&told(&report)),
    }
    Ok(report)
}

/// Exit code 1, without another word, for a report that something is not whole.
pub fn whole(report: &Value) -> Result<(), Failure> {
    if report.at("Whole").as_bool() { Ok(()) } else { Err(Failure::Exit(1)) }
}

//! `network repair`: puts right what other programs changed of bridges, rules and switches. Gantry only.

use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::value::Value;

/// `network repair`.
pub static COMMAND: Command = Command {
    paths: &["network repair"],
    usage: "[OPTIONS]",
    about: "Put right what other programs changed of bridges, firewall rules and kernel switches",
    flags: &[&[Flag::value("format", "string", "Format the report: 'json' prints it as the engine tells it")]],
    interspersed: true,
    args: Args::None,
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let format = m.text("format");
    if !matches!(format, "" | "json") {
        return Err(Failure::Invalid(format!("--format takes 'json', not {format:?}")));
    }
    let request = context.client()?.post("/gantry/network/repair");
    let report: serde_json::Value = context.wait(async { Ok(request.fetch().await?) })?;
    let text = report.to_string();
    let report: Value =
        serde_json::from_str(&text).map_err(|error| Failure::Invalid(format!("the report does not parse: {error}")))?;
    if format == "json" {
        context.line(&text);
    } else {
        context.print(&told(&report));
    }
    if report.at("Whole").as_bool() { Ok(()) } else { Err(Failure::Exit(1)) }
}

/// One line a finding.
fn told(report: &Value) -> String {
    let findings = report.at("Findings").items();
    if findings.is_empty() {
        return "nothing was wrong\n".to_owned();
    }
    let line = |finding: &Value| {
        let end = if finding.at("Repaired").as_bool() { ": put right" } else { "" };
        format!("{} {}{end}\n", finding.at("Subject").as_str(), finding.at("Problem").as_str())
    };
    findings.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_told_in_lines() {
        let report: Value = serde_json::from_str(
            r#"{"Whole":false,"Findings":[{"Subject":"docker0","Problem":"was down","Repaired":true},
            {"Subject":"veth1","Problem":"is gone: restart it","Repaired":false}]}"#,
        )
        .expect("valid");
        assert_eq!(told(&report), "docker0 was down: put right\nveth1 is gone: restart it\n");
    }
}

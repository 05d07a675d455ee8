//! `network repair`: puts right what other programs changed of bridges, rules and switches. Gantry only.

use super::report::{self, Form};
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
    let form = Form::of(m)?;
    let request = context.client()?.post("/gantry/network/repair");
    let report: serde_json::Value = context.wait(async { Ok(request.fetch().await?) })?;
    report::whole(&report::print(context, form, &report.to_string(), told)?)
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

//! `firewall explain`: which rule admits or drops a packet to a port of the host. Gantry only.

use super::report::{self, Form};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::value::Value;

/// `firewall explain`.
pub static COMMAND: Command = Command {
    paths: &["firewall explain"],
    usage: "[OPTIONS] PORT",
    about: "Tell which rule admits or drops a new connection to a port of the host",
    flags: &[&[
        Flag::value(
            "from",
            "string",
            "Address that the connection comes from (default anybody behind the default route)",
        ),
        Flag::value("to", "string", "Address of the host that it is for"),
        Flag::value("proto", "string", "Protocol: 'tcp', 'udp' or 'sctp'").default("tcp"),
        Flag::value("format", "string", "Format the answer: 'json' prints it as the engine tells it"),
    ]],
    interspersed: true,
    args: Args::Exactly(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let form = Form::of(m)?;
    let request = context.client()?.get("/gantry/firewall/explain");
    let request = request.query("port", m.arg(0)).query("from", m.text("from")).query("to", m.text("to"));
    let request = request.query("proto", m.text("proto"));
    let answer: serde_json::Value = context.wait(async { Ok(request.fetch().await?) })?;
    report::print(context, form, &answer.to_string(), told).map(drop)
}

/// The answer in one line, then a line for each rule that had a say.
fn told(answer: &Value) -> String {
    let text = |key: &str| answer.at(key).as_str();
    let by = if text("Input").is_empty() { "this machine".to_owned() } else { text("Input").to_owned() };
    let doubt =
        if answer.at("Doubtful").as_bool() { ", unless a rule below that may match says otherwise" } else { "" };
    let mut lines = format!("{} to {} from {}: {}{doubt}\n", text("Port"), text("To"), by, text("Verdict"));
    match text("Container") {
        "" => lines.push_str("no container publishes it: it is for the host itself\n"),
        container => lines.push_str(&format!("published: leads to {container}\n")),
    }
    for passage in answer.at("Passages").items() {
        let [hook, chain, rule, effect] = ["Hook", "Chain", "Rule", "Effect"].map(|key| passage.at(key).as_str());
        lines.push_str(&format!("  {hook}: {chain}: {rule}: {effect}\n"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_in_lines() {
        let answer: Value = serde_json::from_str(
            r#"{"Port":"tcp/8000","To":"10.0.0.1","Input":"eth0","Container":"172.17.0.2:80","Verdict":"dropped","Doubtful":false,
            "Passages":[{"Hook":"forward","Chain":"ip filter DOCKER-USER","Rule":"drop","Effect":"drops"}]}"#,
        )
        .expect("valid");
        assert_eq!(
            told(&answer),
            "tcp/8000 to 10.0.0.1 from eth0: dropped\npublished: leads to 172.17.0.2:80\n  forward: ip filter DOCKER-USER: drop: drops\n"
        );
    }
}

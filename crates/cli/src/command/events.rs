//! `events`.

use super::common::PLAIN_FORMAT;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::time;
use crate::format::value::Value;
use crate::options::{filter, time::timestamp};
use crate::template::{Functions, Template};

/// `events`.
pub static COMMAND: Command = Command {
    paths: &["system events", "events"],
    usage: "[OPTIONS]",
    about: "Get real time events from the server",
    flags: &[&[
        Flag::value("filter", "filter", "Filter output based on conditions provided").short('f'),
        Flag::value("format", "string", PLAIN_FORMAT),
        Flag::value("since", "string", "Show all events created since timestamp"),
        Flag::value("until", "string", "Stream events until this timestamp"),
    ]],
    interspersed: true,
    args: Args::None,
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let template = match m.text("format") {
        "" => None,
        "json" => Some("{{json .}}"),
        text => Some(text),
    };
    let template = template
        .map(Template::parse)
        .transpose()
        .map_err(|error| Failure::Usage { text: format!("Error parsing format: {error}"), code: 64 })?;
    let stamp = |name: &str| match m.text(name) {
        "" => Ok(String::new()),
        text => timestamp(text).map_err(Failure::Invalid),
    };
    let request = context
        .client()?
        .get("/events")
        .text("since", &stamp("since")?)
        .text("until", &stamp("until")?)
        .text("filters", &filter::query(&m.list("filter")));
    context.wait(async {
        let mut response = request.send().await?;
        let mut pending: Vec<u8> = Vec::new();
        while let Some(bytes) = response.chunk().await? {
            pending.extend_from_slice(&bytes);
            let mut stream = serde_json::Deserializer::from_slice(&pending).into_iter::<Value>();
            let mut used = 0;
            while let Some(Ok(event)) = stream.next() {
                used = stream.byte_offset();
                let text = match &template {
                    None => pretty(&event),
                    Some(template) => template.render(&event, Functions::Full)?,
                };
                context.line(&text);
            }
            pending.drain(..used);
        }
        Ok(())
    })
}

/// `time type action id (key=value, …)`
fn pretty(event: &Value) -> String {
    let nanos = match event.at("timeNano").as_i64() {
        0 => event.at("time").as_i64() * 1_000_000_000,
        nanos => nanos,
    };
    let mut text = if nanos == 0 { String::new() } else { format!("{} ", time::event_stamp(nanos)) };
    let actor = event.at("Actor");
    text.push_str(&format!(
        "{} {} {}",
        event.at("Type").as_str(),
        event.at("Action").as_str(),
        actor.at("ID").as_str()
    ));
    let mut attributes: Vec<(&str, &str)> =
        actor.at("Attributes").entries().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    attributes.sort_unstable();
    if !attributes.is_empty() {
        let pairs: Vec<String> = attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
        text.push_str(&format!(" ({})", pairs.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_an_event_on_one_line() {
        let event: Value = serde_json::from_str(
            r#"{"Type":"container","Action":"die","Actor":{"ID":"abc","Attributes":{"name":"c1","exitCode":"0"}},
                "time":1,"timeNano":1000000005}"#,
        )
        .expect("valid");
        assert!(pretty(&event).ends_with(" container die abc (exitCode=0, name=c1)"), "{}", pretty(&event));
    }
}

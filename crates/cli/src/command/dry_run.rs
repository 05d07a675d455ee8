//! `--dry-run`: what a removal would remove, and what would be refused. Nothing is removed, and no other engine than
//! Gantry can tell.

use serde_json::Value as Json;

use crate::Failure;
use crate::context::Context;
use crate::flags::Flag;
use crate::format::list::Format;
use crate::format::text::short_id;
use crate::format::units::human_size;
use crate::format::value::{Row, Value};

/// The flag of every command that removes.
pub(super) const DRY_RUN: Flag =
    Flag::switch("dry-run", "Tell what would be removed, and remove nothing (Gantry only)");

const THINGS: &str = "table {{.Kind}}\t{{.ID}}\t{{.Names}}\t{{.Size}}";
const KEPT: &str = "table {{.Kind}}\t{{.ID}}\t{{.Names}}\t{{.Reason}}";
const HEADER: [(&str, &str); 5] =
    [("Kind", "KIND"), ("ID", "ID"), ("Names", "NAME"), ("Size", "SIZE"), ("Reason", "WHY")];

/// `rm`, `rmi`, `volume rm`, `network rm`: what would go and what would be refused. Fails when the real command would.
pub(super) fn removal(context: &Context, body: &Json, force: bool) -> Result<(), Failure> {
    let plan = ask(context, "/gantry/remove/plan", body)?;
    context.print(&told(&plan)?);
    let refused = plan.at("Kept").items().iter().any(|kept| !(force && kept.at("Missing").as_bool()));
    if refused { Err(Failure::Exit(1)) } else { Ok(()) }
}

/// What a prune would do.
pub(super) fn prune(context: &Context, body: &Json) -> Result<(), Failure> {
    context.print(&told(&ask(context, "/gantry/prune/plan", body)?)?);
    Ok(())
}

/// The engine's plan; other engines have none.
fn ask(context: &Context, path: &str, body: &Json) -> Result<Value, Failure> {
    let request = context.client()?.post(path).json(body)?;
    match context.wait(async { Ok(request.fetch().await) })? {
        Ok(plan) => Ok(plan),
        Err(error) if error.is_not_found() => Err(Failure::Invalid(
            "--dry-run: this engine cannot tell what it would remove; nothing was removed".to_owned(),
        )),
        Err(error) => Err(error.into()),
    }
}

/// The whole plan for people.
fn told(plan: &Value) -> Result<String, Failure> {
    let (things, kept) = (plan.at("Things").items(), plan.at("Kept").items());
    let mut text = if things.is_empty() {
        "Nothing would be removed.\n".to_owned()
    } else {
        format!("Would be removed:\n{}", table(things)?)
    };
    if !kept.is_empty() {
        let rows = kept.iter().map(|kept| row(kept).text("Reason", kept.at("Reason").as_str())).collect();
        text += &format!("\nWould stay:\n{}", Format::new("", KEPT).render(&HEADER, rows)?);
    }
    let bytes = human_size(plan.at("SpaceReclaimed").as_i64() as f64, 4);
    Ok(format!("{text}\nWould be reclaimed: {bytes}\n"))
}

/// Things in columns.
pub(super) fn table(things: &[Value]) -> Result<String, Failure> {
    let size = |thing: &Value| match thing.at("Bytes") {
        Value::Nil => String::new(),
        bytes => human_size(bytes.as_i64() as f64, 3),
    };
    let rows = things.iter().map(|thing| row(thing).text("Size", size(thing))).collect();
    Ok(Format::new("", THINGS).render(&HEADER, rows)?)
}

/// What stays, a line each, after what was removed.
pub(super) fn kept_lines(kept: &[Value]) -> String {
    let line = |kept: &Value| {
        let names = kept.at("Names").texts();
        let name = if names.is_empty() { short_id(kept.at("Id").as_str()).to_owned() } else { names.join(", ") };
        format!("{} {name}: {}\n", kept.at("Kind").as_str(), kept.at("Reason").as_str())
    };
    kept.iter().map(line).collect()
}

fn row(thing: &Value) -> Row {
    let kind = thing.at("Kind").as_str();
    // A volume's name is its id.
    let id = if kind == "volume" { "" } else { short_id(thing.at("Id").as_str()) };
    let mut names = thing.at("Names").texts();
    if kind == "image" && names.is_empty() {
        names.push("<none>".to_owned());
    }
    Row::new("*formatter.removalContext").text("Kind", kind).text("ID", id).text("Names", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_told_in_tables() {
        let plan: Value = serde_json::from_str(
            r#"{"Things":[{"Kind":"container","Id":"0123456789abcdef","Names":["web"],"Bytes":2000},
            {"Kind":"network","Id":"aaaaaaaaaaaaaaaa","Names":["n"],"Bytes":null},
            {"Kind":"image","Id":"sha256:bbbbbbbbbbbbbbbb","Names":[],"Bytes":500}],
            "Kept":[{"Kind":"volume","Id":"data","Names":["data"],"Reason":"used by web"}],"SpaceReclaimed":2500}"#,
        )
        .expect("valid");
        let text = told(&plan).expect("a text");
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                "Would be removed:",
                "KIND        ID             NAME      SIZE",
                "container   0123456789ab   web       2kB",
                "network     aaaaaaaaaaaa   n",
                "image       bbbbbbbbbbbb   <none>    500B",
                "",
                "Would stay:",
                "KIND      ID        NAME      WHY",
                "volume              data      used by web",
                "",
                "Would be reclaimed: 2.5kB"
            ]
        );
    }
}

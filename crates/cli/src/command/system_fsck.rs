//! `system fsck`: proves the data root whole, or tells what is wrong with it. Gantry only.

use super::report::{self, Form};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::units::human_size;
use crate::format::value::Value;

/// `system fsck`.
pub static COMMAND: Command = Command {
    paths: &["system fsck"],
    usage: "[OPTIONS]",
    about: "Check images, containers and volumes on the disk",
    flags: &[&[
        Flag::switch("deep", "Read all image blobs and compare their digests"),
        Flag::switch("repair", "Remove what belongs to nothing"),
        Flag::value("data-root", "string", "Check this directory, which no daemon uses"),
        Flag::value("format", "string", "Format the report: 'json' prints it as the engine tells it"),
    ]],
    interspersed: true,
    args: Args::None,
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let form = Form::of(m)?;
    let (deep, repair) = (m.on("deep"), m.on("repair"));
    let text = match m.maybe("data-root") {
        Some(root) => context.fsck_offline(root, deep, repair)?,
        None => {
            let request = context.client()?.post("/gantry/fsck").flag("deep", deep).flag("repair", repair);
            let report: serde_json::Value = context.wait(async { Ok(request.fetch().await?) })?;
            report.to_string()
        }
    };
    report::whole(&report::print(context, form, &text, told)?)
}

/// One line a problem, and what was looked at.
fn told(report: &Value) -> String {
    let mut text = String::new();
    for problem in report.at("Problems").items() {
        let bytes = problem.at("Bytes").as_i64();
        let size = if bytes > 0 { format!(" ({})", human_size(bytes as f64, 3)) } else { String::new() };
        let removed = if problem.at("Repaired").as_bool() { ", removed" } else { "" };
        let [kind, path, message] = ["Kind", "Path", "Message"].map(|key| problem.at(key).as_str());
        text.push_str(&format!("{kind}: {path}: {message}{size}{removed}\n"));
    }
    let count = |key: &str| report.at(key).as_i64();
    text.push_str(&format!(
        "checked {} images with {} names, {} layers, {} blobs, {} containers, {} volumes",
        count("Images"),
        count("Names"),
        count("Layers"),
        count("Blobs"),
        count("Containers"),
        count("Volumes"),
    ));
    if count("Hashed") > 0 {
        text.push_str(&format!("; {} hashed", human_size(count("Hashed") as f64, 3)));
    }
    let problems = report.at("Problems").items().iter().filter(|problem| !problem.at("Repaired").as_bool()).count();
    match problems {
        0 => text.push_str(": whole\n"),
        1 => text.push_str(": 1 problem\n"),
        _ => text.push_str(&format!(": {problems} problems\n")),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_told_in_lines() {
        let report: Value = serde_json::from_str(
            r#"{"Whole":false,"Images":1,"Names":2,"Layers":3,"Blobs":3,"Hashed":2000,"Containers":0,"Volumes":0,"Problems":[
            {"Kind":"orphan","Path":"/a","Message":"of nobody","Bytes":1000,"Repaired":true},
            {"Kind":"missing","Path":"/b","Message":"gone","Bytes":0,"Repaired":false}]}"#,
        )
        .expect("valid");
        assert_eq!(
            told(&report),
            "orphan: /a: of nobody (1kB), removed\nmissing: /b: gone\n\
             checked 1 images with 2 names, 3 layers, 3 blobs, 0 containers, 0 volumes; 2kB hashed: 1 problem\n"
        );
    }
}

//! `system df --why PATH`: whose something below the data root is. Gantry only.

use super::report::{self, Form};
use crate::Failure;
use crate::context::Context;
use crate::flags::Matches;
use crate::format::units::human_size;
use crate::format::value::Value;

/// Asks the engine about one path, absolute or relative to its data root.
pub(super) fn run(context: &Context, m: &Matches, path: &str) -> Result<(), Failure> {
    if m.on("verbose") {
        return Err(Failure::Invalid("conflicting options: --why and --verbose".to_owned()));
    }
    if path.is_empty() {
        return Err(Failure::Invalid("--why needs a path below the data root".to_owned()));
    }
    let form = Form::of(m)?;
    let request = context.client()?.get("/gantry/why").text("path", path);
    let answer: serde_json::Value = context.wait(async { Ok(request.fetch().await?) })?;
    report::print(context, form, &answer.to_string(), told).map(drop)
}

fn told(why: &Value) -> String {
    let [path, owner, inside] = ["Path", "Owner", "Inside"].map(|key| why.at(key).as_str());
    let inside = if inside.is_empty() { String::new() } else { format!("{inside} in ") };
    let (files, allocated) = (why.at("Files").as_i64(), why.at("Allocated").as_i64());
    let words = if files == 1 { "file or directory" } else { "files and directories" };
    format!("{path}\n{inside}{owner}\n{} on disk in {files} {words}\n", human_size(allocated as f64, 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_told_in_lines() {
        let why: Value = serde_json::from_str(
            r#"{"Path":"/d/volumes/v/_data/a","Owner":"files of volume v, used by no container","Inside":"a","Files":1,"Allocated":4096}"#,
        )
        .expect("valid");
        assert_eq!(
            told(&why),
            "/d/volumes/v/_data/a\na in files of volume v, used by no container\n4.096kB on disk in 1 file or directory\n"
        );
    }
}

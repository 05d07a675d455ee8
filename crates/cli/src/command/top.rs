//! `top`.

use super::common::container_path;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::Matches;
use crate::format::tabwriter::{Layout, align};
use crate::format::value::Value;

/// `top`.
pub static COMMAND: Command = Command {
    paths: &["container top", "top"],
    usage: "CONTAINER [ps OPTIONS]",
    about: "Display the running processes of a container",
    flags: &[],
    interspersed: false,
    args: Args::AtLeast(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let options = m.args()[1..].join(" ");
    let request = context.client()?.get(&container_path(m.arg(0), "/top")).text("ps_args", &options);
    let list: Value = context.wait(async { Ok(request.fetch().await?) })?;
    let mut text = format!("{}\n", list.at("Titles").texts().join("\t"));
    for process in list.at("Processes").items() {
        text.push_str(&format!("{}\n", process.texts().join("\t")));
    }
    context.print(&align(&text, Layout { min_width: 20, padding: 3 }));
    Ok(())
}

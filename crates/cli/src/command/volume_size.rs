//! `volume size`.

use super::common::TABLE_FORMAT;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::list::Format;
use crate::format::units::human_size;
use crate::format::value::{Row, Value};

/// `volume size`.
pub static COMMAND: Command = Command {
    paths: &["volume size"],
    usage: "[OPTIONS] [VOLUME...]",
    about: "Show how many files volumes have, and what these take on the disk",
    flags: &[&[Flag::value("format", "string", TABLE_FORMAT), Flag::switch("no-trunc", "Show sizes in bytes")]],
    interspersed: true,
    args: Args::AtLeast(0),
    run,
};

const TABLE: &str = "table {{.Name}}\t{{.Files}}\t{{.Size}}\t{{.OnDisk}}";
const HEADER: [(&str, &str); 5] =
    [("Name", "VOLUME NAME"), ("Driver", "DRIVER"), ("Files", "FILES"), ("Size", "SIZE"), ("OnDisk", "ON DISK")];

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let mut request = context.client()?.get("/gantry/volumes/size");
    for name in m.args() {
        request = request.query("name", name);
    }
    let answer: Value = context.wait(async { Ok(request.fetch().await?) })?;
    let size = |bytes: &Value| match m.on("no-trunc") {
        true => bytes.as_i64().to_string(),
        false => human_size(bytes.as_i64() as f64, 4),
    };
    let row = |volume: &Value| {
        Row::new("*formatter.volumeSizeContext")
            .text("Name", volume.at("Name").as_str())
            .text("Driver", volume.at("Driver").as_str())
            .text("Files", volume.at("Files").as_i64().to_string())
            .text("Size", size(volume.at("Apparent")))
            .text("OnDisk", size(volume.at("Allocated")))
    };
    let rows = answer.at("Volumes").items().iter().map(row).collect();
    context.print(&Format::new(m.text("format"), TABLE).render(&HEADER, rows)?);
    Ok(())
}

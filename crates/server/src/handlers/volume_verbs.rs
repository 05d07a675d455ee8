//! `/gantry/volumes`: what Docker has no operation for.

use api::volume::{Filled, Size, Sizes};
use engine::RestoredVolume;
use hyper::StatusCode;

use super::images::reader;
use crate::body::ResponseBody;
use crate::call::Call;
use crate::encode;
use crate::failure::Failure;
use crate::respond::{self, Outcome};

/// `GET /gantry/volumes/{name}/backup?pause=1`.
pub(crate) async fn backup(call: Call) -> Outcome {
    let archive = call.engine.volume_backup(&call.name, call.query.strict_flag("pause")?).await?;
    Ok(respond::stream("application/zstd", ResponseBody::Checked(archive)))
}

/// `POST /gantry/volumes/{name}/restore?force=1`, with an archive or `from=VOLUME`.
pub(crate) async fn restore(mut call: Call) -> Outcome {
    let replace = call.query.strict_flag("force")?;
    let filled = match call.query.text("from").map(str::to_owned) {
        Some(from) => call.engine.volume_restore_from(&call.name, replace, &from).await?,
        None => {
            let archive = reader(&mut call);
            call.engine.volume_restore(&call.name, replace, archive).await?
        }
    };
    respond::ok(&encode_filled(&filled))
}

/// `POST /gantry/volumes/{name}/clone?name=NEW`.
pub(crate) async fn clone(call: Call) -> Outcome {
    let filled = call.engine.volume_clone(&call.name, new_name(&call)?).await?;
    respond::json(StatusCode::CREATED, &encode_filled(&filled))
}

/// `POST /gantry/volumes/{name}/snapshot?name=NEW`; without a name, the volume's with the time.
pub(crate) async fn snapshot(call: Call) -> Outcome {
    let filled = call.engine.volume_snapshot(&call.name, call.query.text("name").unwrap_or_default()).await?;
    respond::json(StatusCode::CREATED, &encode_filled(&filled))
}

/// `POST /gantry/volumes/{name}/rename?name=NEW`.
pub(crate) async fn rename(call: Call) -> Outcome {
    respond::ok(&encode::volume(&call.engine.volume_rename(&call.name, new_name(&call)?).await?))
}

/// `GET /gantry/volumes/size?name=NAME`; without names, all of them.
pub(crate) async fn sizes(call: Call) -> Outcome {
    let names = call.query.all("name").map(str::to_owned).collect();
    let size = |(volume, usage): (engine::model::image::Volume, engine::Usage)| Size {
        name: volume.name,
        driver: volume.driver,
        files: usage.files,
        apparent: usage.apparent,
        allocated: usage.allocated,
    };
    respond::ok(&Sizes { volumes: call.engine.volume_sizes(names).await?.into_iter().map(size).collect() })
}

fn new_name(call: &Call) -> Result<&str, Failure> {
    call.query.text("name").ok_or_else(|| Failure::invalid("the parameter name must name the new volume"))
}

fn encode_filled(filled: &RestoredVolume) -> Filled {
    let options: Vec<String> = filled.left_out.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let warning =
        || format!("driver options are left out, the files are on the engine's own disk now: {}", options.join(" "));
    let warnings = if options.is_empty() { Vec::new() } else { vec![warning()] };
    Filled { volume: encode::volume(&filled.volume), warnings }
}

//! `/containers`.

use api::container::{Change, CreateRequest, CreateResponse, HostConfig, TopResponse, UpdateResponse, WaitResponse};
use bytes::Bytes;
use engine::{ListContainers, LogQuery, RemoveContainer, StopOptions, WaitCondition};
use hyper::StatusCode;
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::body::ResponseBody;
use crate::call::Call;
use crate::failure::Failure;
use crate::respond::{self, Outcome};
use crate::{decode, encode, hijack};

pub(crate) async fn list(call: Call) -> Outcome {
    let limit = call.query.number("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    let mut filters = decode::filters(call.query.text("filters"))?;
    // Parameters of old clients that became filters.
    for key in ["since", "before"] {
        if let Some(container) = call.query.text(key) {
            filters.entry(key.to_owned()).or_default().push(container.to_owned());
        }
    }
    let request = ListContainers { all: call.query.flag("all"), limit, size: call.query.flag("size"), filters };
    let containers = call.engine.list(request).await?;
    let now = Timestamp::now();
    let summaries: Vec<_> = containers.iter().map(|container| encode::summary(container, call.version, now)).collect();
    respond::ok(&summaries)
}

pub(crate) async fn create(mut call: Call) -> Outcome {
    let request: CreateRequest = call.json().await?;
    if request.config == api::container::Config::default() {
        return Err(Failure::invalid("config cannot be empty in order to create a container"));
    }
    let (request, mut warnings) = decode::create(request, &call.query, call.version)?;
    let created = call.engine.create(request).await?;
    warnings.splice(0..0, created.warnings);
    respond::json(StatusCode::CREATED, &CreateResponse { id: created.id.to_string(), warnings })
}

pub(crate) async fn inspect(call: Call) -> Outcome {
    let details = call.engine.inspect(&call.name, call.query.flag("size")).await?;
    respond::ok(&encode::details(&details, call.version))
}

pub(crate) async fn top(call: Call) -> Outcome {
    let list = call.engine.top(&call.name, call.query.text("ps_args").unwrap_or_default()).await?;
    respond::ok(&TopResponse { processes: list.processes, titles: list.titles })
}

pub(crate) async fn changes(call: Call) -> Outcome {
    let changes = call.engine.changes(&call.name).await?;
    let encode = |change: engine::model::image::Change| Change { path: change.path, kind: change.kind as u8 };
    let changes: Vec<Change> = changes.into_iter().map(encode).collect();
    // No change is `null`.
    respond::ok(&(!changes.is_empty()).then_some(changes))
}

pub(crate) async fn export(call: Call) -> Outcome {
    let archive = call.engine.export(&call.name)?;
    Ok(respond::stream("application/octet-stream", ResponseBody::Stream(archive)))
}

pub(crate) async fn logs(call: Call) -> Outcome {
    let (stdout, stderr) = (call.query.flag("stdout"), call.query.flag("stderr"));
    if !stdout && !stderr {
        return Err(Failure::invalid("Bad parameters: you must choose at least one stream"));
    }
    let now = Timestamp::now();
    let query = LogQuery {
        stdout,
        stderr,
        follow: call.query.flag("follow"),
        since: decode::seconds_and_nanos(call.query.text("since"), now)?,
        until: decode::seconds_and_nanos(call.query.text("until"), now)?,
        timestamps: call.query.flag("timestamps"),
        tail: decode::tail(call.query.text("tail")),
        details: call.query.flag("details"),
    };
    let stream = call.engine.logs(&call.name, query).await?;
    let content_type = hijack::content_type(stream.tty, call.version);
    Ok(respond::stream(content_type, ResponseBody::Log(stream)))
}

pub(crate) async fn start(call: Call) -> Outcome {
    let length: u64 = call.header(hyper::header::CONTENT_LENGTH).parse().unwrap_or(0);
    if length > 7 {
        return Err(Failure::invalid(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
        ));
    }
    if call.query.text("checkpoint").is_some() {
        return Err(Failure::new(
            types::ErrorKind::NotImplemented,
            "starting from a checkpoint is not supported: this engine does not restore the memory of processes",
        ));
    }
    call.engine.start(&call.name).await?;
    respond::no_content()
}

fn stop_options(call: &Call) -> Result<StopOptions, Failure> {
    let signal = if call.since(42) { decode::signal(call.query.text("signal"))? } else { None };
    Ok(StopOptions { signal, timeout: call.query.number("t")? })
}

pub(crate) async fn stop(call: Call) -> Outcome {
    let options = stop_options(&call)?;
    call.engine.stop(&call.name, options).await?;
    respond::no_content()
}

pub(crate) async fn restart(call: Call) -> Outcome {
    let options = stop_options(&call)?;
    call.engine.restart(&call.name, options).await?;
    respond::no_content()
}

pub(crate) async fn kill(call: Call) -> Outcome {
    let context = |failure: Failure| failure.context(&format!("cannot kill container: {}", call.name));
    let signal = decode::signal(call.query.text("signal")).map_err(context)?;
    call.engine.kill(&call.name, signal).await.map_err(|error| context(error.into()))?;
    respond::no_content()
}

pub(crate) async fn pause(call: Call) -> Outcome {
    call.engine.pause(&call.name).await?;
    respond::no_content()
}

pub(crate) async fn unpause(call: Call) -> Outcome {
    call.engine.unpause(&call.name).await?;
    respond::no_content()
}

pub(crate) async fn rename(call: Call) -> Outcome {
    let name = call.query.text("name").unwrap_or_default();
    if name.is_empty() || call.name.is_empty() {
        return Err(Failure::invalid("Neither old nor new names may be empty"));
    }
    let renamed = call.engine.rename(&call.name, name.strip_prefix('/').unwrap_or(name)).await;
    renamed.map_err(|error| match error {
        engine::Error::SameName | engine::Error::NoSuchContainer(_) => Failure::from(error),
        other => Failure::from(other).context("Error when allocating new name"),
    })?;
    respond::no_content()
}

pub(crate) async fn update(mut call: Call) -> Outcome {
    let wire: HostConfig = call.json_or_default().await?;
    let (request, mut warnings) = decode::update(wire, call.version)?;
    warnings.extend(call.engine.update(&call.name, request).await?);
    respond::ok(&UpdateResponse { warnings: (!warnings.is_empty()).then_some(warnings) })
}

/// Rows and columns of a resize.
pub(super) fn size(call: &Call) -> Result<(u16, u16), Failure> {
    let side = |key: &str, what: &str| {
        let text = call.query.text(key).unwrap_or_default();
        let invalid = || format!("invalid resize {what} {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax");
        text.parse::<u32>().map(|side| u16::try_from(side).unwrap_or(u16::MAX)).map_err(|_| Failure::invalid(invalid()))
    };
    Ok((side("h", "height")?, side("w", "width")?))
}

pub(crate) async fn resize(call: Call) -> Outcome {
    let (rows, columns) = size(&call)?;
    call.engine.resize(&call.name, rows, columns).await?;
    Ok(respond::empty(StatusCode::OK))
}

/// Headers go out at once, so that a client knows that it is waiting before it starts the container.
pub(crate) async fn wait(call: Call) -> Outcome {
    let condition = match call.query.text("condition").filter(|_| call.since(30)) {
        None | Some("not-running") => WaitCondition::NotRunning,
        Some("next-exit") => WaitCondition::NextExit,
        Some("removed") => WaitCondition::Removed,
        Some(other) => return Err(Failure::invalid(format!("invalid condition: {other:?}"))),
    };
    let exit = call.engine.wait(&call.name, condition)?;
    if !call.since(30) {
        return respond::ok(&wait_response(exit.await));
    }
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            exit = exit => {
                let line = serde_json::to_vec(&wait_response(exit)).map(Bytes::from).unwrap_or_default();
                // A client that left does not need the answer.
                let _ = sender.send([line.as_ref(), b"\n"].concat().into()).await;
            }
            () = sender.closed() => {}
        }
    });
    Ok(respond::stream("application/json", ResponseBody::Stream(receiver)))
}

fn wait_response(exit: engine::model::ExitInfo) -> WaitResponse {
    // Only a failed removal is an error of the wait; why a start failed has been told to whoever started.
    WaitResponse { error: None, status_code: i64::from(exit.code) }
}

pub(crate) async fn remove(call: Call) -> Outcome {
    if call.query.flag("link") {
        call.engine.remove_link(&call.name).await?;
        return respond::no_content();
    }
    let request = RemoveContainer { volumes: call.query.flag("v"), force: call.query.flag("force") };
    call.engine.remove(&call.name, request).await?;
    respond::no_content()
}

//! `/containers/{id}/archive`.

use base64::Engine as _;
use engine::PutArchive;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};

use super::images::reader;
use crate::body::ResponseBody;
use crate::call::Call;
use crate::encode;
use crate::failure::Failure;
use crate::respond::{self, Outcome};

const PATH_STAT: HeaderName = HeaderName::from_static("x-docker-container-path-stat");

pub(crate) async fn stat(call: Call) -> Outcome {
    let stat = call.engine.archive_stat(&call.name, path(&call)?).await?;
    let mut response = respond::empty(StatusCode::OK);
    response.headers_mut().insert(PATH_STAT, header(&stat)?);
    Ok(response)
}

pub(crate) async fn get(call: Call) -> Outcome {
    let archive = call.engine.archive_get(&call.name, path(&call)?).await?;
    let mut response = respond::stream("application/x-tar", ResponseBody::Stream(archive.content));
    response.headers_mut().insert(PATH_STAT, header(&archive.stat)?);
    Ok(response)
}

pub(crate) async fn put(mut call: Call) -> Outcome {
    let path = path(&call)?.to_owned();
    let options =
        PutArchive { keep_kinds: call.query.flag("noOverwriteDirNonDir"), copy_owner: call.query.flag("copyUIDGID") };
    let archive = reader(&mut call);
    call.engine.archive_put(&call.name, &path, options, archive).await?;
    Ok(respond::empty(StatusCode::OK))
}

fn path(call: &Call) -> Result<&str, Failure> {
    // Docker's text, with the space that it lacks.
    call.query.text("path").ok_or_else(|| Failure::invalid("bad parameter: pathcannot be empty"))
}

fn header(stat: &engine::model::PathStat) -> Result<HeaderValue, Failure> {
    let failed = |error: String| Failure::new(types::ErrorKind::System, format!("encoding the answer: {error}"));
    let json = serde_json::to_vec(&encode::path_stat(stat)).map_err(|error| failed(error.to_string()))?;
    let text = base64::engine::general_purpose::STANDARD.encode(json);
    HeaderValue::from_str(&text).map_err(|error| failed(error.to_string()))
}

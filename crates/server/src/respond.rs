//! How answers look.

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, SERVER, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::body::ResponseBody;
use crate::failure::Failure;

/// What a handler returns.
pub type Outcome = Result<Response<ResponseBody>, Failure>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// JSON with a newline behind it, as Go's encoder writes it.
///
/// # Errors
/// Never for our wire types; a failure would be answered with 500.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Outcome {
    let mut text = serde_json::to_vec(value)
        .map_err(|error| Failure::new(types::ErrorKind::System, format!("encoding the answer: {error}")))?;
    text.push(b'\n');
    Ok(with_type(status, JSON, ResponseBody::full(text)))
}

/// 200 and JSON.
///
/// # Errors
/// As [`json`].
pub fn ok<T: Serialize>(value: &T) -> Outcome {
    json(StatusCode::OK, value)
}

/// A status and nothing else.
#[must_use]
pub fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    response
}

/// 204.
///
/// # Errors
/// Never; the type is that of the handlers.
pub fn no_content() -> Outcome {
    Ok(empty(StatusCode::NO_CONTENT))
}

/// 200 and a body of that type.
#[must_use]
pub fn stream(content_type: &'static str, body: ResponseBody) -> Response<ResponseBody> {
    with_type(StatusCode::OK, HeaderValue::from_static(content_type), body)
}

/// The answer that a failure makes.
#[must_use]
pub fn failure(failure: Failure) -> Response<ResponseBody> {
    if failure.status == StatusCode::NOT_MODIFIED {
        return empty(failure.status);
    }
    let status = failure.status;
    let body = api::error::ErrorResponse { message: failure.message };
    // A text always encodes.
    json(status, &body).unwrap_or_else(|_| empty(status))
}

/// 301 to another path of this engine.
#[must_use]
pub fn moved(location: &str) -> Response<ResponseBody> {
    let mut response = empty(StatusCode::MOVED_PERMANENTLY);
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// The answer that a failure makes for clients from before API 1.24.
#[must_use]
pub fn plain_failure(failure: Failure) -> Response<ResponseBody> {
    if failure.status == StatusCode::NOT_MODIFIED {
        return empty(failure.status);
    }
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    let mut response = with_type(failure.status, text, ResponseBody::full(failure.message + "\n"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Adds the headers that every answer has.
pub fn finish(response: &mut Response<ResponseBody>) {
    const API_VERSION: HeaderName = HeaderName::from_static("api-version");
    const EXPERIMENTAL: HeaderName = HeaderName::from_static("docker-experimental");
    const OS_TYPE: HeaderName = HeaderName::from_static("ostype");
    let headers = response.headers_mut();
    headers.insert(API_VERSION, HeaderValue::from_static("1.51"));
    headers.insert(EXPERIMENTAL, HeaderValue::from_static("false"));
    headers.insert(OS_TYPE, HeaderValue::from_static("linux"));
    headers.insert(SERVER, HeaderValue::from_static(concat!("Gantry/", env!("CARGO_PKG_VERSION"), " (linux)")));
}

fn with_type(status: StatusCode, content_type: HeaderValue, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

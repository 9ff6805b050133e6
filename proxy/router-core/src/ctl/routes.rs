//! Commands as HTTP: `GET /v1/COMMAND` asks, `POST /v1/COMMAND` changes, arguments are the query.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use tokio::sync::Semaphore;

use super::caller::Caller;
use super::limits::{ARGUMENTS_MAX, CHANGES_MAX};
use super::{Call, CtlFormat, CtlRefusal, CtlSource};

/// What every connection is served by.
#[derive(Clone)]
pub(super) struct Service {
    router: Router,
}

struct Inner {
    source: Arc<dyn CtlSource>,
    operators: Option<u32>,
    changes: Arc<Semaphore>,
}

impl Service {
    pub fn new(source: Arc<dyn CtlSource>, operators: Option<u32>) -> Self {
        let inner = Inner { source, operators, changes: Arc::new(Semaphore::new(CHANGES_MAX)) };
        let router = Router::new()
            .route("/v1/{command}", get(ask).post(change))
            .fallback(not_found)
            .method_not_allowed_fallback(not_allowed)
            .with_state(Arc::new(inner));
        Self { router }
    }

    /// The service of one connection.
    pub fn router(&self, caller: Caller) -> Router {
        self.router.clone().layer(Extension(caller))
    }
}

async fn ask(
    State(inner): State<Arc<Inner>>,
    Path(command): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let (call, format) = match read(command, query.as_deref()) {
        Ok(read) => read,
        Err(refusal) => return refuse(&refusal, CtlFormat::Json),
    };
    let source = Arc::clone(&inner.source);
    match tokio::task::spawn_blocking(move || source.ask(&call, format)).await {
        Ok(Ok(text)) => answer(StatusCode::OK, format, text),
        Ok(Err(refusal)) => refuse(&refusal, format),
        Err(_) => refuse(&CtlRefusal::Failed(PANICKED.to_owned()), format),
    }
}

async fn change(
    State(inner): State<Arc<Inner>>,
    Extension(caller): Extension<Caller>,
    Path(command): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let (call, format) = match read(command, query.as_deref()) {
        Ok(read) => read,
        Err(refusal) => return refuse(&refusal, CtlFormat::Json),
    };
    let Ok(permit) = Arc::clone(&inner.changes).try_acquire_owned() else {
        let text = said("error", "other changes are under way: try again", format);
        return answer(StatusCode::SERVICE_UNAVAILABLE, format, text);
    };
    let made = tokio::task::spawn_blocking(move || {
        // A change goes on when its client has left, and so does its claim.
        let _permit = permit;
        inner.source.change(&call, caller, caller.level(inner.operators))
    });
    match made.await {
        Ok(Ok(text)) => answer(StatusCode::OK, format, said("outcome", &text, format)),
        Ok(Err(refusal)) => refuse(&refusal, format),
        Err(_) => refuse(&CtlRefusal::Failed(PANICKED.to_owned()), format),
    }
}

/// The command and its arguments, without `format`.
fn read(command: String, query: Option<&str>) -> Result<(Call, CtlFormat), CtlRefusal> {
    let mut format = CtlFormat::Json;
    let mut call = Call { command, arguments: Vec::new() };
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value)) = (decoded(name), decoded(value)) else {
            return Err(CtlRefusal::Wrong("an argument is not percent-encoded UTF-8".to_owned()));
        };
        match (name.as_str(), value.as_str()) {
            ("format", "json") => format = CtlFormat::Json,
            ("format", "text") => format = CtlFormat::Text,
            ("format", _) => {
                return Err(CtlRefusal::Wrong("format: json or text".to_owned()));
            }
            _ if call.arguments.len() == ARGUMENTS_MAX => {
                return Err(CtlRefusal::Wrong(format!("more than {ARGUMENTS_MAX} arguments")));
            }
            _ => call.arguments.push((name, value)),
        }
    }
    Ok((call, format))
}

/// Percent-decoded text; a plus sign is a plus sign.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high << 4 | low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

async fn not_found() -> Response {
    refuse(&CtlRefusal::Unknown, CtlFormat::Json)
}

async fn not_allowed() -> Response {
    let text = said("error", "GET asks and POST changes", CtlFormat::Json);
    answer(StatusCode::METHOD_NOT_ALLOWED, CtlFormat::Json, text)
}

fn refuse(refusal: &CtlRefusal, format: CtlFormat) -> Response {
    let status = match refusal {
        CtlRefusal::Unknown => StatusCode::NOT_IMPLEMENTED,
        CtlRefusal::Wrong(_) => StatusCode::BAD_REQUEST,
        CtlRefusal::NotPermitted => StatusCode::FORBIDDEN,
        CtlRefusal::NotFound(_) => StatusCode::NOT_FOUND,
        CtlRefusal::Failed(_) => StatusCode::CONFLICT,
    };
    answer(status, format, said("error", &refusal.to_string(), format))
}

fn said(what: &str, text: &str, format: CtlFormat) -> String {
    match format {
        CtlFormat::Text => format!("{text}\n"),
        CtlFormat::Json => format!("{}\n", serde_json::json!({ what: text })),
    }
}

fn answer(status: StatusCode, format: CtlFormat, text: String) -> Response {
    let content_type = match format {
        CtlFormat::Json => "application/json",
        CtlFormat::Text => "text/plain; charset=utf-8",
    };
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

const PANICKED: &str = "no answer: see the log";

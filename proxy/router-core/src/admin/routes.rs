//! What the admin socket answers to.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST,
    REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde::Deserialize;

use super::access::{Access, Viewer};
use super::host_check::KnownHosts;
use super::limits::{EXPLAIN_URL_BYTES_MAX, STATS_KEYS_DEFAULT, STATS_KEYS_MAX};
use super::{AdminSource, ExplainFormat, Readiness, Refusal, dashboard, overview};

type Source = State<Arc<dyn AdminSource>>;
/// Who may look, and who is told of those who may not.
type Door = (Arc<ArcSwap<Access>>, Arc<dyn AdminSource>);

/// All routes; anything else is a 404, any method but GET and HEAD a 405.
pub(super) fn router(
    source: Arc<dyn AdminSource>,
    hosts: KnownHosts,
    door: Arc<ArcSwap<Access>>,
) -> Router {
    let guarded = Router::new()
        .route("/overview.json", get(overview))
        .route("/stats", get(stats))
        .route("/metrics", get(metrics))
        .route("/explain", get(explain))
        .route_layer(from_fn_with_state((door, source.clone()), admit));
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/dashboard", get(|| async { page(dashboard::PAGE) }))
        .merge(guarded)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(source.clone())
        .layer(from_fn_with_state((Arc::new(hosts), source), check_host))
}

async fn index(headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match accept.contains("text/html") {
        true => page(dashboard::DOORSTEP),
        false => answer(StatusCode::OK, TEXT, INDEX),
    }
}

/// A page for browsers, with the policy that goes with it.
fn page(text: &'static str) -> Response {
    let mut response = answer(StatusCode::OK, HTML, text);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, dashboard::policy(text));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// The process lives; whether it serves is for `/readyz`.
async fn healthz() -> Response {
    answer(StatusCode::OK, TEXT, "ok\n")
}

async fn readyz(State(source): Source) -> Response {
    match source.readiness() {
        Readiness::Ready => answer(StatusCode::OK, TEXT, "ready\n"),
        Readiness::NotReady(why) => {
            answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not ready: {why}\n"))
        }
    }
}

#[derive(Deserialize)]
struct StatsQuestion {
    keys: Option<usize>,
}

async fn stats(
    State(source): Source,
    Extension(viewer): Extension<Viewer>,
    question: Result<Query<StatsQuestion>, QueryRejection>,
) -> Response {
    let Ok(Query(question)) = question else {
        return answer(StatusCode::BAD_REQUEST, TEXT, "keys: a number of keys to list\n");
    };
    let keys_max = question.keys.unwrap_or(STATS_KEYS_DEFAULT).min(STATS_KEYS_MAX);
    long_answer(JSON, move || source.stats_json(&viewer, keys_max)).await
}

async fn overview(
    State(source): Source,
    Extension(viewer): Extension<Viewer>,
    question: Result<Query<overview::Parameters>, QueryRejection>,
) -> Response {
    let question = question.ok().and_then(|Query(parameters)| parameters.bounded());
    let Some(question) = question else {
        return answer(StatusCode::BAD_REQUEST, TEXT, overview::USAGE);
    };
    long_answer(JSON, move || source.overview_json(&viewer, &question)).await
}

async fn metrics(State(source): Source, Extension(viewer): Extension<Viewer>) -> Response {
    long_answer(EXPOSITION, move || source.metrics_text(&viewer)).await
}

#[derive(Deserialize)]
struct ExplainQuestion {
    url: String,
    format: Option<String>,
}

async fn explain(
    State(source): Source,
    Extension(viewer): Extension<Viewer>,
    question: Result<Query<ExplainQuestion>, QueryRejection>,
) -> Response {
    let Ok(Query(question)) = question else { return bad_question() };
    let (format, content_type) = match question.format.as_deref() {
        None | Some("json") => (ExplainFormat::Json, JSON),
        Some("text") => (ExplainFormat::Text, TEXT),
        Some(_) => return bad_question(),
    };
    if question.url.len() > EXPLAIN_URL_BYTES_MAX {
        return bad_question();
    }
    match source.explain(&viewer, &question.url, format) {
        Ok(text) => answer(StatusCode::OK, content_type, text),
        Err(why) => answer(StatusCode::BAD_REQUEST, TEXT, format!("{why}\n")),
    }
}

fn bad_question() -> Response {
    let usage = "usage: /explain?url=URL, percent-encoded; format=json (default) or text\n";
    answer(StatusCode::BAD_REQUEST, TEXT, usage)
}

async fn not_found() -> Response {
    answer(StatusCode::NOT_FOUND, TEXT, INDEX)
}

async fn method_not_allowed() -> Response {
    answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD are answered here\n")
}

/// Finds out who asks, or refuses: without a word on whether the token is wrong or missing.
async fn admit(State((door, source)): State<Door>, mut request: Request, next: Next) -> Response {
    let authorization = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    match door.load().admit(authorization) {
        Ok(viewer) => {
            request.extensions_mut().insert(viewer);
            next.run(request).await
        }
        Err(refused) => {
            source.note_refusal(refused);
            let mut response = answer(StatusCode::UNAUTHORIZED, TEXT, format!("{refused}\n"));
            let challenge = HeaderValue::from_static("Bearer realm=\"suzerain\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            response
        }
    }
}

async fn check_host(
    State((hosts, source)): State<(Arc<KnownHosts>, Arc<dyn AdminSource>)>,
    request: Request,
    next: Next,
) -> Response {
    // A Host that is no text is passed on as the empty name, which is nobody's.
    let host = request.headers().get(HOST).map(|value| value.to_str().unwrap_or(""));
    if hosts.admit(host) {
        next.run(request).await
    } else {
        source.note_refusal(Refusal::Host);
        answer(StatusCode::FORBIDDEN, TEXT, format!("refused: {}\n", Refusal::Host))
    }
}

/// Works an answer out on a blocking thread, so that health checks are not kept waiting.
async fn long_answer(
    content_type: &'static str,
    work: impl FnOnce() -> String + Send + 'static,
) -> Response {
    match tokio::task::spawn_blocking(work).await {
        Ok(text) => answer(StatusCode::OK, content_type, text),
        Err(_) => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "no answer: see the log\n"),
    }
}

fn answer(status: StatusCode, content_type: &'static str, text: impl IntoResponse) -> Response {
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

const INDEX: &str = "\
/healthz        200 while the process lives
/readyz         200 while new connections should be sent here, else 503
/dashboard      what the router is doing, live, in a browser
/overview.json  the same as JSON; &search=, &sort=, &order=, &offset= and &keys= choose the keys
/stats          state as JSON; ?keys=N lists at most N keys
/metrics        Prometheus text format
/explain?url=U  what a request for U would get; &format=text for people
";

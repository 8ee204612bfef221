//! Logs on standard error, traces to an OTLP collector, metrics as Prometheus text.

use std::{
    io::IsTerminal as _,
    sync::{Arc, OnceLock, atomic::Ordering},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use opentelemetry::{
    KeyValue,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::TracerProvider as _,
};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{
    Config, Readiness,
    error::BoxError,
    exemplars, measures,
    options::{AccessLog, LogForm},
    readiness::{Asked, listed, missing},
};

const METRICS_FOLD_EVERY: Duration = Duration::from_secs(5);

/// Sends the last spans when dropped; hold it until the process ends.
#[must_use = "the last spans are sent when this is dropped"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Starts logging, as text or as one JSON object a line, the collection of metrics when `metrics.addr` is set, and the
/// export of traces when `telemetry.otlp_endpoint` is. `RUST_LOG` selects what is logged; `info` when unset. Must be called
/// inside a runtime.
///
/// # Errors
/// When the endpoint cannot be used.
pub fn init(config: &Config, service: &str) -> Result<Telemetry, BoxError> {
    let options = &config.shared.telemetry;
    let every = match options.access_log {
        AccessLog::Full => 1,
        AccessLog::Sampled => options.access_log_every.get(),
        AccessLog::Off => 0,
    };
    portolan_api::access::tell_every(every);
    // Before anything is opened that has counters which begin at zero.
    if !config.shared.metrics.addr.is_empty() {
        collected();
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    // Colors are for people at a terminal; in a file they hide words from whoever searches.
    let builder = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = if options.log == LogForm::Json {
        builder.json().with_filter(filter).boxed()
    } else {
        builder.with_target(false).with_filter(filter).boxed()
    };
    let provider = match options.otlp_endpoint.as_str() {
        "" => None,
        endpoint => Some(exporter(endpoint, service)?),
    };
    let traces = provider.as_ref().map(|provider| {
        let spans = EnvFilter::new("info,h2=off,hyper=off,tonic=off,tower=off,sqlx=warn");
        tracing_opentelemetry::layer().with_tracer(provider.tracer("portolan")).with_filter(spans)
    });
    exemplars::EXPORTS.store(provider.is_some(), Ordering::Relaxed);
    // A second start in one process, as tests do, keeps the first logger.
    let _ = tracing_subscriber::registry().with(lines).with(traces).try_init();
    Ok(Telemetry { provider })
}

fn exporter(endpoint: &str, service: &str) -> Result<SdkTracerProvider, BoxError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take() {
            // On a thread of its own: the exporter waits for a runtime that this thread may be driving.
            let flushed = std::thread::spawn(move || provider.shutdown_with_timeout(Duration::from_secs(2)));
            if let Ok(Err(error)) = flushed.join() {
                eprintln!("warning: the last traces were not sent: {error}");
            }
        }
    }
}

/// Makes the span a child of the one that the headers name.
pub fn adopt(span: &Span, headers: &HeaderMap) {
    if exemplars::EXPORTS.load(Ordering::Relaxed) {
        let parent = TraceContextPropagator::new().extract(&Headers(headers));
        // A span that began already keeps the parent it has.
        let _ = span.set_parent(parent);
    }
}

/// Writes the current span into the headers of an outgoing call, in place of what they name.
pub fn inject(headers: &mut HeaderMap) {
    if exemplars::EXPORTS.load(Ordering::Relaxed) {
        TraceContextPropagator::new().inject_context(&Span::current().context(), &mut HeadersMut(headers));
    }
}

struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'h>(&'h mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

/// The metrics of the process, which are collected from the first call on.
fn collected() -> Option<&'static PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    let begin = || {
        let builder = PrometheusBuilder::new().set_buckets(&exemplars::BUCKETS_S);
        let handle = builder.and_then(PrometheusBuilder::install_recorder).ok()?;
        measures::tell_build();
        let kept = handle.clone();
        tokio::spawn(async move {
            // Samples of histograms pile up until they are folded, whether anybody scrapes or not.
            loop {
                measures::measure();
                kept.run_upkeep();
                tokio::time::sleep(METRICS_FOLD_EVERY).await;
            }
        });
        Some(handle)
    };
    HANDLE.get_or_init(begin).as_ref()
}

/// The metrics in the form that is asked for.
fn exposed(text: &str, headers: &HeaderMap) -> ([(HeaderName, &'static str); 1], String) {
    let accepted = headers.get_all(http::header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let is_open = accepted.into_iter().any(|accepted| accepted.contains(exemplars::OPEN_METRICS));
    let content_type = |value| [(http::header::CONTENT_TYPE, value)];
    match is_open {
        true => (content_type(exemplars::OPEN_METRICS_TYPE), exemplars::open_metrics(text)),
        false => (content_type(exemplars::PROMETHEUS_TYPE), text.to_owned()),
    }
}

/// Serves `/metrics`, `/healthz` (the process) and `/readyz` (what it needs) for a process that has no gateway, the
/// latter with `?verbose` and `?own` as the gateway has it, until the process ends.
pub fn serve_metrics(listener: tokio::net::TcpListener, readiness: Arc<Readiness>) {
    let text = || collected().map(PrometheusHandle::render).unwrap_or_default();
    let looked = readiness.clone();
    // What is missing is told whether anybody asks or not.
    tokio::spawn(async move {
        loop {
            looked.look().await;
            tokio::time::sleep(METRICS_FOLD_EVERY).await;
        }
    });
    let ready = async move |axum::extract::RawQuery(query): axum::extract::RawQuery| {
        let asked = Asked::of(query.as_deref().unwrap_or_default());
        let found = asked.of_parts(readiness.look().await);
        let missing = missing(&found);
        let status = if missing.is_none() { http::StatusCode::OK } else { http::StatusCode::SERVICE_UNAVAILABLE };
        let (content_type, body) = match asked.is_verbose {
            true => ("application/json", listed(&found).to_string()),
            false => ("text/plain; charset=utf-8", missing.unwrap_or_else(|| "ready".to_owned())),
        };
        (status, [(http::header::CONTENT_TYPE, content_type)], body)
    };
    let router = axum::Router::new()
        .route("/metrics", axum::routing::get(async move |headers: HeaderMap| exposed(&text(), &headers)))
        .route("/healthz", axum::routing::get(async || "ok"))
        .route("/livez", axum::routing::get(async || "ok"))
        .route("/readyz", axum::routing::get(ready));
    tokio::spawn(async move { axum::serve(listener, router).await });
}

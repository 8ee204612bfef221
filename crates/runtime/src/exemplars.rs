//! Examples of what histograms count, for the OpenMetrics form of `/metrics`: which trace or request took how long.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Bounds of the buckets of every duration, in seconds: histograms of several instances add up.
pub(crate) const BUCKETS_S: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Whether spans leave the process; without a collector no request pays for reading and writing their headers.
pub(crate) static EXPORTS: AtomicBool = AtomicBool::new(false);

/// What was asked for as a header of content, and what is answered then.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text";
pub(crate) const OPEN_METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
pub(crate) const PROMETHEUS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// An example stays at least this long, so that a busy process does not make one for each request.
const KEPT: Duration = Duration::from_secs(1);
/// OpenMetrics allows 128 characters of names and values.
const VALUE_CHARACTERS_MAX: usize = 100;

struct Exemplar {
    label: &'static str,
    value: String,
    seconds: f64,
    at: SystemTime,
    made: Instant,
}

/// One for each bucket and for what is beyond the last.
type Slots = [Option<Exemplar>; BUCKETS_S.len() + 1];

/// By histogram and method.
static SLOTS: Mutex<Option<HashMap<&'static str, HashMap<String, Slots>>>> = Mutex::new(None);

/// Counts how long a request took, and keeps it as an example: by its trace where traces leave the process, by its id
/// otherwise. `method` must be of a bounded set.
pub fn record_seconds(histogram: &'static str, method: &str, seconds: f64, span: &Span, request_id: &str) {
    metrics::histogram!(histogram, "method" => method.to_owned()).record(seconds);
    // Whoever finds somebody else at it leaves no example.
    let Ok(mut all) = SLOTS.try_lock() else { return };
    let methods = all.get_or_insert_default().entry(histogram).or_default();
    if !methods.contains_key(method) {
        methods.insert(method.to_owned(), Slots::default());
    }
    let Some(slots) = methods.get_mut(method) else { return };
    let slot = &mut slots[BUCKETS_S.partition_point(|bound| *bound < seconds)];
    if slot.as_ref().is_some_and(|kept| kept.made.elapsed() < KEPT) {
        return;
    }
    let (label, value) = match trace_id(span) {
        Some(trace_id) => ("trace_id", trace_id),
        None => ("request_id", request_id.to_owned()),
    };
    let is_plain = value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
    if is_plain && (1..=VALUE_CHARACTERS_MAX).contains(&value.len()) {
        *slot = Some(Exemplar { label, value, seconds, at: SystemTime::now(), made: Instant::now() });
    }
}

/// Prometheus text as OpenMetrics text, with the examples.
pub(crate) fn open_metrics(prometheus: &str) -> String {
    let all = SLOTS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut text = String::with_capacity(prometheus.len() + 4_096);
    for line in prometheus.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("# ") {
            Some(comment) => text.push_str(&family(comment)),
            None => {
                text.push_str(line);
                if let Some(exemplar) = all.as_ref().and_then(|all| of_line(all, line)) {
                    let Exemplar { label, value, seconds, at, .. } = exemplar;
                    let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
                    // Writing to a text succeeds.
                    let _ = write!(text, " # {{{label}=\"{value}\"}} {seconds} {:.3}", at.as_secs_f64());
                }
            }
        }
        text.push('\n');
    }
    text.push_str("# EOF\n");
    text
}

/// OpenMetrics names the family of a counter without the end of its series.
fn family(comment: &str) -> String {
    let mut words = comment.splitn(3, ' ');
    let (word, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let rest = words.next().unwrap_or_default();
    match (word, rest, name.strip_suffix("_total")) {
        (_, _, Some(family)) => format!("# {word} {family} {rest}"),
        ("TYPE", "counter", None) => format!("# TYPE {name} unknown"),
        _ => format!("# {comment}"),
    }
}

fn of_line<'a>(all: &'a HashMap<&'static str, HashMap<String, Slots>>, line: &str) -> Option<&'a Exemplar> {
    let (series, labels) = line.split_once('{')?;
    let methods = all.get(series.strip_suffix("_bucket")?)?;
    let label = |name: &str| labels.split_once(&format!("{name}=\""))?.1.split('"').next();
    let slots = methods.get(label("method")?)?;
    let place = match label("le")? {
        "+Inf" => BUCKETS_S.len(),
        bound => {
            let bound: f64 = bound.parse().ok()?;
            BUCKETS_S.iter().position(|known| *known == bound)?
        }
    };
    slots[place].as_ref()
}

/// The trace of a span that leaves the process.
fn trace_id(span: &Span) -> Option<String> {
    use opentelemetry::trace::TraceContextExt as _;
    if !EXPORTS.load(Ordering::Relaxed) {
        return None;
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    (context.is_valid() && context.is_sampled()).then(|| context.trace_id().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_get_the_example_that_fell_into_them() {
        for (seconds, id) in [(0.004, "quick"), (99.0, "slow"), (0.003, "too soon after the other")] {
            record_seconds("some_seconds", "Service/Method", seconds, &Span::none(), id);
        }
        record_seconds("some_seconds", "Service/Other", 0.004, &Span::none(), "with \"quotes\"");
        let text = "# TYPE some_total counter\nsome_total 3\n\n# TYPE some_seconds histogram\n\
                    some_seconds_bucket{method=\"Service/Method\",le=\"0.0025\"} 0\n\
                    some_seconds_bucket{method=\"Service/Method\",le=\"0.005\"} 1\n\
                    some_seconds_bucket{method=\"Service/Other\",le=\"0.005\"} 1\n\
                    some_seconds_bucket{method=\"Service/Method\",le=\"+Inf\"} 2\n\
                    some_seconds_count{method=\"Service/Method\"} 2\n";
        let open = open_metrics(text);
        let lines: Vec<_> = open.lines().collect();
        assert_eq!(lines[..2], ["# TYPE some counter", "some_total 3"]);
        assert_eq!(lines[3], "some_seconds_bucket{method=\"Service/Method\",le=\"0.0025\"} 0");
        let quick = "some_seconds_bucket{method=\"Service/Method\",le=\"0.005\"} 1 # {request_id=\"quick\"} 0.004 ";
        assert!(lines[4].starts_with(quick), "{open}");
        assert!(lines[5].ends_with("} 1"), "{open}");
        assert!(lines[6].contains(" 2 # {request_id=\"slow\"} 99 "), "{open}");
        assert!(lines[7].ends_with("} 2") && lines[8] == "# EOF" && lines.len() == 9, "{open}");
    }
}

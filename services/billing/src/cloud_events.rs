//! CloudEvents 1.0 as usage.

use portolan_api::{Error, Reason, Result};
use portolan_ids::AccountId;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::usage::{self, BATCH_MAX, Event, VALUE_MAX, event_key};
use crate::{Deps, model::features};

const SPEC_VERSION: &str = "1.0";
const ID_CHARS_MAX: usize = 255;
const SOURCE_CHARS_MAX: usize = 1_024;
/// Clocks of senders may be ahead by so much.
const AHEAD_MAX_S: i64 = 86_400;
/// Keys of outside events never meet those of services of the installation.
const OUTSIDE: &str = "cloudevents:";

/// An event as it was sent.
#[derive(Clone, Debug, Default)]
pub struct CloudEvent {
    /// `1.0`.
    pub specversion: Option<String>,
    /// Tells events of a source apart.
    pub id: Option<String>,
    /// Who counted.
    pub source: Option<String>,
    /// The attribute `type`: the feature.
    pub kind: Option<String>,
    /// RFC 3339.
    pub time: Option<String>,
    /// JSON text.
    pub data: Option<String>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    /// How many count.
    pub accepted: usize,
    /// How many counted before.
    pub duplicates: usize,
    /// Position and reason.
    pub rejected: Vec<(usize, String)>,
}

/// Counts the events of an account's batch, each once.
///
/// # Errors
/// `BATCH_TOO_LARGE`, `UNAVAILABLE`.
pub async fn ingest(deps: &Deps, account_id: AccountId, sent: &[CloudEvent]) -> Result<Ingested> {
    if sent.len() > BATCH_MAX {
        return Err(Error::new(Reason::BatchTooLarge).with("limit", BATCH_MAX).with("member", "events"));
    }
    let now = deps.clock.now();
    let mut ingested = Ingested::default();
    let mut events = Vec::with_capacity(sent.len());
    for (index, event) in sent.iter().enumerate() {
        match read(account_id, event, now, deps.rules.event_window_s) {
            Ok(event) => events.push(event),
            Err(reason) => ingested.rejected.push((index, reason)),
        }
    }
    let counted = usage::record(deps, &events).await?;
    ingested.accepted = counted.iter().filter(|is_new| **is_new).count();
    ingested.duplicates = counted.len() - ingested.accepted;
    Ok(ingested)
}

fn read(account_id: AccountId, event: &CloudEvent, now: i64, window_s: i64) -> Result<Event, String> {
    let required = |value: &Option<String>, attribute: &str| match value.as_deref() {
        Some(value) if !value.is_empty() => Ok(value.to_owned()),
        _ => Err(format!("{attribute} is required")),
    };
    if required(&event.specversion, "specversion")? != SPEC_VERSION {
        return Err("specversion must be 1.0".to_owned());
    }
    let id = required(&event.id, "id")?;
    let source = required(&event.source, "source")?;
    let feature = required(&event.kind, "type")?;
    if id.chars().count() > ID_CHARS_MAX {
        return Err(format!("id must not be longer than {ID_CHARS_MAX} characters"));
    }
    if source.chars().count() > SOURCE_CHARS_MAX {
        return Err(format!("source must not be longer than {SOURCE_CHARS_MAX} characters"));
    }
    if !features::is_name(&feature) {
        return Err("type must have 1 to 128 letters, digits, _, -, . and :".to_owned());
    }
    if features::is_kept(&feature) {
        return Err(format!("{feature} is counted by the installation itself"));
    }
    let time = match event.time.as_deref() {
        None | Some("") => now,
        Some(text) => OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "time must be of RFC 3339")?.unix_timestamp(),
    };
    if !(0..=now + AHEAD_MAX_S).contains(&time) {
        return Err("time is before 1970 or more than a day ahead".to_owned());
    }
    // Whether it was counted before is not known any longer.
    if time < now.saturating_sub(window_s) {
        return Err(format!("time is more than {} days ago", window_s / 86_400));
    }
    let value = value(event.data.as_deref())?;
    if value < 0 && !features::is_standing(&feature) {
        return Err("data.value must not be negative".to_owned());
    }
    Ok(Event { account_id, key: event_key(&format!("{OUTSIDE}{source}"), &id), feature, value, time })
}

fn value(data: Option<&str>) -> Result<i64, String> {
    let Some(data) = data.filter(|data| !data.is_empty()) else { return Ok(1) };
    let data: Value = serde_json::from_str(data).map_err(|_| "data must be JSON")?;
    let value = match &data["value"] {
        Value::Null => return Ok(1),
        value => value.as_i64().ok_or("data.value must be a whole number")?,
    };
    if value.abs() > VALUE_MAX {
        return Err(format!("data.value must lie between -{VALUE_MAX} and {VALUE_MAX}"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(change: impl FnOnce(&mut CloudEvent)) -> Result<Event, String> {
        let some = |text: &str| Some(text.to_owned());
        let mut event = CloudEvent {
            specversion: some("1.0"),
            id: some("1"),
            source: some("/runner"),
            kind: some("TEST_RUNS"),
            time: None,
            data: None,
        };
        change(&mut event);
        read(AccountId(1), &event, 1_767_225_600, 90 * 86_400)
    }

    #[test]
    fn attributes_have_defaults() {
        let read = event(|_| {}).unwrap();
        assert_eq!((read.value, read.time, read.feature.as_str()), (1, 1_767_225_600, "TEST_RUNS"));
        let read = event(|e| {
            e.time = Some("2025-12-31T23:00:00+01:00".to_owned());
            e.data = Some("{\"value\":7,\"more\":true}".to_owned());
        });
        assert_eq!(read.map(|event| (event.value, event.time)), Ok((7, 1_767_218_400)));
    }

    #[test]
    fn what_cannot_be_counted_has_a_reason() {
        let some = |text: &str| Some(text.to_owned());
        let reason = |change: fn(&mut CloudEvent)| event(change).unwrap_err();
        assert_eq!(reason(|e| e.specversion = None), "specversion is required");
        assert_eq!(reason(|e| e.specversion = Some("0.3".into())), "specversion must be 1.0");
        assert_eq!(reason(|e| e.id = Some(String::new())), "id is required");
        assert_eq!(reason(|e| e.source = None), "source is required");
        assert_eq!(reason(|e| e.kind = Some("a b".into())), "type must have 1 to 128 letters, digits, _, -, . and :");
        assert_eq!(
            reason(|e| e.kind = Some("ACTIVE_ENDPOINTS".into())),
            "ACTIVE_ENDPOINTS is counted by the installation itself"
        );
        assert_eq!(reason(|e| e.time = Some("yesterday".into())), "time must be of RFC 3339");
        assert_eq!(
            reason(|e| e.time = Some("2030-01-01T00:00:00Z".into())),
            "time is before 1970 or more than a day ahead"
        );
        assert_eq!(reason(|e| e.time = Some("2025-10-02T23:59:59Z".into())), "time is more than 90 days ago");
        assert!(event(|e| e.time = some("2025-10-03T00:00:00Z")).is_ok());
        assert_eq!(reason(|e| e.data = Some("{\"value\":1.5}".into())), "data.value must be a whole number");
        assert_eq!(reason(|e| e.data = Some("{\"value\":-1}".into())), "data.value must not be negative");
        assert!(reason(|e| e.data = Some("{\"value\":9223372036854775807}".into())).starts_with("data.value must lie"));
        let lowered = event(|e| (e.kind, e.data) = (some("CUSTOM_TESTS"), some("{\"value\":-1}")));
        assert_eq!(lowered.map(|event| event.value), Ok(-1));
    }

    #[test]
    fn source_and_id_stay_apart() {
        assert_ne!(event_key("ab", "c"), event_key("a", "bc"));
    }
}

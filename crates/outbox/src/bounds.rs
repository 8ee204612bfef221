//! How much of a change an event of the audit keeps. No call fails for the size of its own record: what is longer is cut,
//! and says so.

use portolan_api::identity::v1::AuditEvent;
use serde_json::Value;

/// Of the values before and after, each.
const VALUE_BYTES_MAX: usize = 16 * 1024;
/// Of any other text, such as the id of what was changed.
const TEXT_BYTES_MAX: usize = 1024;
/// What a cut text ends with.
const MARK: &str = "…";

/// An event whose every text is within its bound.
#[must_use]
pub fn bounded(event: AuditEvent) -> AuditEvent {
    AuditEvent {
        credential_id: bounded_text(event.credential_id),
        client_address: bounded_text(event.client_address),
        request_id: bounded_text(event.request_id),
        action: bounded_text(event.action),
        reason: bounded_text(event.reason),
        resource_id: bounded_text(event.resource_id),
        before: bounded_json(event.before),
        after: bounded_json(event.after),
        ..event
    }
}

/// JSON as it is, or, where it is too long, a JSON string of its beginning.
#[must_use]
pub fn bounded_json(text: String) -> String {
    if text.len() <= VALUE_BYTES_MAX {
        return text;
    }
    let mut room = VALUE_BYTES_MAX - MARK.len();
    loop {
        let quoted = Value::from(format!("{}{MARK}", beginning(&text, room))).to_string();
        if quoted.len() <= VALUE_BYTES_MAX {
            return quoted;
        }
        // Quotes and control characters take up to six bytes each.
        room /= 2;
    }
}

/// A text, or its beginning.
#[must_use]
pub fn bounded_text(text: String) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    format!("{}{MARK}", beginning(&text, TEXT_BYTES_MAX - MARK.len()))
}

fn beginning(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_of_an_event_is_bounded() {
        const LONG: usize = 5 << 20;
        for filling in ["x", "ü\"", "\u{1}", "\\", "𝄞"] {
            let text = || filling.repeat(LONG / filling.len());
            let value = serde_json::json!({ "names": text() }).to_string();
            let event = AuditEvent {
                credential_id: text(),
                client_address: text(),
                request_id: text(),
                action: text(),
                reason: text(),
                resource_id: text(),
                before: value.clone(),
                after: value,
                ..AuditEvent::default()
            };
            let cut = bounded(event);
            let payload = serde_json::to_string(&cut).unwrap();
            assert!(payload.len() < 128 * 1024, "{filling:?}: {}", payload.len());
            assert!(cut.resource_id.starts_with(filling) && cut.resource_id.ends_with(MARK));
            let kept = serde_json::from_str::<String>(&cut.after).unwrap();
            assert!(kept.starts_with("{\"names\"") && kept.ends_with(MARK), "{filling:?}");
            assert!(cut.after.len() > VALUE_BYTES_MAX / 4, "{filling:?}: {}", cut.after.len());
            assert_eq!(bounded(cut.clone()), cut, "what is bounded stays");
        }
        assert_eq!(bounded_json("{\"a\":1}".to_owned()), "{\"a\":1}");
    }
}

//! Masks: what stands in a record in place of a value.
//!
//! A redacted collection hides every value, a redacted kind of data those of its kind. A mask keeps the structure: names,
//! members of JSON, pairs of a form. Masking a masked record changes nothing.

use portolan_engine::{Detectors, Observation, REQUEST, Verdict, observe, template::decoded};
use portolan_record::Record;
use serde_json::{Map, Value};

/// Stands for a value.
pub(crate) const MASK: &str = "****";

/// Which values are hidden.
pub(crate) enum Hidden<'d> {
    All,
    /// Those of kinds that these detectors find and keep no values of.
    Kinds(&'d Detectors),
}

/// A stored record without the values of redacted kinds; nothing when it stays as it is.
pub(crate) fn masked_text(json: &str, detectors: &Detectors) -> Option<String> {
    if !detectors.has_redacted() {
        return None;
    }
    let record = Record::parse(json).ok()?;
    match observe(&record, detectors) {
        Verdict::Seen(observations) => masked(&record, &observations, detectors),
        Verdict::Dropped(_) => None,
    }
}

/// A record as JSON without the values of redacted kinds; nothing when there is no such kind. What was observed in the
/// record tells of bodies whose form has no place for a mask.
pub(crate) fn masked(record: &Record<'_>, observations: &[Observation], detectors: &Detectors) -> Option<String> {
    if !detectors.has_redacted() {
        return None;
    }
    let shows = |is_request: bool| {
        observations.iter().flat_map(|seen| &seen.parameters).any(|sighting| {
            let key = &sighting.key;
            let is_body = !key.is_header && !key.is_url_param && !key.is_query_param;
            is_body && (key.response_code == REQUEST) == is_request && detectors.is_redacted(key.sub_type)
        })
    };
    let hidden = Hidden::Kinds(detectors);
    let masked = Record {
        path: hidden.path(&record.path).into(),
        request_headers: hidden.headers(&record.request_headers).into(),
        response_headers: hidden.headers(&record.response_headers).into(),
        request_payload: hidden.body(&record.request_payload, shows(true)).into(),
        response_payload: hidden.body(&record.response_payload, shows(false)).into(),
        ..record.clone()
    };
    Some(crate::model::text::storable(&masked.to_json()))
}

impl Hidden<'_> {
    fn hides(&self, key: &str, text: &str) -> bool {
        match self {
            Self::All => true,
            Self::Kinds(detectors) => detectors.is_redacted(detectors.detect_text(key, text).sub_type),
        }
    }

    fn hides_number(&self, key: &str, digits: &str) -> bool {
        match self {
            Self::All => true,
            Self::Kinds(detectors) => detectors.is_redacted(detectors.detect_number(key, digits).sub_type),
        }
    }

    /// A path or an absolute URL, segment by segment, with its query.
    fn path(&self, path: &str) -> String {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let mask = |segment: &str| match !segment.is_empty() && self.hides("", &decoded(segment)) {
            true => MASK.to_owned(),
            false => segment.to_owned(),
        };
        let path = path.split('/').map(mask).collect::<Vec<_>>().join("/");
        match query {
            Some(query) => format!("{path}?{}", self.pairs(query)),
            None => path,
        }
    }

    /// A JSON object of names and values. Anything else goes when all is hidden.
    pub(crate) fn headers(&self, text: &str) -> String {
        let Ok(Value::Object(headers)) = serde_json::from_str(text) else {
            return match self {
                Self::All => "{}".to_owned(),
                Self::Kinds(_) => text.to_owned(),
            };
        };
        let mask = |(name, value): (String, Value)| {
            let masked = match value {
                Value::String(text) if name.eq_ignore_ascii_case("cookie") => Value::String(self.cookies(&text)),
                Value::String(text) if !self.hides(&name.to_ascii_lowercase(), &text) => Value::String(text),
                Value::Array(_) | Value::Object(_) if matches!(self, Self::Kinds(_)) => self.json(&name, value),
                _ => Value::String(MASK.to_owned()),
            };
            (name, masked)
        };
        Value::Object(headers.into_iter().map(mask).collect::<Map<_, _>>()).to_string()
    }

    fn cookies(&self, text: &str) -> String {
        let mut masked = Vec::new();
        let mut changed = false;
        for (name, value) in text.split(';').filter_map(|pair| pair.split_once('=')) {
            let is_hidden = self.hides(name.trim(), value.trim());
            changed |= is_hidden;
            masked.push(format!("{}={};", name.trim(), if is_hidden { MASK } else { value.trim() }));
        }
        match (self, changed) {
            (Self::Kinds(_), false) => text.to_owned(),
            _ => masked.join(" "),
        }
    }

    /// A body: JSON or a form keeps its structure, another form goes as a whole if `or_whole`.
    pub(crate) fn body(&self, text: &str, or_whole: bool) -> String {
        if text.is_empty() {
            return String::new();
        }
        match serde_json::from_str::<Value>(text) {
            Ok(body) => self.json("", body).to_string(),
            Err(_) if is_form(text) => self.pairs(text),
            Err(_) if or_whole => MASK.to_owned(),
            Err(_) => text.to_owned(),
        }
    }

    /// `key` is the last name above the value.
    fn json(&self, key: &str, value: Value) -> Value {
        let mask = || Value::String(MASK.to_owned());
        match value {
            Value::Array(list) => Value::Array(list.into_iter().map(|member| self.json(key, member)).collect()),
            Value::Object(members) => {
                let member = |(name, member): (String, Value)| {
                    let member = self.json(&name, member);
                    (name, member)
                };
                Value::Object(members.into_iter().map(member).collect())
            }
            Value::String(text) if self.hides(key, &text) => mask(),
            Value::Number(number) if self.hides_number(key, &number.to_string()) => mask(),
            Value::Null | Value::Bool(_) if matches!(self, Self::All) => mask(),
            other => other,
        }
    }

    pub(crate) fn pairs(&self, text: &str) -> String {
        let mask = |pair: &str| match pair.split_once('=') {
            Some((name, value)) => {
                let plain = value.replace('+', " ");
                let is_hidden = self.hides(&decoded(name), &decoded(&plain));
                format!("{name}={}", if is_hidden { MASK } else { value })
            }
            None if matches!(self, Self::All) => MASK.to_owned(),
            None => pair.to_owned(),
        };
        text.split('&').filter(|pair| !pair.is_empty()).map(mask).collect::<Vec<_>>().join("&")
    }
}

/// Whether every part of a text is a name and a value, as a form's are.
fn is_form(text: &str) -> bool {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-[]%".contains(c));
    text.split('&').all(|pair| pair.split_once('=').is_some_and(|(name, _)| is_name(name)))
}

#[cfg(test)]
mod tests {
    use portolan_engine::SubType;

    use super::*;

    fn all(text: &str) -> String {
        Hidden::All.body(text, true)
    }

    #[test]
    fn bodies_of_other_kinds_are_masked() {
        assert_eq!(all("name=Jane&mail=j%40x.org"), "name=****&mail=****");
        assert_eq!(all("plain=text with words and secret"), "plain=****");
        assert_eq!(all("the secret = this & that"), "****");
        assert_eq!(all("\"secret\""), "\"****\"");
        assert_eq!(all(""), "");
    }

    #[test]
    fn kinds_are_masked_wherever_they_stand() {
        let detectors = Detectors::default().with_redacted([SubType::Email, SubType::CreditCard]);
        let record = Record {
            method: "POST".into(),
            path: "https://h.test/users/jane%40corp.io/42?mail=joe@corp.io&page=2".into(),
            request_headers: r#"{"x-user":"jim@corp.io","cookie":"m=jo@corp.io; s=1","accept":"*/*"}"#.into(),
            request_payload: r#"{"mails":["jack@corp.io","plain"],"card":4111111111111111,"n":7,"b":true}"#.into(),
            response_headers: r#"{"content-type":"text/xml"}"#.into(),
            response_payload: "<u><mail>joan@corp.io</mail></u>".into(),
            status_code: 200,
            time: 9,
            ..Record::default()
        };
        let text = masked_text(&record.to_json(), &detectors).unwrap();
        assert!(!text.contains("corp.io") && !text.contains("4111"), "{text}");
        let again = Record::parse(&text).unwrap();
        assert_eq!(again.path, "https://h.test/users/****/42?mail=****&page=2");
        assert_eq!(again.request_headers, r#"{"accept":"*/*","cookie":"m=****; s=1;","x-user":"****"}"#);
        assert_eq!(again.request_payload, r#"{"b":true,"card":"****","mails":["****","plain"],"n":7}"#);
        assert_eq!((&*again.response_payload, again.status_code), (MASK, 200));
        assert_eq!(masked_text(&text, &detectors).unwrap(), text);
        assert!(masked_text(&record.to_json(), &Detectors::default()).is_none());
    }
}

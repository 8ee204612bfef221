//! How calls prove who makes them, as schemes of a document and as requirements of its operations.

use std::collections::{BTreeMap, BTreeSet};

use portolan_engine::{AuthSet, AuthType, REQUEST, is_credential};
use serde_json::{Map, Value, json};

use crate::export::operation::Operation;

/// The schemes that the operations of a document need, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Schemes {
    by_name: BTreeMap<String, Value>,
}

impl Schemes {
    /// The requirement of an operation: an alternative for each set of types; nothing when none was seen.
    pub(super) fn require(&mut self, operation: &Operation) -> Option<Value> {
        if operation.auth_sets.is_empty() {
            return None;
        }
        let alternatives: BTreeSet<BTreeSet<String>> =
            operation.auth_sets.iter().map(|set| self.alternative(*set, operation)).collect();
        if alternatives.iter().all(BTreeSet::is_empty) {
            return Some(json!([]));
        }
        let written = alternatives
            .into_iter()
            .map(|names| Value::from(names.into_iter().map(|name| (name, json!([]))).collect::<Map<String, Value>>()));
        Some(written.collect())
    }

    /// The component of the document; nothing when no operation needs a scheme.
    pub(super) fn written(self) -> Option<Value> {
        (!self.by_name.is_empty()).then(|| json!(self.by_name))
    }

    /// Whether a scheme is of version 3.1.
    pub(super) fn is_newer(&self) -> bool {
        self.by_name.values().any(|scheme| scheme["type"] == "mutualTLS")
    }

    fn alternative(&mut self, set: AuthSet, operation: &Operation) -> BTreeSet<String> {
        let key = |place: &str, name: &str| json!({"type": "apiKey", "in": place, "name": name});
        let mut names = BTreeSet::new();
        for auth in set.iter() {
            let (name, scheme) = match auth {
                AuthType::Unauthenticated => continue,
                AuthType::Basic => ("basic", json!({"type": "http", "scheme": "basic"})),
                AuthType::Bearer => ("bearer", json!({"type": "http", "scheme": "bearer"})),
                AuthType::Jwt => ("jwt", json!({"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})),
                AuthType::Mtls => ("mutualTls", json!({"type": "mutualTLS"})),
                AuthType::SessionToken => ("session", key("cookie", "session")),
                AuthType::AuthorizationHeader | AuthType::Custom => ("authorization", key("header", "Authorization")),
                AuthType::ApiKey => {
                    let (place, name) = key_of(operation);
                    ("apiKey", key(place, &name))
                }
            };
            names.insert(self.named(name, scheme));
        }
        names
    }

    /// The name under which the scheme stands; two keys of different names are two schemes.
    fn named(&mut self, name: &str, scheme: Value) -> String {
        let mut unique = name.to_owned();
        let mut number = 1;
        while self.by_name.get(&unique).is_some_and(|known| *known != scheme) {
            number += 1;
            unique = format!("{name}{number}");
        }
        self.by_name.insert(unique.clone(), scheme);
        unique
    }
}

/// Where the key of an operation stands, and what it is called.
fn key_of(operation: &Operation) -> (&'static str, String) {
    let of_request = operation.parameters.keys().filter(|key| key.response_code == REQUEST);
    let mut keys = of_request.filter(|key| is_credential(&key.name) && key.name.to_ascii_lowercase().contains("key"));
    let found = keys.find(|key| key.is_header || key.is_query_param);
    match found {
        Some(key) if key.is_query_param => ("query", key.name.to_string()),
        Some(key) => ("header", key.name.to_string()),
        None => ("header", "X-API-Key".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(sets: &[&[AuthType]]) -> Operation {
        let auth_sets = sets.iter().map(|set| set.iter().copied().collect()).collect();
        Operation { auth_sets, ..Operation::default() }
    }

    #[test]
    fn sets_of_types_are_alternatives() {
        let mut schemes = Schemes::default();
        assert_eq!(schemes.require(&operation(&[])), None);
        assert_eq!(schemes.require(&operation(&[&[]])), Some(json!([])));
        let both = operation(&[&[AuthType::Bearer, AuthType::ApiKey], &[AuthType::Basic], &[]]);
        assert_eq!(schemes.require(&both), Some(json!([{}, {"apiKey": [], "bearer": []}, {"basic": []}])));
        assert!(!schemes.is_newer());
        let written = schemes.written().unwrap();
        assert_eq!(written["apiKey"], json!({"type": "apiKey", "in": "header", "name": "X-API-Key"}));
        let mut schemes = Schemes::default();
        schemes.require(&operation(&[&[AuthType::Mtls]]));
        assert!(schemes.is_newer());
    }
}

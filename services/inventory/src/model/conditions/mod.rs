mod rule;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use portolan_api::Error;
use portolan_ids::CollectionId;
pub use rule::{Condition, ENDPOINTS_MAX, Operator, Seen, Written, endpoint_named, method};
use serde_json::Value;

use crate::model::{conditions::rule::Rule, endpoints::EndpointId, text::too_long};

/// Conditions of one group.
const CONDITIONS_MAX: usize = 100;

/// Those among them that hold a pattern.
const PATTERNS_MAX: usize = 20;

/// Lists of conditions that are kept understood…
const KEPT_MAX: usize = 1_000;

/// … and the memory of them.
const KEPT_BYTES_MAX: usize = 128 << 20;

/// Which endpoints a group shows: all conditions of AND must hold, and one of those of OR if there are any. Without
/// conditions none is shown. Endpoints that were added by hand are shown beside these, whatever the others select.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    list: Vec<Condition>,
}

impl Conditions {
    /// Understands conditions, of which `within` bounds those that can match more than they name.
    ///
    /// # Errors
    /// `LIST_TOO_LONG`, `CONDITION_INVALID`, `PATTERN_INVALID`.
    pub fn parse(written: Vec<Written>) -> Result<Self, Error> {
        if written.len() > CONDITIONS_MAX {
            return Err(too_long("conditions", CONDITIONS_MAX));
        }
        let read = |(index, written): (usize, Written)| Condition::parse(index + 1, written);
        let patterns = written.iter().filter(|written| written.kind.ends_with("REGEX")).count();
        if patterns > PATTERNS_MAX {
            return Err(too_long("conditions with patterns", PATTERNS_MAX));
        }
        Ok(Self { list: written.into_iter().enumerate().map(read).collect::<Result<_, Error>>()? })
    }

    /// How many of them hold a pattern, and the memory of these.
    pub fn patterns(&self) -> (usize, usize) {
        let patterns = self.list.iter().filter_map(Condition::pattern);
        patterns.fold((0, 0), |(count, bytes), pattern| (count + 1, bytes + pattern.bytes()))
    }

    /// Stored conditions, understood once for as long as they stay in memory. One that cannot be understood matches nothing,
    /// so that a group shows less and never more than it was meant to; see [`Conditions::unreadable`].
    pub fn stored(json: &str) -> Arc<Self> {
        static KEPT: LazyLock<Mutex<HashMap<String, Arc<Conditions>>>> = LazyLock::new(Mutex::default);
        let lock = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(json) {
            return known.clone();
        }
        let conditions = Arc::new(Self::parse_stored(json));
        for reason in conditions.unreadable() {
            tracing::warn!(reason, "a stored condition of a group is skipped");
        }
        // The text, and what it says, which takes some three times as much.
        let bytes_of = |text: &str, known: &Self| 4 * text.len() + known.patterns().1;
        let mut kept = lock();
        let bytes: usize = kept.iter().map(|(text, known)| bytes_of(text, known)).sum();
        if kept.len() >= KEPT_MAX || bytes + bytes_of(json, &conditions) > KEPT_BYTES_MAX {
            kept.clear();
        }
        kept.insert(json.to_owned(), conditions.clone());
        conditions
    }

    fn parse_stored(json: &str) -> Self {
        let entries: Vec<Value> = match serde_json::from_str(json) {
            // The list of what was added by hand is stored beside as many conditions as a caller may write.
            Ok(Value::Array(entries))
                if entries.iter().filter(|entry| entry["byHand"] != true).count() <= CONDITIONS_MAX =>
            {
                entries
            }
            Ok(Value::Array(entries)) => {
                let reason = format!("{} conditions are stored, of at most {CONDITIONS_MAX}", entries.len());
                return Self { list: vec![Condition::unreadable(Written::default(), reason)] };
            }
            Ok(_) => return Self { list: vec![Condition::unreadable(Written::default(), "not a list".to_owned())] },
            Err(error) => return Self { list: vec![Condition::unreadable(Written::default(), error.to_string())] },
        };
        let read = |(index, entry): (usize, Value)| match serde_json::from_value::<Written>(entry.clone()) {
            Ok(written) => Condition::parse(index + 1, written.clone())
                .unwrap_or_else(|error| Condition::unreadable(written, error.to_string())),
            Err(error) => Condition::unreadable(
                Written { data: entry, ..Written::default() },
                format!("Condition {}: {error}", index + 1),
            ),
        };
        Self { list: entries.into_iter().enumerate().map(read).collect() }
    }

    /// Why each of the conditions that are not understood is skipped.
    pub fn unreadable(&self) -> impl Iterator<Item = &str> {
        self.list.iter().filter_map(|condition| match &condition.rule {
            Rule::Unreadable(unreadable) => Some(unreadable.reason.as_str()),
            _ => None,
        })
    }

    /// The form in which they are stored and answered.
    pub fn written(&self) -> Vec<Written> {
        self.list.iter().map(Condition::written).collect()
    }

    /// Whether there is none: nothing is selected then.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// As they are stored.
    pub fn to_json(&self) -> String {
        // Texts and numbers always serialize.
        serde_json::to_string(&self.written()).unwrap_or_else(|_| "[]".to_owned())
    }

    /// Whether they select an endpoint.
    pub fn matches(&self, seen: &Seen<'_>) -> bool {
        if self.list.iter().any(|condition| condition.by_hand && condition.matches(seen)) {
            return true;
        }
        let selecting = || self.list.iter().filter(|condition| !condition.by_hand);
        let of = |operator| selecting().filter(move |condition| condition.operator == operator);
        selecting().next().is_some()
            && of(Operator::And).all(|condition| condition.matches(seen))
            && (of(Operator::Or).next().is_none() || of(Operator::Or).any(|condition| condition.matches(seen)))
    }

    /// Adds single endpoints beside what the conditions select.
    ///
    /// # Errors
    /// `LIST_TOO_LONG`.
    pub fn add_endpoints(&mut self, added: impl IntoIterator<Item = EndpointId>) -> Result<(), Error> {
        let mut endpoints = self.by_hand();
        endpoints.extend(added);
        if endpoints.len() > ENDPOINTS_MAX {
            return Err(too_long("apiList", ENDPOINTS_MAX));
        }
        self.set_by_hand(endpoints);
        Ok(())
    }

    /// Takes single endpoints out: what was added by hand, and otherwise what a condition names; says whether any went.
    pub fn remove_endpoints(&mut self, removed: &BTreeSet<EndpointId>) -> bool {
        let by_hand = self.by_hand();
        let (kept, gone): (BTreeSet<_>, BTreeSet<_>) = by_hand.into_iter().partition(|id| !removed.contains(id));
        self.set_by_hand(kept);
        self.retain_endpoints(|id| gone.contains(id) || !removed.contains(id)) || !gone.is_empty()
    }

    /// Recognizes a list of `known` that was added by hand in conditions that a caller read and writes again.
    pub fn keep_by_hand(&mut self, known: &Self) {
        let by_hand = known.by_hand();
        let added = |condition: &&mut Condition| match &condition.rule {
            Rule::Custom(endpoints) => {
                condition.operator == Operator::Or && !endpoints.is_empty() && endpoints.is_subset(&by_hand)
            }
            _ => false,
        };
        // Answers name it last.
        if let Some(condition) = self.list.iter_mut().rev().find(added) {
            condition.by_hand = true;
        }
    }

    fn by_hand(&self) -> BTreeSet<EndpointId> {
        let read = |condition: &Condition| match &condition.rule {
            Rule::Custom(endpoints) if condition.by_hand => Some(endpoints.clone()),
            _ => None,
        };
        self.list.iter().find_map(read).unwrap_or_default()
    }

    fn set_by_hand(&mut self, endpoints: BTreeSet<EndpointId>) {
        self.list.retain(|condition| !condition.by_hand);
        if !endpoints.is_empty() {
            let rule = Rule::Custom(endpoints);
            self.list.push(Condition { operator: Operator::Or, rule, within: None, by_hand: true });
        }
    }

    /// Leaves only endpoints that `keep` accepts in the lists of single endpoints; says whether any went.
    pub fn retain_endpoints(&mut self, keep: impl Fn(&EndpointId) -> bool) -> bool {
        let mut changed = false;
        for condition in &mut self.list {
            if let Rule::Custom(endpoints) = &mut condition.rule {
                let before = endpoints.len();
                endpoints.retain(&keep);
                changed |= endpoints.len() != before;
            }
        }
        changed
    }

    /// Puts in the place of each single endpoint what it became: `became` names the URLs, and whether the endpoint itself
    /// is gone. Says whether any list changed; a full list takes in no more.
    pub fn follow<'m>(&mut self, became: impl Fn(&EndpointId) -> Option<(&'m BTreeSet<String>, bool)>) -> bool {
        let mut changed = false;
        for condition in &mut self.list {
            let Rule::Custom(endpoints) = &mut condition.rule else { continue };
            let moved: Vec<_> = endpoints.iter().filter_map(|id| Some((id.clone(), became(id)?))).collect();
            changed |= !moved.is_empty();
            for (id, (urls, is_gone)) in moved {
                if is_gone {
                    endpoints.remove(&id);
                }
                let room = ENDPOINTS_MAX.saturating_sub(endpoints.len());
                endpoints.extend(urls.iter().take(room).map(|url| EndpointId { url: url.clone(), ..id.clone() }));
            }
        }
        changed
    }

    /// Bounds every condition to the collections that its writer sees.
    pub fn bound(&mut self, collection_ids: &[CollectionId]) {
        for condition in &mut self.list {
            condition.within = Some(collection_ids.iter().copied().collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use portolan_api::Reason;
    use portolan_engine::{AccessType, AuthType};
    use serde_json::json;

    use super::*;
    use crate::model::collections::Tag;

    fn parse(conditions: Value) -> Result<Conditions, Error> {
        Conditions::parse(serde_json::from_value(conditions).unwrap())
    }

    fn refusal(condition: Value) -> Reason {
        parse(json!([condition])).unwrap_err().reason()
    }

    fn matches(conditions: Value, url: &str, method: &str) -> bool {
        let id = EndpointId { collection_id: CollectionId(5), url: url.into(), method: method.into() };
        let tag =
            |key: &str, value: &str| Tag { key_name: key.into(), value: value.into(), source: None, updated_at: 0 };
        let seen = Seen {
            id: &id,
            host_name: Some("api.example.com"),
            tags: &[tag("envType", "STAGING")],
            endpoint_tags: vec![tag("tag", "Billing")],
            auth: BTreeSet::from([AuthType::Jwt]),
            access: BTreeSet::from([AccessType::Public, AccessType::ThirdParty]),
        };
        let conditions = parse(conditions).unwrap();
        let again = Conditions::stored(&conditions.to_json());
        assert_eq!(again.matches(&seen), conditions.matches(&seen));
        conditions.matches(&seen)
    }

    #[test]
    fn each_type_matches_what_it_says() {
        let one = |kind: &str, data: Value| json!([{"type": kind, "operator": "AND", "data": data}]);
        for (kind, data, expected) in [
            ("CUSTOM", json!({"apiList": [{"apiCollectionId": 5, "url": "/pay/INTEGER", "method": "post"}]}), true),
            ("CUSTOM", json!({"apiList": [{"apiCollectionId": 6, "url": "/pay/INTEGER", "method": "POST"}]}), false),
            ("CUSTOM", json!({"apiList": []}), false),
            ("METHOD", json!({"method": "POST"}), true),
            ("METHOD", json!({"method": "GET"}), false),
            ("REGEX", json!({"regex": "pay"}), true),
            ("REGEX", json!({"regex": "^pay"}), false),
            ("HOST_REGEX", json!({"host_regex": "example\\.com$"}), true),
            ("HOST_REGEX", json!({"host_regex": "example.org"}), false),
            ("TAGS", json!({"query": "ENV=stag"}), true),
            ("TAGS", json!({"query": "staging"}), true),
            ("TAGS", json!({"query": "stag=env"}), false),
            ("API_TAGS", json!({"query": "staging"}), false),
            ("API_TAGS", json!({"query": "bill"}), true),
            ("API_TAGS", json!({"query": "tag=billing"}), true),
            ("TAGS", json!({"query": "bill"}), false),
            ("AUTH_TYPE", json!({"authTypes": ["BEARER", "JWT"]}), true),
            ("AUTH_TYPE", json!({"authTypes": []}), false),
            ("API_ACCESS_TYPES", json!({"apiAccessTypes": ["PUBLIC"]}), true),
            ("API_ACCESS_TYPES", json!({"apiAccessTypes": ["THIRD_PARTY"]}), false),
            ("API_ACCESS_TYPES", json!({"apiAccessTypes": ["THIRD_PARTY", "PARTNER"]}), true),
        ] {
            assert_eq!(matches(one(kind, data.clone()), "/pay/INTEGER", "POST"), expected, "{kind} {data}");
        }
    }

    #[test]
    fn and_and_or_combine() {
        let condition =
            |operator: &str, method: &str| json!({"type": "METHOD", "operator": operator, "data": {"method": method}});
        let pay = json!({"type": "REGEX", "operator": "AND", "data": {"regex": "/pay"}});
        assert!(!matches(json!([]), "/pay", "GET"));
        assert!(matches(json!([pay, condition("OR", "GET"), condition("OR", "PUT")]), "/pay", "PUT"));
        assert!(!matches(json!([pay, condition("OR", "GET"), condition("OR", "PUT")]), "/pay", "POST"));
        assert!(!matches(json!([pay, condition("OR", "GET")]), "/books", "GET"));
        assert!(!matches(json!([condition("AND", "GET"), condition("AND", "PUT")]), "/pay", "GET"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for condition in [
            json!({"type": "MAGIC", "operator": "AND", "data": {}}),
            json!({"type": "ALL", "operator": "AND", "data": {}}),
            json!({"type": "METHOD", "operator": "XOR", "data": {"method": "GET"}}),
            json!({"type": "METHOD", "operator": "and", "data": {"method": "GET"}}),
            json!({"type": "METHOD", "operator": "AND", "data": {"method": "FETCH"}}),
            json!({"type": "METHOD", "operator": "AND", "data": {"methods": "GET"}}),
            json!({"type": "METHOD", "operator": "AND", "data": "GET"}),
            json!({"type": "CUSTOM", "operator": "AND", "data": {"apiList": [{"url": "/a", "method": "GET"}]}}),
            json!({"type": "CUSTOM", "operator": "AND", "data": {"apiList": 7}}),
            json!({"type": "AUTH_TYPE", "operator": "AND", "data": {"authTypes": ["MAGIC"]}}),
            json!({"type": "API_ACCESS_TYPES", "operator": "AND", "data": {"apiAccessTypes": [1]}}),
            json!({"type": "TAGS", "operator": "AND", "data": {"query": ""}}),
        ] {
            assert_eq!(refusal(condition.clone()), Reason::ConditionInvalid, "{condition}");
        }
        for pattern in ["(", "(a{1000}){1000}", "(?=a)"] {
            let condition = json!({"type": "REGEX", "operator": "AND", "data": {"regex": pattern}});
            assert_eq!(refusal(condition), Reason::PatternInvalid, "{pattern}");
        }
        assert_eq!(
            parse(json!(vec![json!({"type": "", "operator": ""}); 101])).unwrap_err().reason(),
            Reason::ListTooLong
        );
        let patterns =
            json!(vec![json!({"type": "REGEX", "operator": "OR", "data": {"regex": "a"}}); PATTERNS_MAX + 1]);
        assert_eq!(parse(patterns).unwrap_err().reason(), Reason::ListTooLong);
    }

    #[test]
    fn what_is_stored_and_not_understood_matches_nothing() {
        let id = EndpointId { collection_id: CollectionId(5), url: "/a".into(), method: "GET".into() };
        let seen = Seen {
            id: &id,
            host_name: None,
            tags: &[],
            endpoint_tags: Vec::new(),
            auth: BTreeSet::new(),
            access: BTreeSet::new(),
        };
        let get = r#"{"type":"METHOD","operator":"OR","data":{"method":"GET"}}"#;
        let older = r#"{"kind":"METHOD","method":"GET"}"#;
        let fetch = r#"{"type":"METHOD","operator":"OR","data":{"method":"FETCH"}}"#;
        let lone =
            r#"{"type":"CUSTOM","operator":"AND","data":{"apiList":[{"apiCollectionId":5,"url":"","method":"GET"}]}}"#;
        let many = format!("[{}]", vec![get; CONDITIONS_MAX + 1].join(","));
        for (stored, shown) in [
            (format!("[{get},{fetch}]"), true),
            (format!("[{get},{older}]"), false),
            (format!("[{get},{lone}]"), false),
            (format!("[{get}"), false),
            ("{}".to_owned(), false),
            (many, false),
        ] {
            let conditions = Conditions::stored(&stored);
            assert_eq!(conditions.unreadable().count(), 1, "{stored}");
            assert_eq!(conditions.matches(&seen), shown, "{stored}");
            assert_eq!(Conditions::stored(&conditions.to_json()).unreadable().count(), 1, "kept as it is: {stored}");
        }
    }

    #[test]
    fn as_many_conditions_as_can_be_written_leave_room_for_additions() {
        let post = json!({"type": "METHOD", "operator": "AND", "data": {"method": "POST"}});
        let mut conditions = parse(json!(vec![post; CONDITIONS_MAX])).unwrap();
        let written = conditions.written();
        let added = EndpointId { collection_id: CollectionId(5), url: "/a".into(), method: "GET".into() };
        conditions.add_endpoints([added.clone()]).unwrap();
        let mut stored = Conditions::parse_stored(&conditions.to_json());
        assert_eq!(stored.unreadable().count(), 0);
        assert_eq!(stored.by_hand(), BTreeSet::from([added.clone()]));
        assert!(stored.remove_endpoints(&BTreeSet::from([added])));
        assert_eq!(stored.written(), written);
    }

    #[test]
    fn bounds_hold_whatever_the_rule() {
        let mut conditions = parse(json!([{"type": "REGEX", "operator": "OR", "data": {"regex": "."}}])).unwrap();
        conditions.bound(&[CollectionId(6)]);
        let id = EndpointId { collection_id: CollectionId(5), url: "/a".into(), method: "GET".into() };
        let seen = |id| Seen {
            id,
            host_name: None,
            tags: &[],
            endpoint_tags: Vec::new(),
            auth: BTreeSet::new(),
            access: BTreeSet::new(),
        };
        assert!(!conditions.matches(&seen(&id)));
        let id = EndpointId { collection_id: CollectionId(6), url: "/a".into(), method: "GET".into() };
        assert!(conditions.matches(&seen(&id)));
        assert!(Conditions::stored(&conditions.to_json()).matches(&seen(&id)));
    }
}

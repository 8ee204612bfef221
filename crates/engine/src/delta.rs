use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::facts::{DeclaredFacts, Facts, least};
use crate::sighting::{PARAMETERS_MAX, ParameterKey, Sighting, VALUES_MAX, compared_names};
use crate::template::{BodyNames, RawEndpoint};
use crate::{Method, Observation, SubType};

/// What a number of records say of one raw URL and method. Adding up is commutative and associative, so batches can be
/// made and joined in any way.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointDelta {
    /// The method of every call in it.
    pub method: Method,
    /// The URL as it was called, without query.
    pub raw_url: String,
    /// Whether any record proves the endpoint.
    pub proven: bool,
    /// Unix seconds of the oldest record.
    pub first_seen: i64,
    /// Unix seconds of the newest record.
    pub last_seen: i64,
    /// What its records show of the endpoint itself.
    pub facts: Facts,
    /// Its parameters, each with what was seen of it.
    pub parameters: BTreeMap<ParameterKey, Aggregate>,
}

/// What is known of one parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Aggregate {
    /// Number of records that showed the parameter.
    pub count: u64,
    /// Unix seconds.
    pub first_seen: i64,
    /// Unix seconds.
    pub last_seen: i64,
    /// Values that were seen, up to a bound.
    pub values: Values,
    /// The smallest number that was seen.
    pub min: Option<i64>,
    /// The largest number that was seen.
    pub max: Option<i64>,
    /// A value was sensitive where it stood.
    pub sensitive: bool,
}

/// The distinct values of a parameter, as long as they are few.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Values {
    /// Fewer than [`VALUES_MAX`].
    Few(BTreeSet<CompactString>),
    /// As many or more; which ones is no longer known.
    Many,
}

/// What a parameter's values look like as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the documented domain of its name")]
pub enum Domain {
    Enum,
    Range,
    Any,
}

impl EndpointDelta {
    /// The delta of one call.
    pub fn new(observation: Observation) -> Self {
        let mut delta = Self {
            method: observation.method,
            raw_url: observation.raw_url.clone(),
            proven: false,
            first_seen: observation.time,
            last_seen: observation.time,
            facts: Facts::default(),
            parameters: BTreeMap::new(),
        };
        delta.fold(observation);
        delta
    }

    /// Adds an observation of the same raw URL and method.
    pub fn fold(&mut self, observation: Observation) {
        let time = observation.time;
        self.first_seen = self.first_seen.min(time);
        self.last_seen = self.last_seen.max(time);
        self.proven |= observation.proves_endpoint;
        let facts = &mut self.facts;
        facts.declared |= observation.declared;
        if observation.declared {
            facts.declared_codes.extend(observation.declared_codes);
            facts.add_addresses(observation.addresses);
            let declared = DeclaredFacts {
                time,
                description: observation.description,
                deprecated: observation.deprecated,
                tags: observation.tags,
                variables: observation.variables,
            };
            facts.declaration = facts.declaration.take().max(Some(declared));
        } else {
            *facts.status_counts.entry(observation.status_code).or_default() += 1;
        }
        facts.note_source(observation.source, time);
        if observation.proves_endpoint {
            facts.discovered = Some(facts.discovered.map_or(time, |discovered| discovered.min(time)));
            facts.add_hosts(observation.host);
            facts.auth_sets.extend(observation.auth_sets);
            facts.api_types.insert(observation.api_type);
            facts.kinds.insert(observation.kind);
        }
        for sighting in observation.parameters {
            let Sighting { key, value, number, sensitive, repeats } = sighting;
            let fresh = || Aggregate {
                count: 0,
                first_seen: time,
                last_seen: time,
                values: Values::Few(BTreeSet::new()),
                min: None,
                max: None,
                sensitive: false,
            };
            let aggregate = self.parameters.entry(key).or_insert_with(fresh);
            aggregate.count += u64::from(!repeats);
            aggregate.first_seen = aggregate.first_seen.min(time);
            aggregate.last_seen = aggregate.last_seen.max(time);
            aggregate.sensitive |= sensitive;
            aggregate.min = least(aggregate.min, number);
            aggregate.max = aggregate.max.max(number);
            if let Some(value) = value {
                aggregate.values.add(value);
            }
        }
        self.limit_parameters();
    }

    /// Adds what other records say of the same raw URL and method.
    pub fn merge(&mut self, other: Self) {
        self.proven |= other.proven;
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.facts.merge(other.facts);
        for (key, aggregate) in other.parameters {
            match self.parameters.entry(key) {
                std::collections::btree_map::Entry::Vacant(place) => _ = place.insert(aggregate),
                std::collections::btree_map::Entry::Occupied(mut known) => known.get_mut().merge(aggregate),
            }
        }
        self.limit_parameters();
    }

    /// What the catalog of templates has to know of it.
    pub fn raw_endpoint(&self) -> RawEndpoint {
        let mut bodies = BodyNames::default();
        for code in self.facts.status_counts.keys().filter(|code| matches!(**code, 101 | 200..300 | 302)) {
            bodies.add_code(*code);
        }
        compared_names(self.parameters.keys(), &mut bodies);
        RawEndpoint {
            method: self.method,
            url: self.raw_url.clone(),
            pinned: self.facts.declared,
            addresses: self.facts.addresses.clone(),
            proven: self.proven,
            never_merge: self.facts.never_merge,
            bodies,
        }
    }

    /// Keeps the parameters with the smallest names of each part of a message. What is dropped here would be dropped
    /// after every other order as well.
    fn limit_parameters(&mut self) {
        if self.parameters.len() <= PARAMETERS_MAX {
            return;
        }
        let mut part = None;
        let mut count = 0;
        self.parameters.retain(|key, _| {
            if part != Some(key.part()) {
                part = Some(key.part());
                count = 0;
            }
            count += 1;
            count <= PARAMETERS_MAX
        });
    }
}

impl Aggregate {
    /// Keeps how often and since when it was seen, and no value.
    pub fn forget_values(&mut self) {
        self.values = Values::Few(BTreeSet::new());
        (self.min, self.max) = (None, None);
    }

    /// Adds what other records say of the same parameter.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.min = least(self.min, other.min);
        self.max = self.max.max(other.max);
        self.sensitive |= other.sensitive;
        match (&mut self.values, other.values) {
            (Values::Few(_), Values::Few(values)) => values.into_iter().for_each(|value| self.values.add(value)),
            (values, _) => *values = Values::Many,
        }
    }

    /// What the values seen so far say of those to come.
    pub fn domain(&self, sub_type: SubType) -> Domain {
        match self.values {
            Values::Few(_) => Domain::Enum,
            Values::Many if sub_type.is_numeric() => Domain::Range,
            Values::Many => Domain::Any,
        }
    }
}

impl Values {
    /// Takes in one value; beyond the bound all that is known is that they are many.
    pub fn add(&mut self, value: impl Into<CompactString>) {
        if let Self::Few(values) = self {
            values.insert(value.into());
            if values.len() >= VALUES_MAX {
                *self = Self::Many;
            }
        }
    }

    /// The values; none when they are too many.
    pub fn list(&self) -> impl Iterator<Item = &str> {
        let few = match self {
            Self::Few(values) => Some(values),
            Self::Many => None,
        };
        few.into_iter().flatten().map(CompactString::as_str)
    }
}

impl Domain {
    /// As the contract spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enum => "ENUM",
            Self::Range => "RANGE",
            Self::Any => "ANY",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Detectors, Verdict, observe};
    use portolan_record::{Declaration, Record};
    use proptest::prelude::*;

    fn observation() -> impl Strategy<Value = Observation> {
        let record =
            (0i64..5, prop::sample::select(vec![200, 201, 302, 404]), 0u32..90, 0u8..3, prop::bool::weighted(0.1));
        record.prop_map(|(time, status_code, number, kind, is_declared)| {
            let payload = match kind {
                0 => format!(r#"{{"n":{number},"list":[{number},{time}]}}"#),
                1 => format!(r#"{{"n":"v{number}","ip":"127.0.0.{time}"}}"#),
                _ => format!(r#"{{"n":{number}.5,"ip":"8.8.8.{time}"}}"#),
            };
            let declaration = is_declared
                .then(|| Box::new(Declaration { summary: Some(format!("s{number}")), ..Declaration::default() }));
            let record = Record {
                method: "GET".into(),
                path: "/a".into(),
                time,
                status_code,
                declaration,
                request_headers: format!(r#"{{"host":"h{kind}","x-api-key":"{number}"}}"#).into(),
                response_payload: payload.into(),
                ..Record::default()
            };
            match observe(&record, &Detectors::default()) {
                Verdict::Seen(mut list) => list.remove(0),
                Verdict::Dropped(_) => unreachable!("calls of GET are seen"),
            }
        })
    }

    fn folded(observations: &[Observation]) -> Option<EndpointDelta> {
        let (first, rest) = observations.split_first()?;
        let mut delta = EndpointDelta::new(first.clone());
        rest.iter().cloned().for_each(|observation| delta.fold(observation));
        Some(delta)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn order_and_batches_do_not_matter(
            (all, shuffled) in prop::collection::vec(observation(), 1..150)
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
            cuts in prop::collection::vec(0usize..150, 0..4),
        ) {
            let whole = folded(&all).unwrap();
            prop_assert!(whole.parameters.values().all(|known| known.count > 0));
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(shuffled.len())).collect();
            cuts.extend([0, shuffled.len()]);
            cuts.sort_unstable();
            let batches = cuts.windows(2).filter_map(|cut| folded(&shuffled[cut[0]..cut[1]]));
            let joined = batches.reduce(|mut left, right| {
                left.merge(right);
                left
            });
            prop_assert_eq!(joined.unwrap(), whole);
        }
    }

    #[test]
    fn many_values_become_a_range() {
        let mut values = Values::Few(BTreeSet::new());
        (0..VALUES_MAX - 1).for_each(|value| values.add(value.to_string()));
        assert_eq!(values.list().count(), VALUES_MAX - 1);
        values.add("0".to_string());
        assert!(matches!(values, Values::Few(_)));
        values.add("x".to_string());
        assert_eq!(values, Values::Many);
        let aggregate =
            Aggregate { count: 1, first_seen: 0, last_seen: 0, values, min: Some(0), max: Some(48), sensitive: false };
        assert_eq!(aggregate.domain(SubType::Integer32), Domain::Range);
        assert_eq!(aggregate.domain(SubType::Uuid), Domain::Any);
    }
}

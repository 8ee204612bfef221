//! What users ask AI agents, by agent and device.

use std::collections::{BTreeMap, HashMap};

/// Why a text is harmful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Harm {
    /// What kind of harm it is.
    pub category: &'static str,
    /// Why it was found.
    pub reason: &'static str,
}

/// A record that counts.
#[derive(Clone, Debug)]
pub struct Query {
    /// Tells queries of the account apart.
    pub id: String,
    /// Which agent was asked.
    pub agent_id: String,
    /// From which device.
    pub device_id: String,
    /// Who asked.
    pub user_name: String,
    /// Unix milliseconds.
    pub time: i64,
    /// Of the query.
    pub input_tokens: i64,
    /// Of the answer.
    pub output_tokens: i64,
    /// What it is about.
    pub topic: String,
    /// More closely.
    pub sub_topic: String,
    /// What is harmful in it.
    pub harm: Option<Harm>,
}

/// What is known of an agent on a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Analysis {
    /// Which agent was asked.
    pub agent_id: String,
    /// From which device.
    pub device_id: String,
    /// Of the latest query.
    pub user_name: String,
    /// Of all queries.
    pub input_tokens: i64,
    /// Of all answers.
    pub output_tokens: i64,
    /// How many there were.
    pub queries: i64,
    /// Unix milliseconds.
    pub last_query_at: i64,
    /// Queries by topic and sub-topic.
    pub topics: BTreeMap<String, BTreeMap<String, i64>>,
    /// Harmful queries by category.
    pub harms: BTreeMap<String, SeenHarm>,
}

/// Harmful queries of one category.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenHarm {
    /// How many there were.
    pub queries: i64,
    /// Unix milliseconds.
    pub last_seen_at: i64,
    /// Why the last one was found.
    pub last_reason: String,
}

impl Analysis {
    /// A sentence on what is asked most.
    pub fn summary(&self) -> String {
        let mut topics: Vec<_> = self.topics.iter().map(|(name, subs)| (subs.values().sum::<i64>(), name)).collect();
        topics.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let named: Vec<_> = topics.iter().take(3).map(|(queries, name)| format!("{name} ({queries})")).collect();
        let harmful: i64 = self.harms.values().map(|harm| harm.queries).sum();
        let queries = if self.queries == 1 { "query" } else { "queries" };
        let mut summary = format!("{} {queries}, mostly about {}.", self.queries, named.join(", "));
        if harmful > 0 {
            summary.push_str(&format!(" {harmful} of them look harmful."));
        }
        summary
    }
}

/// What new records add to one agent on one device.
#[derive(Default)]
pub(crate) struct Addition<'q> {
    /// Of these queries.
    pub input_tokens: i64,
    /// Of their answers.
    pub output_tokens: i64,
    /// How many there are.
    pub queries: i64,
    /// The last of them.
    pub latest: Option<&'q Query>,
    /// Queries by topic and sub-topic.
    pub topics: BTreeMap<(&'q str, &'q str), i64>,
    /// Harmful queries by category.
    pub harms: BTreeMap<&'static str, HarmCount<'q>>,
}

/// Number of queries of a harmful category, and the latest of them with its reason.
pub(crate) type HarmCount<'q> = (i64, Option<(&'q Query, &'static str)>);

/// Sums by agent and device, sorted.
pub(crate) fn additions<'q>(queries: impl Iterator<Item = &'q Query>) -> BTreeMap<(&'q str, &'q str), Addition<'q>> {
    let mut additions: HashMap<(&str, &str), Addition<'q>> = HashMap::new();
    for query in queries {
        let addition = additions.entry((&query.agent_id, &query.device_id)).or_default();
        addition.input_tokens += query.input_tokens;
        addition.output_tokens += query.output_tokens;
        addition.queries += 1;
        // Of two at one moment the larger id is the later, whatever order they come in.
        let is_later = |before: &Query| (query.time, &query.id) > (before.time, &before.id);
        if addition.latest.is_none_or(is_later) {
            addition.latest = Some(query);
        }
        *addition.topics.entry((&query.topic, &query.sub_topic)).or_default() += 1;
        if let Some(harm) = query.harm {
            let (count, latest) = addition.harms.entry(harm.category).or_default();
            *count += 1;
            if latest.is_none_or(|(before, _)| is_later(before)) {
                *latest = Some((query, harm.reason));
            }
        }
    }
    additions.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_what_is_asked_most() {
        let subs = |queries| BTreeMap::from([("Code".to_owned(), queries)]);
        let topics = BTreeMap::from([("Data".to_owned(), subs(1)), ("Software".to_owned(), subs(3))]);
        let analysis = Analysis { queries: 4, topics, ..Analysis::default() };
        assert_eq!(analysis.summary(), "4 queries, mostly about Software (3), Data (1).");
    }
}

//! Shadow endpoints: what was asked for at the edge and is in no inventory.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use portolan_engine::{Detectors, template};
use portolan_ids::AccountId;
use portolan_path::StrictPath;
use portolan_runtime::now_s;

use crate::model::edge::{ShadowCount, ShadowKey};

/// Distinct ones between two writes; more are counted together, so that a scan fills no table.
const DISTINCT_MAX: usize = 1_000;
/// Under this path stands what was too much.
const OTHER: &str = "*";

/// Counts since the last write.
#[derive(Default)]
pub struct Shadow {
    seen: Mutex<HashMap<ShadowKey, ShadowCount>>,
    detectors: Detectors,
}

impl Shadow {
    pub(super) fn saw(&self, account_id: Option<AccountId>, host: &str, method: &str, path: &StrictPath<'_>) {
        let url = format!("/{}", path.segments.join("/"));
        let (url, _) = template::shape(&url, &self.detectors);
        let known_method = method.len() <= 16 && method.bytes().all(|byte| byte.is_ascii_uppercase());
        let mut key = ShadowKey {
            account_id: account_id.unwrap_or_default(),
            host: host.to_owned(),
            method: if known_method { method } else { OTHER }.to_owned(),
            path: url.chars().take(500).collect(),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= DISTINCT_MAX && !seen.contains_key(&key) {
            let named = if account_id.is_some() { key.host } else { OTHER.to_owned() };
            key = ShadowKey { host: named, method: OTHER.to_owned(), path: OTHER.to_owned(), ..key };
        }
        let count = seen.entry(key).or_insert(ShadowCount { calls: 0, last_seen: 0 });
        count.calls += 1;
        count.last_seen = now_s();
    }

    /// What was counted, and nothing is counted any more.
    pub fn take(&self) -> HashMap<ShadowKey, ShadowCount> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts back what could not be written.
    pub fn put_back(&self, counts: HashMap<ShadowKey, ShadowCount>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, count) in counts {
            let mine = seen.entry(key).or_insert(ShadowCount { calls: 0, last_seen: 0 });
            mine.calls += count.calls;
            mine.last_seen = mine.last_seen.max(count.last_seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_not_told_apart_and_a_scan_is_bounded() {
        let shadow = Shadow::default();
        for id in 0..50 {
            let path = format!("/users/{id}");
            shadow.saw(Some(AccountId(1)), "a.example", "GET", &StrictPath::parse(&path).unwrap());
        }
        let seen = shadow.take();
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(seen.values().next().unwrap().calls, 50);
        let word = |n: usize| (0..6).map(|i| char::from(b'a' + ((n >> (i * 4)) & 15) as u8)).collect::<String>();
        for n in 0..5_000 {
            shadow.saw(Some(AccountId(1)), "a.example", "GET", &StrictPath::parse(&format!("/{}", word(n))).unwrap());
        }
        let seen = shadow.take();
        assert_eq!(seen.len(), DISTINCT_MAX + 1);
        assert_eq!(seen.values().map(|count| count.calls).sum::<i64>(), 5_000);
    }
}

use std::{
    borrow::Borrow,
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::Arc,
};

use portolan_api::Error;
use tokio::sync::OnceCell;

use super::{kept::Kept, rule, times::NEAR_NS};

/// Copies of one kind.
const ENTRIES_MAX: usize = 20_000;
/// What they may weigh together.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// A read that is under way or has ended.
pub(super) struct Flight<V> {
    number: u64,
    pub landed: OnceCell<Landed<V>>,
}

/// What a read found, and when it began.
pub(super) struct Landed<V> {
    pub began_ns: u64,
    pub outcome: Result<V, Error>,
}

/// The reads of the last moments, the oldest first to go.
pub(super) struct Shelf<K, V> {
    held: HashMap<K, Held<V>>,
    /// In the order in which they came; those that were replaced or forgotten meanwhile are passed over.
    order: VecDeque<Arrival<K>>,
    bytes: usize,
    next_number: u64,
}

struct Held<V> {
    flight: Arc<Flight<V>>,
    bytes: usize,
    names: Vec<String>,
}

struct Arrival<K> {
    key: K,
    number: u64,
    came_ns: u64,
}

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self { held: HashMap::new(), order: VecDeque::new(), bytes: 0, next_number: 0 }
    }
}

impl<K: Hash + Eq + Clone, V> Shelf<K, V> {
    pub fn get<Q: ?Sized + Hash + Eq>(&self, key: &Q) -> Option<&Arc<Flight<V>>>
    where
        K: Borrow<Q>,
    {
        self.held.get(key).map(|held| &held.flight)
    }

    /// A new read of a key, in place of an older one.
    pub fn begin(&mut self, key: K, now_ns: u64) -> Arc<Flight<V>> {
        while self
            .order
            .front()
            .is_some_and(|place| !rule::may_serve(place.came_ns, now_ns, NEAR_NS) || self.order.len() >= ENTRIES_MAX)
        {
            self.drop_oldest();
        }
        let number = self.next_number;
        self.next_number += 1;
        let flight = Arc::new(Flight { number, landed: OnceCell::new() });
        let held = Held { flight: flight.clone(), bytes: 0, names: Vec::new() };
        if let Some(before) = self.held.insert(key.clone(), held) {
            self.bytes -= before.bytes;
        }
        self.order.push_back(Arrival { key, number, came_ns: now_ns });
        flight
    }

    /// Notes what a read found, unless another has taken its place.
    pub fn note<Q: ?Sized + Hash + Eq>(&mut self, key: &Q, flight: &Flight<V>, found: &mut Kept<V>)
    where
        K: Borrow<Q>,
    {
        let Some(held) = self.held.get_mut(key).filter(|held| held.flight.number == flight.number) else { return };
        self.bytes = self.bytes - held.bytes + found.bytes;
        held.bytes = found.bytes;
        held.names = std::mem::take(&mut found.names);
        while self.bytes > BYTES_MAX {
            self.drop_oldest();
        }
    }

    pub fn remove<Q: ?Sized + Hash + Eq>(&mut self, key: &Q, flight: &Flight<V>)
    where
        K: Borrow<Q>,
    {
        if self.held.get(key).is_some_and(|held| held.flight.number == flight.number)
            && let Some(held) = self.held.remove(key)
        {
            self.bytes -= held.bytes;
        }
    }

    /// Drops what has one of these names.
    pub fn forget(&mut self, names: &[&str]) {
        let bytes = &mut self.bytes;
        self.held.retain(|_, held| {
            let stays = !held.names.iter().any(|own| names.contains(&own.as_str()));
            *bytes -= if stays { 0 } else { held.bytes };
            stays
        });
    }

    pub fn clear(&mut self) {
        self.held.clear();
        self.order.clear();
        self.bytes = 0;
    }

    fn drop_oldest(&mut self) {
        let Some(place) = self.order.pop_front() else { return };
        if self.held.get(&place.key).is_some_and(|held| held.flight.number == place.number)
            && let Some(held) = self.held.remove(&place.key)
        {
            self.bytes -= held.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Texts = Shelf<u64, String>;

    fn fill(shelf: &mut Texts, key: u64, now_ns: u64, bytes: usize) {
        let flight = shelf.begin(key, now_ns);
        shelf.note(&key, &flight, &mut Kept { value: String::new(), bytes, names: vec![format!("name-{key}")] });
    }

    #[test]
    fn the_oldest_go_first() {
        let mut shelf = Texts::default();
        let extra = 100;
        for key in 0..(ENTRIES_MAX + extra) as u64 {
            fill(&mut shelf, key, 0, 1);
        }
        assert_eq!((shelf.held.len(), shelf.bytes), (ENTRIES_MAX, ENTRIES_MAX));
        assert!(shelf.get(&(extra as u64 - 1)).is_none() && shelf.get(&(extra as u64)).is_some());

        fill(&mut shelf, 0, 0, BYTES_MAX - 10);
        assert_eq!((shelf.held.len(), shelf.bytes), (11, BYTES_MAX));
        fill(&mut shelf, 1, 0, BYTES_MAX + 1);
        assert_eq!((shelf.held.len(), shelf.bytes, shelf.order.len()), (0, 0, 0), "too large to be kept");
    }

    #[test]
    fn what_is_past_its_time_goes() {
        let mut shelf = Texts::default();
        fill(&mut shelf, 1, 0, 7);
        fill(&mut shelf, 2, NEAR_NS - 1, 7);
        assert!(shelf.get(&1).is_some());
        fill(&mut shelf, 3, NEAR_NS, 7);
        assert!(shelf.get(&1).is_none() && shelf.get(&2).is_some());
        assert_eq!(shelf.bytes, 14);
    }

    #[test]
    fn a_name_is_forgotten_and_a_late_answer_is_not_kept() {
        let mut shelf = Texts::default();
        for key in 1..4 {
            fill(&mut shelf, key, 0, 5);
        }
        shelf.forget(&["name-1", "name-3"]);
        assert_eq!((shelf.held.len(), shelf.bytes), (1, 5));
        let first = shelf.begin(1, 0);
        let second = shelf.begin(1, 0);
        shelf.note(&1, &first, &mut Kept { value: String::new(), bytes: 9, names: Vec::new() });
        assert_eq!(shelf.bytes, 5);
        shelf.remove(&1, &first);
        assert!(shelf.get(&1).is_some_and(|held| held.number == second.number));
        shelf.clear();
        assert_eq!((shelf.held.len(), shelf.bytes), (0, 0));
    }
}

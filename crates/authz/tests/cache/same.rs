//! The scripts in Redis do what the pure protocol does: random histories step by step over both.

use std::{collections::HashMap, sync::Arc};

use portolan_authz::{Cache, Lease, Lookup, PendingChange, Redis};
use proptest::prelude::*;

use crate::protocol::redis_url;

const KEYS: [&str; 2] = ["a", "b"];
const BASES: [Option<&str>; 3] = [None, Some("r"), Some("s")];

#[derive(Clone, Debug)]
enum Step {
    /// A reader, by number, looks at a key.
    Get {
        reader: usize,
        key: usize,
    },
    Fill {
        reader: usize,
        value: i32,
        basis: usize,
    },
    Begin {
        writer: usize,
        key: usize,
    },
    Finish {
        writer: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, 0..KEYS.len()).prop_map(|(reader, key)| Step::Get { reader, key }),
        4 => (0..3_usize, 0..100, 0..BASES.len()).prop_map(|(reader, value, basis)| Step::Fill { reader, value, basis }),
        1 => (0..2_usize, 0..4_usize).prop_map(|(writer, key)| Step::Begin { writer, key }),
        2 => (0..2_usize).prop_map(|writer| Step::Finish { writer }),
    ]
}

/// One form with what its readers and writers hold.
struct Side {
    cache: Cache<i32>,
    leases: HashMap<usize, Lease<i32>>,
    changes: HashMap<usize, PendingChange>,
}

impl Side {
    fn new(cache: Cache<i32>) -> Self {
        Self { cache, leases: HashMap::new(), changes: HashMap::new() }
    }

    /// What can be seen of a step.
    async fn take(&mut self, step: &Step) -> String {
        match *step {
            Step::Get { reader, key } => match self.cache.get(KEYS[key]).await {
                Lookup::Hit(value) => format!("value {value}"),
                Lookup::Miss(None) => "miss".to_owned(),
                Lookup::Miss(Some(lease)) => {
                    // An older lease of this reader is forgotten, as when the reader died.
                    if let Some(older) = self.leases.insert(reader, lease) {
                        std::mem::forget(older);
                    }
                    "lease".to_owned()
                }
            },
            Step::Fill { reader, value, basis } => {
                if let Some(lease) = self.leases.remove(&reader) {
                    lease.fill_on(Arc::new(value), BASES[basis]).await;
                }
                String::new()
            }
            Step::Begin { writer, key } => {
                let key = [KEYS[0], KEYS[1], "r", "s"][key].to_owned();
                let change = self.cache.begin_change([key]).await.unwrap();
                drop(self.changes.insert(writer, change));
                String::new()
            }
            Step::Finish { writer } => {
                if let Some(change) = self.changes.remove(&writer) {
                    change.finish().await.unwrap();
                }
                String::new()
            }
        }
    }
}

/// The first difference between the two forms. A command that a loaded machine keeps waiting fills nothing, which the
/// protocol allows: then the same steps are taken again on other keys.
async fn difference(url: &str, steps: &[Step]) -> Option<String> {
    let mut difference = None;
    for _ in 0..3 {
        let space: &str = format!("same-{:016x}", rand::random::<u64>()).leak();
        let mut memory = Side::new(Cache::memory());
        let mut redis = Side::new(Cache::redis(Redis::new(url, "test").unwrap(), space));
        difference = None;
        for (at, step) in steps.iter().enumerate() {
            let (expected, found) = (memory.take(step).await, redis.take(step).await);
            if expected != found {
                difference = Some(format!("{expected}, not {found}: step {at} {step:?} of {:?}", &steps[..at]));
                break;
            }
        }
        if difference.is_none() {
            break;
        }
    }
    difference
}

/// A lease that was lost leaves the hint of a basis behind, on which a change then begins: the value that another reader
/// filled without a basis is served all the same.
pub async fn a_change_of_a_basis_that_was_only_expected_hides_nothing() {
    let url = redis_url();
    let steps = [
        Step::Get { reader: 1, key: 1 },
        Step::Begin { writer: 0, key: 1 },
        Step::Finish { writer: 0 },
        Step::Get { reader: 0, key: 1 },
        Step::Fill { reader: 0, value: 7, basis: 0 },
        Step::Fill { reader: 1, value: 8, basis: 1 },
        Step::Begin { writer: 0, key: 2 },
        Step::Get { reader: 0, key: 1 },
    ];
    assert_eq!(difference(&url, &steps).await, None);
}

/// Random histories step by step.
pub fn redis_does_what_the_protocol_says() {
    let url = redis_url();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in prop::collection::vec(step(), 1..40))| {
        let difference = runtime.block_on(difference(&url, &steps));
        prop_assert!(difference.is_none(), "{difference:?}");
    });
}

//! How often endpoints are called: by minute, and by client address.

use std::collections::BTreeMap;

use portolan_authz::Caller;
use portolan_runtime::now_s;
use portolan_store::retrying;

use crate::{
    Deps, Error, access,
    endpoints::raws_of,
    model::{
        calls::{Calls, MINUTES_PER_HOUR, WINDOW_MINUTES},
        endpoints::EndpointId,
    },
    store,
};

/// Hours of raw URLs that one statement forgets.
const FORGOTTEN_AT_ONCE: i64 = 1_000;

/// For how long it is known who called: a thousand addresses every five minutes take far more room than their number.
const ADDRESSES_KEPT_S: i64 = 7 * 24 * 3_600;

/// Times from here on are seconds where minutes are asked for.
const SECONDS_FROM: i64 = 1_000_000_000;

/// The first number of calls of each class of addresses.
const CLASSES: [u64; 11] = [1, 11, 51, 101, 251, 501, 1_001, 2_501, 5_001, 10_001, 20_001];

/// The calls of an endpoint: minute since the epoch to their number, from `start` to `end` in Unix seconds.
///
/// # Errors
/// `COLLECTION_DEACTIVATED`.
pub async fn calls(
    deps: &Deps,
    caller: &Caller,
    id: &EndpointId,
    start: i64,
    end: i64,
) -> Result<BTreeMap<i64, u64>, Error> {
    let end = if end <= 0 { now_s() } else { end };
    let (first, last) = (start.div_euclid(60), end.div_euclid(60));
    let mut counts = BTreeMap::new();
    for (hour, calls) in load(deps, caller, id, first, last).await?.hours {
        for (minute, count) in calls.minutes {
            let minute = hour * MINUTES_PER_HOUR + i64::from(minute);
            if (first..=last).contains(&minute) {
                *counts.entry(minute).or_default() += count;
            }
        }
    }
    Ok(counts)
}

/// How many addresses fell into one class of calls, over the windows that had calls.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// As the contract spells it.
    pub label: String,
    /// By number.
    pub addresses: Vec<u64>,
}

impl Class {
    /// The smallest, largest and the quartiles; nothing when no address was ever in the class.
    pub fn distribution(&self) -> Option<(u64, u64, [f64; 3])> {
        let (first, last) = (*self.addresses.first()?, *self.addresses.last()?);
        if last == 0 {
            return None;
        }
        let quantile = |share: f64| {
            let place = share * (self.addresses.len() - 1) as f64;
            let (low, high) = (place.floor() as usize, place.ceil() as usize);
            let (low, high) = (self.addresses[low] as f64, self.addresses[high] as f64);
            low + (high - low) * place.fract()
        };
        Some((first, last, [quantile(0.25), quantile(0.5), quantile(0.75)]))
    }
}

/// The classes of addresses of an endpoint, from `start` to `end` in minutes since the epoch. Nothing when no address
/// called.
///
/// # Errors
/// `COLLECTION_DEACTIVATED`.
pub async fn classes(deps: &Deps, caller: &Caller, id: &EndpointId, start: i64, end: i64) -> Result<Vec<Class>, Error> {
    let minutes = |time: i64| if time >= SECONDS_FROM { time / 60 } else { time };
    let (first, last) = (minutes(start), if end <= 0 { now_s() / 60 } else { minutes(end) });
    let mut classes: Vec<Class> =
        (0..CLASSES.len()).map(|at| Class { label: label(at), addresses: Vec::new() }).collect();
    let mut windows = 0;
    for (hour, calls) in load(deps, caller, id, first, last).await?.hours {
        for (window, addresses) in calls.addresses {
            let minute = hour * MINUTES_PER_HOUR + i64::from(window);
            if !(first - WINDOW_MINUTES + 1..=last).contains(&minute) {
                continue;
            }
            windows += 1;
            let mut counts = [0; CLASSES.len()];
            for count in addresses.0.values() {
                let class = CLASSES.iter().rposition(|least| least <= count).unwrap_or_default();
                counts[class] += 1;
            }
            classes.iter_mut().zip(counts).for_each(|(class, count)| class.addresses.push(count));
        }
    }
    classes.iter_mut().for_each(|class| class.addresses.sort_unstable());
    Ok(if windows == 0 { Vec::new() } else { classes })
}

/// Forgets the calls of more than the configured days ago, and the addresses of more than a week ago, some at a time, so that nobody waits for long.
///
/// # Errors
/// When the tables cannot be written.
pub async fn forget_old(deps: &Deps) -> Result<u64, Error> {
    let oldest = |kept_s: i64| (now_s() - kept_s).div_euclid(3_600);
    let (calls, addresses) = (oldest(deps.call_stats_s), oldest(deps.call_stats_s.min(ADDRESSES_KEPT_S)));
    let is_more = |some: u64| some >= FORGOTTEN_AT_ONCE.unsigned_abs();
    let mut forgotten = 0;
    loop {
        let some = retrying(|| store::call_stats::delete_older(&deps.db, calls, FORGOTTEN_AT_ONCE)).await?;
        forgotten += some;
        if !is_more(some) {
            break;
        }
    }
    let db = &deps.db;
    while is_more(retrying(|| store::call_stats::forget_older_addresses(db, addresses, FORGOTTEN_AT_ONCE)).await?) {}
    Ok(forgotten)
}

fn label(class: usize) -> String {
    match CLASSES.get(class + 1) {
        Some(next) => format!("{}-{}", CLASSES[class], next - 1),
        None => format!("{}+", CLASSES[class]),
    }
}

async fn load(deps: &Deps, caller: &Caller, id: &EndpointId, first: i64, last: i64) -> Result<Calls, Error> {
    let mut calls = Calls::default();
    let hours = (first - WINDOW_MINUTES).div_euclid(MINUTES_PER_HOUR)..=last.div_euclid(MINUTES_PER_HOUR);
    for (collection, id) in access::readable_endpoints(deps, caller, id).await? {
        let raws = raws_of(deps, caller.account_id, &id).await?;
        let keys: Vec<&str> = raws.iter().map(|raw| raw.key.as_str()).collect();
        let rows = store::call_stats::list(&deps.db, caller.account_id, collection.id, &keys, hours.clone()).await?;
        for (hour, row) in rows {
            calls.hours.entry(hour).or_default().merge(row);
        }
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_the_values() {
        let class = Class { label: label(0), addresses: vec![0, 2, 4, 8, 16] };
        assert_eq!(class.distribution(), Some((0, 16, [2.0, 4.0, 8.0])));
        assert_eq!(Class { label: label(10), addresses: vec![0] }.distribution(), None);
        assert_eq!((label(0), label(10)), ("1-10".into(), "20001+".into()));
    }
}

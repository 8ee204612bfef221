use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) const MINUTES_PER_HOUR: i64 = 60;

/// Length of a window in which the calls of an address are counted.
pub const WINDOW_MINUTES: i64 = 5;

/// Addresses kept of one window, the smallest: a caller may send any number of them.
pub(crate) const ADDRESSES_MAX: usize = 1_000;

/// Longest address that is kept.
const ADDRESS_BYTES_MAX: usize = 64;

/// Calls of one raw URL by hour since the epoch. Adding up is commutative and associative.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls {
    /// By the hour since 1970.
    pub hours: BTreeMap<i64, Hour>,
}

/// Calls within one hour.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hour {
    /// Minute of the hour to calls.
    pub minutes: BTreeMap<u8, u64>,
    /// First minute of the window to address to calls.
    pub addresses: BTreeMap<u8, Window>,
}

/// Address to calls; of too many addresses the smallest. What is dropped once would be dropped in every order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Window(pub BTreeMap<String, u64>);

impl Calls {
    /// Adds one call. `address` is what the record says, also nothing.
    pub fn add(&mut self, time: i64, address: &str) {
        let minute = time.div_euclid(60);
        let of_hour = u8::try_from(minute.rem_euclid(MINUTES_PER_HOUR)).unwrap_or_default();
        let hour = self.hours.entry(minute.div_euclid(MINUTES_PER_HOUR)).or_default();
        *hour.minutes.entry(of_hour).or_default() += 1;
        if address.parse::<std::net::IpAddr>().is_ok() && address.len() <= ADDRESS_BYTES_MAX {
            let window = of_hour - of_hour % WINDOW_MINUTES as u8;
            hour.addresses.entry(window).or_default().add(address, 1);
        }
    }

    /// Adds what other records say.
    pub fn merge(&mut self, other: Self) {
        for (hour, calls) in other.hours {
            self.hours.entry(hour).or_default().merge(calls);
        }
    }
}

impl Calls {
    /// Takes calls out that are counted elsewhere.
    pub fn take_away(&mut self, other: &Self) {
        for (hour, calls) in &other.hours {
            let Some(known) = self.hours.get_mut(hour) else { continue };
            for (minute, count) in &calls.minutes {
                take(&mut known.minutes, minute, *count);
            }
            for (window, addresses) in &calls.addresses {
                let Some(own) = known.addresses.get_mut(window) else { continue };
                addresses.0.iter().for_each(|(address, count)| take(&mut own.0, address, *count));
            }
            known.addresses.retain(|_, window| !window.0.is_empty());
        }
        self.hours.retain(|_, hour| !hour.minutes.is_empty());
    }
}

fn take<K: Ord>(counts: &mut BTreeMap<K, u64>, key: &K, count: u64) {
    if let Some(known) = counts.get_mut(key) {
        *known = known.saturating_sub(count);
        if *known == 0 {
            counts.remove(key);
        }
    }
}

impl Hour {
    /// Adds what other records say of the same hour.
    pub fn merge(&mut self, other: Self) {
        for (minute, count) in other.minutes {
            *self.minutes.entry(minute).or_default() += count;
        }
        for (window, addresses) in other.addresses {
            let known = self.addresses.entry(window).or_default();
            addresses.0.into_iter().for_each(|(address, count)| known.add(&address, count));
        }
    }
}

impl Window {
    fn add(&mut self, address: &str, count: u64) {
        match self.0.get_mut(address) {
            Some(known) => *known += count,
            None => _ = self.0.insert(address.to_owned(), count),
        }
        if self.0.len() > ADDRESSES_MAX {
            self.0.pop_last();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_batches_do_not_matter() {
        let all: Vec<(i64, String)> =
            (0..3_000).map(|n| (n % 7 * 100, format!("10.0.{}.{}", n / 250, n % 250))).collect();
        let sum = |records: &[(i64, String)]| {
            let mut calls = Calls::default();
            records.iter().for_each(|(time, address)| calls.add(*time, address));
            calls
        };
        let mut backwards = all.clone();
        backwards.reverse();
        let mut joined = sum(&backwards[..1_000]);
        joined.merge(sum(&backwards[1_000..]));
        assert_eq!(joined, sum(&all));
        let mut rest = sum(&all[..10]);
        rest.take_away(&sum(&all[3..10]));
        assert_eq!(rest, sum(&all[..3]));
        assert!(joined.hours[&0].addresses.values().all(|window| window.0.len() <= ADDRESSES_MAX));
        assert_eq!(joined.hours[&0].minutes.values().sum::<u64>(), 3_000);
    }
}

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Records kept of one endpoint.
pub const SAMPLES_MAX: usize = 10;

/// One record that was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Unix seconds.
    pub time: i64,
    /// The first half of the SHA-256 of the text, which tells records apart.
    pub digest: [u8; 16],
    /// The record as it was ingested.
    pub text: String,
}

/// The newest distinct records: of equal times the ones with the smaller digest. A function of the set of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Samples {
    list: Vec<Sample>,
}

impl Sample {
    /// A call at this time (Unix seconds), as it is shown.
    pub fn new(time: i64, text: impl Into<String>) -> Self {
        let text = text.into();
        let full: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let mut digest = [0; 16];
        digest.copy_from_slice(&full[..16]);
        Self { time, digest, text }
    }
}

impl Samples {
    /// The kept records, the newest first.
    pub fn list(&self) -> &[Sample] {
        &self.list
    }

    /// Takes in one sample; the oldest beyond the bound leaves.
    pub fn add(&mut self, sample: Sample) {
        let order = |sample: &Sample| (Reverse(sample.time), sample.digest);
        let Err(place) = self.list.binary_search_by_key(&order(&sample), order) else { return };
        if place < SAMPLES_MAX {
            self.list.insert(place, sample);
            self.list.truncate(SAMPLES_MAX);
        }
    }

    /// Takes in those of another set.
    pub fn merge(&mut self, other: Self) {
        other.list.into_iter().for_each(|sample| self.add(sample));
    }
}

impl FromIterator<Sample> for Samples {
    fn from_iter<I: IntoIterator<Item = Sample>>(list: I) -> Self {
        let mut samples = Self::default();
        list.into_iter().for_each(|sample| samples.add(sample));
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_newest_distinct_ones_are_kept(times in prop::collection::vec((0i64..20, 0u8..4), 0..60), split in 0usize..60) {
            let all: Vec<_> = times.iter().map(|(time, text)| Sample::new(*time, text.to_string())).collect();
            let (left, right) = all.split_at(split.min(all.len()));
            let mut merged: Samples = right.iter().cloned().rev().collect();
            merged.merge(left.iter().cloned().collect());
            let mut expected = all.clone();
            expected.sort_by_key(|sample| (Reverse(sample.time), sample.digest));
            expected.dedup();
            expected.truncate(SAMPLES_MAX);
            prop_assert_eq!(merged.list(), &expected[..]);
        }
    }
}

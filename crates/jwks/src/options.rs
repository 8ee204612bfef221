use std::time::Duration;

/// How long sets live and how often providers are asked.
#[derive(Clone, Copy, Debug)]
pub struct KeySetOptions {
    /// A set lives as long as its Cache-Control says and never longer than this: a key that the provider removed stops
    /// working within this time.
    pub lifetime_max: Duration,
    /// At most one question to a provider in this time, whatever tokens ask for; also the shortest life of a set.
    pub refetch_min: Duration,
    /// Questions after failures are at most this far apart.
    pub backoff_max: Duration,
    /// So long after the end of its life a set is still used while the provider does not answer.
    pub outage_max: Duration,
    /// For one question with all it needs.
    pub timeout: Duration,
    /// Memory of all sets together. Beyond it the largest are forgotten, so that whoever has large ones pays for them.
    pub bytes_max: usize,
}

impl Default for KeySetOptions {
    fn default() -> Self {
        Self {
            lifetime_max: Duration::from_secs(300),
            refetch_min: Duration::from_secs(5),
            backoff_max: Duration::from_secs(60),
            outage_max: Duration::from_secs(3600),
            timeout: Duration::from_secs(5),
            bytes_max: 64 << 20,
        }
    }
}

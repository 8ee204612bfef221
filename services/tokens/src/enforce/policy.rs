use std::{collections::HashMap, time::Duration};

use portolan_ids::PolicyId;

/// How much a profile may call: each window on its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy(pub Vec<Window>);

/// So many calls in so long a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// How many calls pass in one window.
    pub calls_max: u64,
    /// How long a window lasts.
    pub length: Duration,
}

/// The policies of the installation.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    by_id: HashMap<PolicyId, Policy>,
    /// For profiles whose client names none, or one that is not set.
    default: Policy,
}

impl Policy {
    /// Reads `CALLS/SECONDS`, several joined by `+`; empty limits nothing.
    ///
    /// # Errors
    /// The part that cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let windows = text.split('+').map(str::trim).filter(|part| !part.is_empty()).map(|part| {
            let read = || {
                let (calls, seconds) = part.split_once('/')?;
                let (calls_max, seconds) = (calls.trim().parse().ok()?, seconds.trim().parse::<u64>().ok()?);
                (calls_max > 0 && seconds > 0).then_some(Window { calls_max, length: Duration::from_secs(seconds) })
            };
            read().ok_or_else(|| format!("`{part}` is not CALLS/SECONDS"))
        });
        windows.collect::<Result<_, _>>().map(Self)
    }
}

impl Policies {
    /// Reads `ID=POLICY`, several by commas.
    ///
    /// # Errors
    /// The part that cannot be read.
    pub fn parse(default: &str, by_id: &str) -> Result<Self, String> {
        let mut policies = Self { by_id: HashMap::new(), default: Policy::parse(default)? };
        for part in by_id.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let read = part.split_once('=').and_then(|(id, policy)| Some((id.trim().parse().ok()?, policy)));
            let (id, policy) = read.ok_or_else(|| format!("`{part}` is not ID=POLICY"))?;
            policies.by_id.insert(id, Policy::parse(policy)?);
        }
        Ok(policies)
    }

    /// The policy of this id; the default one where there is none.
    pub fn of(&self, policy_id: Option<PolicyId>) -> &Policy {
        policy_id.and_then(|id| self.by_id.get(&id)).unwrap_or(&self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_has_windows() {
        let policies = Policies::parse("100/60", "7=5/1+1000/2592000, 8=").unwrap();
        let window = |calls_max, seconds| Window { calls_max, length: Duration::from_secs(seconds) };
        assert_eq!(policies.of(None).0, [window(100, 60)]);
        assert_eq!(policies.of(Some(PolicyId(9))).0, [window(100, 60)]);
        assert_eq!(policies.of(Some(PolicyId(7))).0, [window(5, 1), window(1000, 2_592_000)]);
        assert_eq!(policies.of(Some(PolicyId(8))).0, []);
        for bad in ["100", "0/60", "100/0", "a/b"] {
            assert!(Policy::parse(bad).is_err(), "{bad}");
        }
        assert!(Policies::parse("", "7").is_err());
    }
}

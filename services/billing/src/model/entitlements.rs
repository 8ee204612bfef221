//! What a plan includes, and what is within it.

use std::collections::BTreeMap;

use portolan_ids::{OrganizationId, PlanId};
use serde::{Deserialize, Serialize};

use super::{features, usage::Totals};

/// The limit of a feature without one.
pub const UNLIMITED: i64 = -1;

/// What a plan says of one feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The plan has the feature.
    pub is_granted: bool,
    /// [`UNLIMITED`], also of a feature without a number.
    pub limit: i64,
}

/// What the plan of an organization includes at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlements {
    /// Of the provider.
    pub plan_id: PlanId,
    /// As the provider calls the kind of plan.
    pub plan_type: String,
    /// For how long features work on after a limit was reached.
    pub grace_s: i64,
    /// The plan has run out: nothing is granted.
    pub expired: bool,
    /// Features that are not listed are granted without limit.
    pub everything: bool,
    /// What it gives, by feature.
    pub features: BTreeMap<String, Access>,
}

/// Whether more of a feature may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum Verdict {
    /// So much more; [`UNLIMITED`] is without end.
    Allowed { room: i64 },
    /// The plan has no such feature.
    NotInPlan,
    /// The plan gives less than is used.
    LimitExceeded,
}

/// When each feature of an organization reached its limit, Unix seconds; a feature below its limit is not in it.
pub type Overages = BTreeMap<String, i64>;

impl Entitlements {
    /// What the plan gives of a feature.
    pub fn access(&self, feature: &str) -> Access {
        let unlisted = Access { is_granted: self.everything, limit: UNLIMITED };
        let access = self.features.get(feature).copied().unwrap_or(unlisted);
        Access { is_granted: access.is_granted && !self.expired, ..access }
    }

    /// Whether the usage has reached a limit.
    pub fn is_over(&self, feature: &str, usage: i64) -> bool {
        let access = self.access(feature);
        access.is_granted && access.limit != UNLIMITED && usage >= access.limit
    }

    /// Judges the wish to use `wanted` more, at a moment. Below its limit a feature is allowed; above, until the grace
    /// that began with the overage has passed.
    pub fn judge(&self, feature: &str, totals: &Totals, overages: &Overages, wanted: i64, now: i64) -> Verdict {
        if !self.access(feature).is_granted {
            return Verdict::NotInPlan;
        }
        let mut room = UNLIMITED;
        for limited in features::limited_with(feature) {
            let access = self.access(limited);
            if !access.is_granted || access.limit == UNLIMITED {
                continue;
            }
            let left = access.limit.saturating_sub(totals.of(limited));
            let asked = if limited == feature { wanted.max(1) } else { 1 };
            if left >= asked {
                room = if room == UNLIMITED { left } else { room.min(left) };
                continue;
            }
            let since = overages.get(limited).copied().unwrap_or(now);
            // A difference cannot overflow where a sum could.
            if now.saturating_sub(since) >= self.grace_s {
                return Verdict::LimitExceeded;
            }
        }
        Verdict::Allowed { room }
    }
}

/// One feature of an organization: what the plan says, and what is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureState {
    /// What is counted.
    pub feature: String,
    /// The plan has it.
    pub is_granted: bool,
    /// How much of it the plan gives; -1 without a limit.
    pub limit: i64,
    /// How much of it is used.
    pub usage: i64,
    /// Unix seconds; -1 when the usage is below the limit.
    pub overage_first_detected: i64,
}

/// The plan of an organization, with what is used of it.
pub struct State {
    /// Whose state it is.
    pub organization_id: OrganizationId,
    /// What it may use.
    pub plan: Entitlements,
    /// Of the plan; grows with every change.
    pub version: i64,
    /// By name: what is metered, what the plan lists, and what services count.
    pub features: Vec<FeatureState>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(limit: i64, grace_s: i64) -> Entitlements {
        let features = BTreeMap::from([("TEST_RUNS".to_owned(), Access { is_granted: true, limit })]);
        Entitlements { grace_s, features, ..Entitlements::default() }
    }

    fn used(usage: i64) -> Totals {
        let mut totals = Totals::default();
        totals.set("TEST_RUNS", usage);
        totals
    }

    #[test]
    fn the_limit_itself_may_be_used() {
        let judge = |usage, wanted| plan(10, 0).judge("TEST_RUNS", &used(usage), &Overages::new(), wanted, 0);
        assert_eq!(judge(0, 10), Verdict::Allowed { room: 10 });
        assert_eq!(judge(9, 1), Verdict::Allowed { room: 1 });
        assert_eq!(judge(9, 2), Verdict::LimitExceeded);
        assert_eq!(judge(10, 0), Verdict::LimitExceeded);
    }

    #[test]
    fn grace_is_a_duration_from_the_first_overage() {
        let overages = Overages::from([("TEST_RUNS".to_owned(), 1_000)]);
        let judge = |grace_s, now| plan(10, grace_s).judge("TEST_RUNS", &used(10), &overages, 1, now);
        assert!(matches!(judge(60, 1_059), Verdict::Allowed { .. }));
        assert_eq!(judge(60, 1_060), Verdict::LimitExceeded);
        // A grace as large as an epoch overflows nothing.
        assert!(matches!(judge(i64::MAX, i64::MAX - 1), Verdict::Allowed { .. }));
    }

    #[test]
    fn what_a_plan_does_not_list_is_refused() {
        let judge = |plan: Entitlements| plan.judge("RBAC_FEATURE", &used(0), &Overages::new(), 0, 0);
        assert_eq!(judge(plan(10, 0)), Verdict::NotInPlan);
        assert_eq!(judge(Entitlements { everything: true, ..plan(10, 0) }), Verdict::Allowed { room: -1 });
        assert_eq!(judge(Entitlements { everything: true, expired: true, ..plan(10, 0) }), Verdict::NotInPlan);
    }

    #[test]
    fn assets_share_their_limits() {
        let access = |limit| Access { is_granted: true, limit };
        let features = [("MCP_ASSET_COUNT".to_owned(), access(5)), ("AI_ASSET_COUNT".to_owned(), access(5))];
        let plan = Entitlements { features: features.into(), ..Entitlements::default() };
        let mut totals = Totals::default();
        totals.set("AI_ASSET_COUNT", 5);
        assert_eq!(plan.judge("MCP_ASSET_COUNT", &totals, &Overages::new(), 1, 0), Verdict::LimitExceeded);
    }
}

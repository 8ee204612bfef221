//! The built-in plans: what the operator's file says of plans and organizations.

use std::collections::BTreeMap;

use portolan_ids::{CustomerId, OrganizationId, PlanId};
use serde::Deserialize;

use super::{
    entitlements::{Access, Entitlements, UNLIMITED},
    features,
};

const DEFAULT: &str = include_str!("plans.toml");

/// The plans file, checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plans {
    default_plan: PlanId,
    plans: BTreeMap<PlanId, PlanEntry>,
    #[serde(default)]
    organizations: BTreeMap<OrganizationId, OrganizationEntry>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanEntry {
    #[serde(default)]
    name: String,
    #[serde(default)]
    grace_s: i64,
    #[serde(default)]
    everything: bool,
    #[serde(default)]
    features: BTreeMap<String, Allowance>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganizationEntry {
    plan: Option<PlanId>,
    customer_id: Option<CustomerId>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Allowance {
    Granted(bool),
    Limit(i64),
    Word(String),
}

impl Plans {
    /// Reads a plans file.
    ///
    /// # Errors
    /// What is wrong with it, for its operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plans: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        plans.check()?;
        Ok(plans)
    }

    /// The plans that are compiled in: one, without limits.
    pub fn compiled_in() -> Self {
        Self::parse(DEFAULT).expect("the compiled-in plans are valid")
    }

    /// Whether there is a plan of this id.
    pub fn contains(&self, plan_id: &PlanId) -> bool {
        self.plans.contains_key(plan_id)
    }

    /// The plan that an organization begins with.
    pub fn first_plan(&self, organization_id: &OrganizationId) -> &PlanId {
        let configured = self.organizations.get(organization_id).and_then(|entry| entry.plan.as_ref());
        configured.unwrap_or(&self.default_plan)
    }

    /// The customer id configured for an organization; its own id without one.
    pub fn customer_id(&self, organization_id: &OrganizationId) -> CustomerId {
        let configured = self.organizations.get(organization_id).and_then(|entry| entry.customer_id.clone());
        configured.unwrap_or_else(|| organization_id.as_str().into())
    }

    /// The organization with this configured customer id.
    pub fn organization_of_customer(&self, customer_id: &CustomerId) -> Option<&OrganizationId> {
        let mut entries = self.organizations.iter();
        entries.find(|(_, entry)| entry.customer_id.as_ref() == Some(customer_id)).map(|(id, _)| id)
    }

    /// What a plan includes; a plan that the file no longer has includes nothing.
    pub fn entitlements(&self, plan_id: &PlanId) -> Entitlements {
        let Some(plan) = self.plans.get(plan_id) else {
            tracing::warn!(plan_id = plan_id.as_str(), "an organization has a plan that the plans file does not have");
            return Entitlements { plan_id: plan_id.clone(), expired: true, ..Entitlements::default() };
        };
        let access = |allowance: &Allowance| match allowance {
            Allowance::Granted(granted) => Access { is_granted: *granted, limit: UNLIMITED },
            Allowance::Limit(limit) => Access { is_granted: true, limit: *limit },
            Allowance::Word(_) => Access { is_granted: true, limit: UNLIMITED },
        };
        Entitlements {
            plan_id: plan_id.clone(),
            plan_type: plan.name.clone(),
            grace_s: plan.grace_s,
            expired: false,
            everything: plan.everything,
            features: plan.features.iter().map(|(name, allowance)| (name.clone(), access(allowance))).collect(),
        }
    }

    fn check(&self) -> Result<(), String> {
        let mut problems = Vec::new();
        if !self.contains(&self.default_plan) {
            problems.push(format!("default_plan: there is no plan `{}`", self.default_plan));
        }
        for (plan_id, plan) in &self.plans {
            if plan.grace_s < 0 {
                problems.push(format!("plans.{plan_id}.grace_s must not be negative"));
            }
            for (feature, allowance) in &plan.features {
                let is_usable = match allowance {
                    Allowance::Granted(_) => true,
                    Allowance::Limit(limit) => *limit >= 0,
                    Allowance::Word(word) => word == "unlimited",
                };
                if !is_usable || !features::is_name(feature) {
                    problems.push(format!(
                        "plans.{plan_id}.features.{feature} must be a number from 0, true, false or \"unlimited\""
                    ));
                }
            }
        }
        for (organization_id, entry) in &self.organizations {
            if entry.plan.as_ref().is_some_and(|plan| !self.contains(plan)) {
                problems.push(format!("organizations.{organization_id}.plan is no plan of this file"));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiled_in_plan_has_no_limits() {
        let plans = Plans::compiled_in();
        let entitlements = plans.entitlements(plans.first_plan(&"any".into()));
        assert_eq!(entitlements.access("ACTIVE_ENDPOINTS"), Access { is_granted: true, limit: UNLIMITED });
    }

    #[test]
    fn a_plan_grants_what_it_lists() {
        let plans = Plans::parse(
            "default_plan = \"free\"\n[plans.free]\ngrace_s = 60\n[plans.free.features]\nACTIVE_ENDPOINTS = 10\n\
             RBAC_FEATURE = false\nTEST_RUNS = \"unlimited\"\n[organizations.o1]\ncustomer_id = \"cust_1\"",
        )
        .unwrap();
        let free = plans.entitlements(plans.first_plan(&"o1".into()));
        assert_eq!(free.access("ACTIVE_ENDPOINTS"), Access { is_granted: true, limit: 10 });
        assert!(!free.access("RBAC_FEATURE").is_granted && !free.access("SSO_ONLY_LOGIN").is_granted);
        assert_eq!(free.access("TEST_RUNS"), Access { is_granted: true, limit: UNLIMITED });
        assert_eq!((free.grace_s, plans.organization_of_customer(&"cust_1".into())), (60, Some(&"o1".into())));
        assert!(!plans.entitlements(&"gone".into()).access("TEST_RUNS").is_granted);
    }

    #[test]
    fn problems_are_named() {
        let text = "default_plan = \"x\"\n[plans.free.features]\nA = -2\nB = \"lots\"";
        let problems = Plans::parse(text).unwrap_err();
        for part in ["no plan `x`", "features.A", "features.B"] {
            assert!(problems.contains(part), "{problems}");
        }
        assert!(Plans::parse("defalt = 1").unwrap_err().contains("defalt"));
    }
}

use portolan_api::{Access, Feature};
use serde::{Deserialize, Serialize};

use Feature::*;

/// A built-in role. A custom role stands on one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the documented role of its name")]
pub enum Role {
    Admin,
    Member,
    Developer,
    Guest,
    ThreatEngineer,
    ThreatViewer,
    NoAccess,
}

const INVENTORY: &[Feature] = &[ApiCollections, TrafficFilters, DefaultPayloads, Tags, AskGpt];
const PII_DATA: &[Feature] = &[SensitiveData, NhiData, SampleData, TestRunResults];
const TESTING: &[Feature] = &[StartTestRun, TestResults, TestRoles, UserConfig, AuthType, Issues];
const TEST_LIBRARY: &[Feature] = &[TestEditor, TestSuite, ExternalTestLibrary];
const DEBUG_INFO: &[Feature] = &[Metrics, Logs, InviteMembers];

/// What each role may do, a row per group of features in the order
/// ADMIN, MEMBER, DEVELOPER, GUEST, THREAT_ENGINEER, THREAT_VIEWER: `w` read and write, `r` read, `-` nothing.
const MATRIX: &[(&[Feature], &str)] = &[
    (INVENTORY, "wwrrww"),
    (PII_DATA, "ww--ww"),
    (TESTING, "wwrrww"),
    (TEST_LIBRARY, "wwrrww"),
    (&[Integrations], "wrwrrr"),
    (&[ApiTokens], "wwwrww"),
    (&[Billing], "wrrrrr"),
    (DEBUG_INFO, "wwrrww"),
    (&[AdminActions], "w-----"),
    (&[UserActions], "wwwwww"),
    (&[AiAgents], "wwrrww"),
    (&[ThreatProtection], "w---wr"),
];

/// Groups of features by the names under which custom roles list them.
const GROUPS: &[(&str, &[Feature])] = &[
    ("INVENTORY", INVENTORY),
    ("PII_DATA", PII_DATA),
    ("TESTING", TESTING),
    ("TEST_LIBRARY", TEST_LIBRARY),
    ("SETTINGS", &[Integrations, ApiTokens, Billing]),
    ("DEBUG_INFO", DEBUG_INFO),
    ("ADMIN", &[AdminActions]),
    ("USER", USER),
    ("AI", &[AiAgents]),
    ("THREAT_PROTECTION", &[ThreatProtection]),
];
/// Kept by every role.
const USER: &[Feature] = &[UserActions];

/// The features of an access group or of a single feature, bit n for feature n.
pub fn features_named(name: &str) -> Option<u64> {
    if let Some((_, features)) = GROUPS.iter().find(|(group, _)| *group == name) {
        return Some(bits(features));
    }
    let feature = Feature::from_str_name(&format!("FEATURE_{name}")).filter(|feature| *feature != Unspecified)?;
    Some(bits(&[feature]))
}

fn bits(features: &[Feature]) -> u64 {
    features.iter().fold(0, |bits, feature| bits | 1 << *feature as i32)
}

impl Role {
    /// The roles that a holder of this one may see and assign, in the documented order.
    pub fn assignable(self) -> &'static [Self] {
        use Role::*;
        match self {
            Admin => &[Admin, Member, Developer, Guest, ThreatEngineer, ThreatViewer],
            Member => &[Member, Developer, Guest],
            Developer => &[Developer, Guest],
            Guest => &[Guest],
            ThreatEngineer => &[ThreatEngineer, ThreatViewer, Developer, Member, Guest],
            ThreatViewer => &[ThreatViewer, Developer, Member, Guest],
            NoAccess => &[NoAccess],
        }
    }

    /// Every role, the one with the most rights first.
    pub const ALL: [Self; 7] = [
        Self::Admin,
        Self::Member,
        Self::Developer,
        Self::Guest,
        Self::ThreatEngineer,
        Self::ThreatViewer,
        Self::NoAccess,
    ];

    /// The name in requests, answers and the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "ADMIN",
            Self::Member => "MEMBER",
            Self::Developer => "DEVELOPER",
            Self::Guest => "GUEST",
            Self::ThreatEngineer => "THREAT_ENGINEER",
            Self::ThreatViewer => "THREAT_VIEWER",
            Self::NoAccess => "NO_ACCESS",
        }
    }

    /// The name in refusals.
    pub fn display_name(self) -> &'static str {
        match self {
            Self::Member => "SECURITY ENGINEER",
            Self::ThreatEngineer => "THREAT ENGINEER",
            Self::ThreatViewer => "THREAT VIEWER",
            other => other.name(),
        }
    }

    /// The role of a documented name; `None` for the name of a custom role and for any other text.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The features that the role has at least this access to, bit n for feature n.
    pub fn features(self, access: Access) -> u64 {
        let column = self as usize;
        let allowed = |cell: u8| match access {
            Access::Read => cell != b'-',
            Access::ReadWrite => cell == b'w',
            Access::Unspecified => false,
        };
        let rows = MATRIX.iter().filter(|(_, cells)| cells.as_bytes().get(column).is_some_and(|cell| allowed(*cell)));
        rows.fold(0, |all, (features, _)| all | bits(features))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_covers_every_feature_once() {
        let mut listed: Vec<i32> = MATRIX.iter().flat_map(|(features, _)| features.iter().map(|f| *f as i32)).collect();
        listed.sort_unstable();
        assert_eq!(listed, (1..=28).collect::<Vec<_>>());
        assert!(MATRIX.iter().all(|(_, cells)| cells.len() == 6));
    }

    #[test]
    fn documented_cells_hold() {
        let may = |role: Role, feature: Feature, access| role.features(access) & 1 << feature as i32 != 0;
        for (role, feature, read, write) in [
            (Role::Admin, AdminActions, true, true),
            (Role::Member, AdminActions, false, false),
            (Role::Member, Integrations, true, false),
            (Role::Developer, Integrations, true, true),
            (Role::Developer, SensitiveData, false, false),
            (Role::Guest, ApiCollections, true, false),
            (Role::Guest, UserActions, true, true),
            (Role::Developer, Billing, true, false),
            (Role::ThreatViewer, ThreatProtection, true, false),
            (Role::NoAccess, UserActions, false, false),
        ] {
            assert_eq!(may(role, feature, Access::Read), read, "{role:?} reads {feature:?}");
            assert_eq!(may(role, feature, Access::ReadWrite), write, "{role:?} writes {feature:?}");
        }
    }
}

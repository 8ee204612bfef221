//! The durable work of the inventory.

use std::collections::BTreeSet;

use portolan_engine::AccessType;
use portolan_ids::{CollectionId, NamedCollectionId};
use portolan_jobs::{Readers, Subject};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum Task {
    /// Removes what a deleted collection held, here and elsewhere.
    DeleteCollection { collection_id: CollectionId },
    /// Removes the values of a redacted collection, here and elsewhere.
    RedactCollection { collection_id: CollectionId },
    /// Lets a group look at the endpoints of a collection, or every group, or at those of all collections.
    ComputeGroups {
        collection_id: Option<CollectionId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group_id: Option<CollectionId>,
    },
    /// Decides the access types of endpoints anew.
    ApplyAccessTypes,
    /// Derives the access types of collections from those of their endpoints.
    ResetCollectionAccessTypes,
    /// Brings what is stored to the rules of templates that are in force.
    ApplyTemplateRules,
}

impl portolan_jobs::Task for Task {
    type Cursor = Cursor;
}

impl Task {
    /// Lets every group look at the endpoints of a collection.
    pub fn groups_of(collection_id: CollectionId) -> Self {
        Self::ComputeGroups { collection_id: Some(collection_id), group_id: None }
    }

    /// Lets a group look at the endpoints of all collections.
    pub fn members_of(group_id: CollectionId) -> Self {
        Self::ComputeGroups { collection_id: None, group_id: Some(group_id) }
    }

    /// The collection that it is about, else the account: a group may look at all of it.
    pub fn subject(&self) -> Subject {
        let collection_id = match self {
            Self::DeleteCollection { collection_id } | Self::RedactCollection { collection_id } => Some(*collection_id),
            Self::ComputeGroups { collection_id, .. } => *collection_id,
            Self::ApplyAccessTypes | Self::ResetCollectionAccessTypes | Self::ApplyTemplateRules => None,
        };
        let name = match self {
            Self::ComputeGroups { group_id: Some(id), .. } => format!("group {id}"),
            _ => collection_id.map_or_else(String::new, |id| id.to_string()),
        };
        let readers = collection_id.map_or(Readers::Account, Readers::Collection);
        Subject { name, readers, user_id: None }
    }
}

/// Where a step begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cursor {
    /// At the beginning.
    #[default]
    Start,
    /// In the one collection of the job, behind this raw key.
    After(String),
    /// On a walk over collections.
    At(WalkPoint),
    /// Only other services are left.
    Others,
}

impl Cursor {
    /// Where a walk over collections goes on.
    pub fn place(&self) -> WalkPoint {
        match self {
            Self::At(place) => place.clone(),
            Self::Start | Self::After(_) | Self::Others => WalkPoint::default(),
        }
    }
}

/// A place on a walk over collections in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalkPoint {
    /// This one is next, or the first after it.
    pub collection_id: NamedCollectionId,
    /// In it, everything up to this key is done.
    pub key: String,
    /// In it, the access types of what is done.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub access_types: BTreeSet<AccessType>,
    /// In it, every raw URL has its shape of today.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shaped: bool,
}

impl WalkPoint {
    /// The beginning of the collection after this one.
    pub fn behind(collection_id: CollectionId) -> Self {
        Self { collection_id: NamedCollectionId(i64::from(collection_id.get()) + 1), ..Self::default() }
    }
}

/// What a step did.
pub type Step = portolan_jobs::Step<Cursor>;

/// The next step begins there.
pub fn next(cursor: Cursor, done: usize) -> Step {
    Step::Next { cursor, done: i64::try_from(done).unwrap_or(i64::MAX) }
}

/// Nothing is left.
pub fn over(done: usize) -> Step {
    Step::Over { done: i64::try_from(done).unwrap_or(i64::MAX), outcome: Value::Null }
}

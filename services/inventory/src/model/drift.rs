use std::collections::BTreeMap;

use portolan_engine::drift::Shape;
use portolan_record::{Declaration, Source, Specification};

use crate::model::text;

/// What specifications declare of one raw URL, by the specification's id. Adding up is commutative and associative.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared(pub BTreeMap<String, Operation>);

/// One operation as one specification declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Unix seconds of the import, then the place in the log.
    pub at: (i64, i64),
    /// Of the specification.
    pub title: String,
    /// Of the specification.
    pub version: String,
    /// What it says of the operation.
    pub shape: Shape,
}

impl Declared {
    /// Takes in what a specification says; the later one of a title counts.
    pub fn add(&mut self, declaration: &Declaration, source: Source, time: i64, offset: i64) {
        // Without a name, all declarations of a source are one specification.
        let Specification { id, title, version } = match &declaration.specification {
            Some(specification) if !specification.id.is_empty() => specification.clone(),
            _ => Specification { id: source.name().to_owned(), title: source.name().to_owned(), ..Default::default() },
        };
        let (title, version) = (text::storable(&title), text::storable(&version));
        let new = Operation { at: (time, offset), title, version, shape: Shape::from(declaration) };
        self.insert(text::storable(&id), new);
    }

    /// Adds what other records say.
    pub fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(id, operation)| self.insert(id, operation));
    }

    /// Whether no specification names it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn insert(&mut self, id: String, new: Operation) {
        match self.0.get_mut(&id) {
            Some(known) if known.at >= new.at => {}
            Some(known) => *known = new,
            None => _ = self.0.insert(id, new),
        }
    }
}

/// What differs in a collection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drift {
    /// The collection has a specification.
    pub documented: bool,
    /// Endpoints that are called and that no specification names.
    pub shadow: Vec<DriftOperation>,
    /// Endpoints that a specification names and that nobody calls.
    pub orphan: Vec<DriftOperation>,
    /// Deprecated endpoints that are called.
    pub zombie: Vec<DriftOperation>,
    /// What the last version of each specification changed.
    pub specifications: Vec<SpecificationDiff>,
}

/// An endpoint or a declared operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DriftOperation {
    /// A template.
    pub url: String,
    /// In capital letters.
    pub method: String,
    /// Unix seconds; 0 when no call was seen.
    pub last_seen: i64,
}

/// What the newest import of a specification changed.
#[derive(Clone, Debug, PartialEq)]
pub struct SpecificationDiff {
    /// Of the specification.
    pub title: String,
    /// The one that was imported last.
    pub version: String,
    /// The one before it.
    pub previous_version: Option<String>,
    /// Unix seconds.
    pub declared_at: i64,
    /// Operations that it has and the one before has not.
    pub added: Vec<DriftOperation>,
    /// Operations that the one before has and it has not.
    pub removed: Vec<DriftOperation>,
    /// Operations of both, with what differs.
    pub changed: Vec<(DriftOperation, Vec<String>)>,
}

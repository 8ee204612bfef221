use std::collections::HashSet;

use portolan_api::{Error, Reason};
use portolan_engine::{Conditions, CustomRule, CustomType, Position, Predicate, SubType};
use serde::{Deserialize, Serialize};

use crate::model::text;

/// Predicates of one list of conditions.
const PREDICATES_MAX: usize = 20;

/// Texts of one set.
const SET_MAX: usize = 1_000;

/// Longest text of a predicate.
const TEXT_CHARACTERS_MAX: usize = 1_000;

const CATEGORIES_MAX: usize = 20;

/// Subtypes that say what a value is made of and not what it means.
const STRUCTURAL: [SubType; 9] = [
    SubType::Null,
    SubType::True,
    SubType::False,
    SubType::Integer32,
    SubType::Integer64,
    SubType::Float,
    SubType::Dict,
    SubType::Generic,
    SubType::Other,
];

/// A kind of data as an account has it.
#[derive(Clone, Debug, PartialEq)]
pub struct DataType {
    /// Unique in the account.
    pub name: String,
    /// It is one of the installation's own.
    pub built_in: bool,
    /// Values are looked at for it.
    pub active: bool,
    /// What it recognizes.
    pub definition: Definition,
    /// Why the stored definition cannot be read, if it cannot.
    pub unreadable: Option<String>,
    /// Unix seconds; 0 for a built-in kind that was never switched.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
}

impl DataType {
    /// Of its definition as it is stored.
    pub(crate) fn text_bytes(&self) -> usize {
        serde_json::to_vec(&self.definition).map_or(usize::MAX, |text| text.len())
    }

    /// How many patterns it holds.
    pub(crate) fn patterns(&self) -> usize {
        let lists = [&self.definition.key_conditions, &self.definition.value_conditions].into_iter().flatten();
        lists.flat_map(|list| &list.predicates).filter(|predicate| predicate.kind == "REGEX").count()
    }
}

/// How a kind of an account's making is recognized, and what follows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Definition {
    /// What a name must fulfill.
    pub key_conditions: Option<ConditionList>,
    /// What a value must fulfill.
    pub value_conditions: Option<ConditionList>,
    /// `AND` or `OR`.
    pub operator: String,
    /// A match is sensitive wherever it stands.
    pub sensitive_always: bool,
    /// Where a match is sensitive, unless it is always.
    pub sensitive_positions: Vec<String>,
    /// The account has set where a built-in kind is sensitive.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sensitivity_set: bool,
    /// Matches are not kept.
    pub redacted: bool,
    /// As the contract spells it.
    pub priority: String,
    /// As the contract spells them.
    pub categories: Vec<String>,
}

/// Predicates, and how they are joined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConditionList {
    /// `AND` or `OR`.
    pub operator: String,
    /// In the order in which they were given.
    pub predicates: Vec<PredicateText>,
}

/// A predicate as the contract spells it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PredicateText {
    /// Its type.
    pub kind: String,
    /// What it compares with, where that is one text.
    pub value: String,
    /// What it compares with, where that is a list.
    pub values: Vec<String>,
}

/// What a caller wants changed; absent members stay.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Of each member: `None` leaves it as it is.
    pub active: Option<bool>,
    /// As of [`Definition`], here and below; `Some(None)` removes them.
    pub key_conditions: Option<Option<ConditionList>>,
    /// As of [`Definition`].
    pub value_conditions: Option<Option<ConditionList>>,
    /// As of [`Definition`].
    pub operator: Option<String>,
    /// As of [`Definition`].
    pub sensitive_always: Option<bool>,
    /// As of [`Definition`].
    pub sensitive_positions: Option<Vec<String>>,
    /// As of [`Definition`].
    pub redacted: Option<bool>,
    /// As of [`Definition`].
    pub priority: Option<String>,
    /// As of [`Definition`].
    pub categories: Option<Vec<String>>,
}

impl Changes {
    pub(crate) fn apply(self, known: &mut DataType) {
        let definition = &mut known.definition;
        set(&mut known.active, self.active);
        set(&mut definition.key_conditions, self.key_conditions);
        set(&mut definition.value_conditions, self.value_conditions);
        set(&mut definition.operator, self.operator);
        definition.sensitivity_set |= self.sensitive_always.is_some() || self.sensitive_positions.is_some();
        set(&mut definition.sensitive_always, self.sensitive_always);
        set(&mut definition.sensitive_positions, self.sensitive_positions);
        set(&mut definition.redacted, self.redacted);
        set(&mut definition.priority, self.priority);
        set(&mut definition.categories, self.categories);
    }

    /// Whether nothing but the switches is named.
    pub(crate) fn only_switches(&self) -> bool {
        self.key_conditions.is_none()
            && self.value_conditions.is_none()
            && self.operator.is_none()
            && self.priority.is_none()
            && self.categories.is_none()
    }
}

pub(crate) fn set<T>(known: &mut T, wanted: Option<T>) {
    if let Some(wanted) = wanted {
        *known = wanted;
    }
}

/// A built-in kind as an account has switched it.
pub(crate) fn switched(row: DataType, default: &DataType) -> DataType {
    let own = row.definition;
    let mut definition = Definition { redacted: own.redacted, ..default.definition.clone() };
    if own.sensitivity_set {
        definition.sensitivity_set = true;
        (definition.sensitive_always, definition.sensitive_positions) = (own.sensitive_always, own.sensitive_positions);
    }
    DataType { definition, ..row }
}

/// Every kind that is part of the program, as it is by default.
pub(crate) fn built_in() -> impl Iterator<Item = DataType> {
    SubType::all().filter(|sub_type| !STRUCTURAL.contains(sub_type)).map(|sub_type| DataType {
        name: sub_type.name().to_owned(),
        built_in: true,
        active: match sub_type {
            SubType::Pii(pii) => pii.is_active_by_default(),
            _ => true,
        },
        definition: Definition {
            sensitive_always: sub_type.sensitive_always(),
            sensitive_positions: sub_type.sensitive_positions().iter().map(|place| place.name().to_owned()).collect(),
            ..Definition::default()
        },
        unreadable: None,
        created_at: 0,
        updated_at: 0,
    })
}

pub(crate) fn invalid(member: &str, detail: impl std::fmt::Display) -> Error {
    Error::new(Reason::DataTypeInvalid).with("member", member).with("detail", detail.to_string())
}

/// Why a stored kind is skipped, if it is.
pub fn unreadable(row: &DataType) -> Option<String> {
    let rule_error = || rule(row).err().filter(|_| !row.built_in).map(|error| error.to_string());
    row.unreadable.clone().or_else(rule_error)
}

/// The rule of a definition, which is how a definition is checked.
pub(crate) fn rule(known: &DataType) -> Result<CustomRule, Error> {
    let definition = &known.definition;
    let keys = definition.key_conditions.as_ref().map(|list| conditions("keyConditions", list)).transpose()?;
    let values = definition.value_conditions.as_ref().map(|list| conditions("valueConditions", list)).transpose()?;
    if keys.is_none() && values.is_none() {
        return Err(invalid("keyConditions", "or valueConditions must be given"));
    }
    if !["", "CRITICAL", "HIGH", "MEDIUM", "LOW"].contains(&definition.priority.as_str()) {
        return Err(invalid("priority", "must be CRITICAL, HIGH, MEDIUM or LOW"));
    }
    if definition.categories.len() > CATEGORIES_MAX {
        return Err(invalid("categories", format!("must not hold more than {CATEGORIES_MAX}")));
    }
    for category in &definition.categories {
        short("categories", category)?;
    }
    Ok(CustomRule {
        custom: CustomType::named(&known.name),
        keys,
        values,
        both: is_and("operator", &definition.operator, true)?,
        sensitive_always: definition.sensitive_always,
        sensitive_positions: positions(definition)?,
        redacted: definition.redacted,
    })
}

pub(crate) fn positions(definition: &Definition) -> Result<Vec<Position>, Error> {
    definition.sensitive_positions.iter().map(|name| position(name)).collect()
}

fn position(name: &str) -> Result<Position, Error> {
    use Position::{RequestHeader, RequestPayload, ResponseHeader, ResponsePayload};
    let all = [RequestHeader, RequestPayload, ResponseHeader, ResponsePayload];
    let found = all.into_iter().find(|position| position.name() == name);
    found.ok_or_else(|| invalid("sensitivePosition", format!("holds no position `{name}`")))
}

fn conditions(member: &str, list: &ConditionList) -> Result<Conditions, Error> {
    if list.predicates.is_empty() || list.predicates.len() > PREDICATES_MAX {
        return Err(invalid(member, format!("must hold 1 to {PREDICATES_MAX} predicates")));
    }
    Ok(Conditions {
        all: is_and(member, &list.operator, false)?,
        predicates: list.predicates.iter().map(|text| predicate(member, text)).collect::<Result<_, _>>()?,
    })
}

fn predicate(member: &str, wanted: &PredicateText) -> Result<Predicate, Error> {
    let value = || match wanted.value.as_str() {
        "" => Err(invalid(member, "has a predicate without value")),
        value => short(member, value).map(|()| value.to_owned()),
    };
    let values = || {
        if wanted.values.is_empty() || wanted.values.len() > SET_MAX {
            return Err(invalid(member, format!("has a predicate that must hold 1 to {SET_MAX} values")));
        }
        wanted.values.iter().try_for_each(|value| short(member, value))?;
        Ok(wanted.values.iter().cloned().collect::<HashSet<_>>())
    };
    Ok(match wanted.kind.as_str() {
        "REGEX" => {
            Predicate::regex(&value()?).map_err(|detail| invalid(member, format!("has a pattern that {detail}")))?
        }
        "STARTS_WITH" => Predicate::StartsWith(value()?),
        "ENDS_WITH" => Predicate::EndsWith(value()?),
        "CONTAINS" => Predicate::Contains(value()?),
        "EQUALS_TO" => Predicate::EqualsTo(value()?),
        "IS_NUMBER" => Predicate::IsNumber,
        "BELONGS_TO" => Predicate::BelongsTo(values()?),
        "NOT_BELONGS_TO" => Predicate::NotBelongsTo(values()?),
        other => return Err(invalid(member, format!("has no predicate type `{other}`"))),
    })
}

fn is_and(member: &str, operator: &str, default: bool) -> Result<bool, Error> {
    match operator {
        "" => Ok(default),
        "AND" => Ok(true),
        "OR" => Ok(false),
        _ => Err(invalid(member, "has an operator other than AND and OR")),
    }
}

fn short(member: &str, value: &str) -> Result<(), Error> {
    text::no_nul(member, value)?;
    if value.chars().count() > TEXT_CHARACTERS_MAX {
        return Err(invalid(member, format!("holds a text of more than {TEXT_CHARACTERS_MAX} characters")));
    }
    Ok(())
}

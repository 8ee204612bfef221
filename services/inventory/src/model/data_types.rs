use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use portolan_api::{Error, Reason};
use portolan_engine::{Conditions, CustomRule, CustomType, Detectors, PiiType, Position, Predicate, SubType};
use portolan_ids::AccountId;
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

/// The detectors of every account.
#[derive(Debug, Default)]
pub struct DetectorSet {
    pub(crate) common: Detectors,
    pub(crate) accounts: HashMap<AccountId, Arc<OfAccount>>,
}

/// The detectors of one account, with the kinds that they follow from.
#[derive(Debug)]
pub struct OfAccount {
    rows: Vec<DataType>,
    /// By the name of the kind.
    rules: HashMap<String, Arc<CustomRule>>,
    detectors: Detectors,
}

impl OfAccount {
    /// Patterns of kinds that are as before are not compiled again.
    fn new(rows: Vec<DataType>, before: Option<&Self>) -> Self {
        let same: HashMap<&str, &Definition> =
            before.iter().flat_map(|before| &before.rows).map(|row| (row.name.as_str(), &row.definition)).collect();
        // A definition was checked before it was stored; one that an older program stored is passed over.
        let rule_of = |row: &DataType| {
            let is_same = same.get(row.name.as_str()).is_some_and(|definition| **definition == row.definition);
            let known = before.filter(|_| is_same).and_then(|before| before.rules.get(&row.name)).cloned();
            Some((row.name.clone(), known.or_else(|| rule(row).ok().map(Arc::new))?))
        };
        let rules: HashMap<_, _> = rows.iter().filter(|row| !row.built_in && row.active).filter_map(rule_of).collect();
        let detectors = detectors_of(&rows, rules.values().cloned().collect());
        Self { rows, rules, detectors }
    }
}

impl DetectorSet {
    /// Those of an account; the built-in ones where it has none of its own.
    pub fn of(&self, account_id: AccountId) -> &Detectors {
        self.accounts.get(&account_id).map_or(&self.common, |own| &own.detectors)
    }

    /// Memory of the compiled patterns of an account, without those of one kind.
    pub(crate) fn pattern_bytes(&self, account_id: AccountId, without: &str) -> usize {
        let rules = self.accounts.get(&account_id).into_iter().flat_map(|own| &own.rules);
        rules.filter(|(name, _)| *name != without).map(|(_, rule)| rule.pattern_bytes()).sum()
    }

    /// The same detectors where these accounts have these kinds; the patterns of kinds that are other than before are
    /// compiled, which takes a while.
    pub(crate) fn with(&self, by_account: BTreeMap<AccountId, Vec<DataType>>) -> Self {
        let accounts = by_account.into_iter().map(|(account_id, rows)| {
            let before = self.accounts.get(&account_id);
            let known = before.filter(|known| known.rows == rows).cloned();
            (account_id, known.unwrap_or_else(|| Arc::new(OfAccount::new(rows, before.map(|before| &**before)))))
        });
        Self { common: Detectors::default(), accounts: accounts.collect() }
    }
}

pub(crate) fn detectors_of(rows: &[DataType], custom: Vec<Arc<CustomRule>>) -> Detectors {
    let switched: HashMap<&str, bool> =
        rows.iter().filter(|row| row.built_in).map(|row| (row.name.as_str(), row.active)).collect();
    let active = PiiType::all().filter(|pii| switched.get(pii.name()).copied().unwrap_or(pii.is_active_by_default()));
    let muted = switched.iter().filter(|(_, active)| !**active).filter_map(|(name, _)| SubType::from_name(name));
    let redacted = rows.iter().filter(|row| row.built_in && row.definition.redacted);
    let redacted = redacted.filter_map(|row| SubType::from_name(&row.name));
    let set = rows.iter().filter(|row| row.built_in && row.definition.sensitivity_set).filter_map(|row| {
        let definition = &row.definition;
        Some((SubType::from_name(&row.name)?, definition.sensitive_always, positions(definition).unwrap_or_default()))
    });
    Detectors::new(active).with_custom(custom, muted).with_redacted(redacted).with_sensitivity(set)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What one account changes costs no other account anything, and that one no more than the change.
    #[test]
    fn detectors_of_other_accounts_stay() {
        let kind = |name: &str, value: &str| DataType {
            name: name.to_owned(),
            built_in: false,
            active: true,
            definition: Definition {
                key_conditions: Some(ConditionList {
                    operator: "OR".to_owned(),
                    predicates: vec![PredicateText {
                        kind: "REGEX".to_owned(),
                        value: value.to_owned(),
                        values: Vec::new(),
                    }],
                }),
                ..Definition::default()
            },
            unreadable: None,
            created_at: 0,
            updated_at: 0,
        };
        let (one, two) = (AccountId(1), AccountId(2));
        let first = DetectorSet::default().with([(one, vec![kind("A", "a")]), (two, vec![kind("B", "b")])].into());
        let second = first.with([(one, vec![kind("A", "c")]), (two, vec![kind("B", "b")])].into());
        assert!(Arc::ptr_eq(&first.accounts[&two], &second.accounts[&two]), "made anew for the change of another one");
        assert!(!Arc::ptr_eq(&first.accounts[&one], &second.accounts[&one]));
        let grown = second.with([(one, vec![kind("A", "c"), kind("D", "d")])].into());
        let rule = |set: &DetectorSet, name: &str| set.accounts[&one].rules[name].clone();
        assert!(Arc::ptr_eq(&rule(&second, "A"), &rule(&grown, "A")), "compiled again for a kind beside it");
        assert!(!Arc::ptr_eq(&rule(&first, "A"), &rule(&second, "A")));
        assert_eq!(grown.of(one).detect_text("d", "x").sub_type.name(), "D");
        assert_eq!(second.with([(two, vec![kind("B", "b")])].into()).accounts.len(), 1, "an account without kinds");
        assert_eq!(kind("A", "a").patterns(), 1);
    }
}

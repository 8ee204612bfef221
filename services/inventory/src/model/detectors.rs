use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use portolan_engine::{CustomRule, Detectors, PiiType, SubType};
use portolan_ids::AccountId;

use crate::model::data_types::{DataType, Definition, positions, rule};

/// Which kinds of data are known: each number rises with a change.
#[derive(Debug, Default)]
pub struct Versions {
    /// Of all accounts together.
    pub all: i64,
    /// Of each account.
    pub accounts: HashMap<AccountId, i64>,
}

impl Versions {
    /// Changes of programs that count for all accounts together alone.
    pub(crate) fn of_others(&self) -> i64 {
        self.all - self.accounts.values().sum::<i64>()
    }
}

/// The detectors of every account.
#[derive(Debug, Default)]
pub struct DetectorSet {
    pub(crate) common: Detectors,
    pub(crate) accounts: HashMap<AccountId, Arc<OfAccount>>,
}

/// The detectors of one account, which are made of its kinds when they are first asked for.
#[derive(Debug)]
pub struct OfAccount {
    rows: Vec<DataType>,
    /// What was compiled for kinds as they were before.
    before: Mutex<Compiled>,
    made: OnceLock<Made>,
}

/// By the name of the kind.
type Compiled = HashMap<String, (Definition, Arc<CustomRule>)>;

#[derive(Debug)]
struct Made {
    rules: HashMap<String, Arc<CustomRule>>,
    detectors: Detectors,
}

impl OfAccount {
    fn new(rows: Vec<DataType>, before: Option<&Self>) -> Self {
        let before = before.map(Self::compiled).unwrap_or_default();
        Self { rows, before: Mutex::new(before), made: OnceLock::new() }
    }

    fn compiled(&self) -> Compiled {
        let Some(made) = self.made.get() else { return self.before().clone() };
        let compiled = |row: &DataType| {
            let rule = made.rules.get(&row.name)?.clone();
            Some((row.name.clone(), (row.definition.clone(), rule)))
        };
        self.rows.iter().filter_map(compiled).collect()
    }

    fn before(&self) -> MutexGuard<'_, Compiled> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Patterns of kinds that are as before are not compiled again.
    fn made(&self) -> &Made {
        self.made.get_or_init(|| {
            let mut before = std::mem::take(&mut *self.before());
            // A definition was checked before it was stored; one that an older program stored is passed over.
            let rule_of = |row: &DataType| {
                let known = before.remove(&row.name).filter(|(definition, _)| *definition == row.definition);
                let known = known.map(|(_, rule)| rule);
                Some((row.name.clone(), known.or_else(|| rule(row).ok().map(Arc::new))?))
            };
            let own = self.rows.iter().filter(|row| !row.built_in && row.active);
            let rules: HashMap<_, _> = own.filter_map(rule_of).collect();
            Made { detectors: detectors_of(&self.rows, rules.values().cloned().collect()), rules }
        })
    }
}

impl DetectorSet {
    /// Those of an account; the built-in ones where it has none of its own. Patterns that are asked for the first time
    /// are compiled, which takes a while.
    pub fn of(&self, account_id: AccountId) -> &Detectors {
        self.accounts.get(&account_id).map_or(&self.common, |own| &own.made().detectors)
    }

    /// Whether an account has kinds of its own.
    pub fn are_own(&self, account_id: AccountId) -> bool {
        self.accounts.contains_key(&account_id)
    }

    /// Whether those of an account are at hand.
    pub(crate) fn is_made(&self, account_id: AccountId) -> bool {
        self.accounts.get(&account_id).is_none_or(|own| own.made.get().is_some())
    }

    /// Memory of the compiled patterns of an account, without those of one kind.
    pub(crate) fn pattern_bytes(&self, account_id: AccountId, without: &str) -> usize {
        let rules = self.accounts.get(&account_id).into_iter().flat_map(|own| &own.made().rules);
        rules.filter(|(name, _)| *name != without).map(|(_, rule)| rule.pattern_bytes()).sum()
    }

    /// The same detectors where these accounts have these kinds.
    pub(crate) fn with(&self, changed: BTreeMap<AccountId, Vec<DataType>>) -> Self {
        let mut accounts = self.accounts.clone();
        for (account_id, rows) in changed {
            let before = accounts.remove(&account_id);
            if rows.is_empty() {
                continue;
            }
            let known = before.as_ref().filter(|known| known.rows == rows).cloned();
            accounts.insert(account_id, known.unwrap_or_else(|| Arc::new(OfAccount::new(rows, before.as_deref()))));
        }
        Self { common: Detectors::default(), accounts }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::data_types::{ConditionList, PredicateText};

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
        assert!(!first.is_made(two) && first.is_made(AccountId(3)), "compiled before anybody asks");
        let rule =
            |set: &DetectorSet, account: &AccountId, name: &str| set.accounts[account].made().rules[name].clone();
        let (before, other) = (rule(&first, &one, "A"), rule(&first, &two, "B"));
        let second = first.with([(one, vec![kind("A", "c")])].into());
        assert!(Arc::ptr_eq(&other, &rule(&second, &two, "B")), "compiled again for the change of another one");
        assert!(second.is_made(two) && !second.is_made(one));
        // Two changes, of which nobody asked for the first.
        let grown = second.with([(one, vec![kind("A", "a"), kind("D", "d")])].into());
        assert!(Arc::ptr_eq(&before, &rule(&grown, &one, "A")), "compiled again for a kind beside it");
        assert!(!Arc::ptr_eq(&before, &rule(&second, &one, "A")));
        assert_eq!(grown.of(one).detect_text("d", "x").sub_type.name(), "D");
        assert_eq!(grown.with([(one, Vec::new())].into()).accounts.len(), 1, "an account without kinds");
        assert_eq!(kind("A", "a").patterns(), 1);
    }
}

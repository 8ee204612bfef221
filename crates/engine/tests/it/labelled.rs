//! The labelled set: invented values with the kind that each is, for every detector, with the values that are nearly one.

use std::collections::{BTreeMap, HashSet};

use portolan_engine::{Conditions, CustomRule, CustomType, Detectors, PiiType, Predicate};

const SET: &str = include_str!("labelled.tsv");

/// What one kind's detector got right and wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    pub found: usize,
    /// Values of the kind that were taken for something else.
    pub missed: usize,
    /// Values of other kinds that were taken for this one.
    pub mistaken: usize,
}

impl Score {
    pub fn precision(&self) -> f64 {
        ratio(self.found, self.found + self.mistaken)
    }

    pub fn recall(&self) -> f64 {
        ratio(self.found, self.found + self.missed)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// Every row that was not detected as labelled, and the score of each kind.
pub fn scores() -> (Vec<String>, BTreeMap<String, Score>, usize) {
    let detectors: BTreeMap<&str, Detectors> = BTreeMap::from([
        ("default", Detectors::default()),
        ("all", Detectors::new(PiiType::all())),
        ("custom", Detectors::default().with_custom(custom_rules().into_iter().map(Into::into).collect(), [])),
    ]);
    let (mut wrong, mut scores, mut rows) = (Vec::new(), BTreeMap::<String, Score>::new(), 0);
    for line in SET.lines().filter(|line| !line.starts_with('#')) {
        let [set, key, value, kind] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("a row: {line}") };
        let value = value.replace('¦', "");
        let found = detectors[set].detect_text(key, &value).sub_type.name();
        rows += 1;
        // A row may say only what the value is not.
        if let Some(kind) = kind.strip_prefix("*not ") {
            if found == kind {
                scores.entry(kind.to_owned()).or_default().mistaken += 1;
                wrong.push(format!("{set}: `{key}` = `{value}` is no {kind}"));
            }
            continue;
        }
        if found == kind {
            scores.entry(kind.to_owned()).or_default().found += 1;
        } else {
            scores.entry(kind.to_owned()).or_default().missed += 1;
            scores.entry(found.to_owned()).or_default().mistaken += 1;
            wrong.push(format!("{set}: `{key}` = `{value}` is {kind}, found {found}"));
        }
    }
    (wrong, scores, rows)
}

/// Prints precision and recall of each kind.
pub fn print() {
    let (_, scores, rows) = scores();
    println!("labelled set: {rows} values, {} kinds", scores.len());
    println!("{:<42} {:>6} {:>9} {:>7}", "kind", "values", "precision", "recall");
    for (kind, score) in &scores {
        let values = score.found + score.missed;
        println!("{kind:<42} {values:>6} {:>9.3} {:>7.3}", score.precision(), score.recall());
    }
}

fn custom_rules() -> Vec<CustomRule> {
    let conditions = |predicate: Predicate| Some(Conditions { all: true, predicates: vec![predicate] });
    let rule = |name: &str, keys: Option<Conditions>, values: Option<Conditions>| CustomRule {
        custom: CustomType::named(name),
        keys,
        values,
        both: true,
        sensitive_always: true,
        sensitive_positions: Vec::new(),
        redacted: false,
    };
    let set = |texts: [&str; 2]| texts.map(str::to_owned).into_iter().collect::<HashSet<_>>();
    let reference = Conditions {
        all: true,
        predicates: vec![Predicate::StartsWith("ref:".to_owned()), Predicate::EndsWith(":end".to_owned())],
    };
    vec![
        rule("LOYALTY", None, conditions(Predicate::regex("L-[0-9]{6}").unwrap())),
        rule(
            "EMPLOYEE",
            conditions(Predicate::Contains("employee".to_owned())),
            conditions(Predicate::regex("E[0-9]+").unwrap()),
        ),
        rule(
            "TIER",
            conditions(Predicate::EqualsTo("tier".to_owned())),
            conditions(Predicate::BelongsTo(set(["gold", "silver"]))),
        ),
        rule("INTERNAL", conditions(Predicate::StartsWith("internal".to_owned())), None),
        rule("REFERENCE", None, Some(reference)),
        rule("AMOUNT", conditions(Predicate::EqualsTo("amountEur".to_owned())), conditions(Predicate::IsNumber)),
    ]
}

#[test]
fn every_kind_is_found_and_told_apart() {
    print();
    let (wrong, scores, rows) = scores();
    assert!(rows >= 600, "{rows}");
    println!("{}", wrong.join("\n"));
    let missing: Vec<_> = PiiType::all().map(PiiType::name).filter(|name| !scores.contains_key(*name)).collect();
    assert!(missing.is_empty(), "no value of {missing:?}");
    let weak: Vec<_> = scores.iter().filter(|(_, score)| score.precision() < 0.95 || score.recall() < 0.95).collect();
    assert!(weak.is_empty() && wrong.len() * 100 <= rows, "{weak:?}\n{}", wrong.join("\n"));
}

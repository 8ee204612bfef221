//! Fields whose values a library of invented data made, of kinds and in countries that the detectors were not written
//! for. `PORTOLAN_FIELDS` names another file of the same form.

use std::collections::BTreeMap;

use portolan_engine::{Detectors, PiiType, Position};

const SET: &str = include_str!("fields.tsv");

#[derive(Clone, Copy, Debug, Default)]
struct Found {
    fields: usize,
    by_default: usize,
    with_all: usize,
}

#[test]
fn sensitive_fields_of_strangers_are_found() {
    let set = match std::env::var("PORTOLAN_FIELDS") {
        Ok(path) => std::fs::read_to_string(path).expect("the file can be read"),
        Err(_) => SET.to_owned(),
    };
    let (default, all) = (Detectors::default(), Detectors::new(PiiType::all()));
    let mut kinds: BTreeMap<(&str, &str), Found> = BTreeMap::new();
    let mut groups: BTreeMap<&str, Found> = BTreeMap::new();
    for line in set.lines().filter(|line| !line.starts_with('#')) {
        let [kind, group, key, value, _] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("a row: {line}") };
        let value = value.replace('¦', "").replace("\\n", "\n");
        let is_claimed = |detectors: &Detectors| {
            let detected = detectors.detect_text(key, &value);
            !detected.reserved && detectors.is_sensitive_at(detected.sub_type, Position::ResponsePayload)
        };
        let (by_default, with_all) = (is_claimed(&default), is_claimed(&all));
        if (group == "harmless") == with_all {
            println!("{kind} {key} = {value}: {}", all.detect_text(key, &value).sub_type.name());
        }
        for found in [kinds.entry((group, kind)).or_default(), groups.entry(group).or_default()] {
            found.fields += 1;
            found.by_default += usize::from(by_default);
            found.with_all += usize::from(with_all);
        }
    }
    for ((group, kind), found) in &kinds {
        println!("{group:<10} {kind:<26} {:>5} {:>5} {:>5}", found.fields, found.by_default, found.with_all);
    }
    let mut sum = Found::default();
    for (group, found) in &groups {
        println!("{group:<37} {:>5} {:>5} {:>5}", found.fields, found.by_default, found.with_all);
        if *group != "harmless" {
            sum.fields += found.fields;
            sum.by_default += found.by_default;
            sum.with_all += found.with_all;
        }
    }
    let harmless = groups["harmless"];
    let score =
        |found: usize, mistaken: usize| (found as f64 / (found + mistaken) as f64, found as f64 / sum.fields as f64);
    let (default, all) = (score(sum.by_default, harmless.by_default), score(sum.with_all, harmless.with_all));
    println!("precision and recall: {default:.3?} by default, {all:.3?} with every kind");
    assert!(default.0 >= 0.95 && default.1 >= 0.60, "{default:?}");
    assert!(all.0 >= 0.95 && all.1 >= 0.90, "{all:?}");
}

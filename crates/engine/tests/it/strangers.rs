//! URLs whose values a library of invented data made, of services in styles that the rules were not written for.
//! `PORTOLAN_STRANGERS` names another file of the same form.

use portolan_engine::{
    Detectors,
    template::{RULES_VERSION, assign_all},
};

use crate::services::{self, Call, scores};

const SET: &str = include_str!("strangers.tsv");

fn calls() -> Vec<Call> {
    let set: &'static str = match std::env::var("PORTOLAN_STRANGERS") {
        Ok(path) => std::fs::read_to_string(path).expect("the file can be read").leak(),
        Err(_) => SET,
    };
    let detectors = Detectors::default();
    let rows = set.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let [style, service, method, operation, path, names] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("a row: {line}")
        };
        let url = format!("https://{service}.example{path}");
        Call::new(&detectors, (style, service, operation), method, url, names)
    })
    .collect()
}

#[test]
fn calls_of_strangers_are_told_apart() {
    let calls = calls();
    assert!(calls.len() > 500);
    let (scores, wrong) = scores(&calls);
    wrong.iter().for_each(|line| println!("{line}"));
    let [our, vendor] = &scores["all"];
    assert!(our.precision() >= 0.98 && our.recall() >= 0.85, "{} {}", our.precision(), our.recall());
    assert!(our.recall() > vendor.recall());
}

/// The version of the rules, and a digest of the templates that they make of both sets.
const SEEN: (i64, u64) = (2, 0x591f_9989_ad44_7a32);

/// What is stored is brought to other rules by their version, so no change of them may go without another.
#[test]
fn every_change_of_the_rules_has_a_version() {
    if std::env::var_os("PORTOLAN_STRANGERS").is_some() {
        return;
    }
    let raws: Vec<_> = services::calls().into_iter().chain(calls()).map(|call| call.raw).collect();
    let templates = assign_all(&raws);
    let bytes =
        raws.iter().zip(&templates).flat_map(|(raw, url)| [raw.url.as_str(), "\n", url, "\n"]).flat_map(str::bytes);
    let digest =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    assert_eq!(
        (RULES_VERSION, digest),
        SEEN,
        "the rules make other templates: raise RULES_VERSION once for each release, and note both here ({digest:#x})"
    );
}

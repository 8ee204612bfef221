//! Twenty-odd invented services in the styles in which people write URLs: which calls belong to one operation, by our
//! rules and by the documented vendor's as shipped (a token that is a number, an id, a UUID or has six characters with
//! three digits is variable; nothing else is).

use std::collections::{BTreeMap, BTreeSet};

use portolan_engine::template::{Catalog, RawEndpoint, assign_all, is_word};
use portolan_engine::{Detectors, EndpointDelta, Verdict, observe};
use portolan_record::{Record, Source};

const SET: &str = include_str!("services.tsv");

/// Calls of an operation that has a variable.
const CALLS: usize = 8;

const WORDS: [&str; 12] =
    ["falcon", "heron", "robin", "eagle", "maple", "cedar", "willow", "river", "harbor", "canyon", "meadow", "summit"];
const SLUGS: [&str; 12] = [
    "lemon-garlic-pasta",
    "apple-crumble",
    "green-bean-salad",
    "roast-chicken-dinner",
    "potato-soup",
    "berry-cream-cake",
    "summer-garden-salad",
    "black-pepper-steak",
    "winter-root-stew",
    "honey-glazed-carrots",
    "mint-tea",
    "butter-bread",
];
const NAMES: [&str; 12] = [
    "octokat",
    "mjansen",
    "kdelgado",
    "priyav",
    "tomasz",
    "yukiko",
    "lindqvist",
    "okonkwo",
    "szabo",
    "ferrante",
    "dubois",
    "nguyen",
];
const COUNTRIES: [&str; 12] = ["DE", "FR", "IT", "ES", "NL", "PL", "SE", "NO", "IN", "AT", "US", "GB"];
const CURRENCIES: [&str; 8] = ["EUR", "USD", "SEK", "PLN", "CHF", "JPY", "ALL", "TRY"];
const LOCALES: [&str; 8] = ["en-US", "de-DE", "fr-FR", "pt-BR", "it-IT", "sv-SE", "pl-PL", "nl-NL"];

/// A value of a kind, the same for the same number.
fn value(kind: &str, number: usize) -> String {
    let mixed = (number as u64 + 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hex = |digits: usize| {
        let text = format!("{mixed:016x}{:016x}{:016x}", mixed.rotate_left(21) ^ 0x51, mixed.rotate_left(43) ^ 0x3a7);
        text[..digits].to_owned()
    };
    let of = |list: &[&str]| list[number % list.len()].to_owned();
    match kind {
        "int" => (mixed % 90_000 + 17).to_string(),
        "uuid" => {
            let text = hex(32);
            [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
        }
        "hex" => format!("{}7f3a", &hex(20)),
        "hex8" => format!("3{}", &hex(7)),
        "sha" => hex(40),
        "id" => format!("7{}", &hex(7)),
        "code5" => format!("AL{}KI", char::from(b'A' + (number % 26) as u8)),
        "date" => format!("2031-{:02}-{:02}", number % 12 + 1, number % 28 + 1),
        "coordinates" => format!("48.{},11.{}", number + 10, number + 31),
        "five" => format!("{:05}", number + 120),
        "version" => format!("{}.{}.{}", number % 4, number % 7, number),
        "short" => format!("x{}k{}p", number % 10, number / 10 + 2),
        "invoice" => format!("INV-{}", number + 12),
        "list" => format!("{};{};{}", number + 101, number + 204, number + 377),
        "mail" => format!("{}@mail.org", NAMES[number % NAMES.len()]),
        "word" => of(&WORDS),
        "slug" => of(&SLUGS),
        "name" => of(&NAMES),
        "country" => of(&COUNTRIES),
        "currency" => of(&CURRENCIES),
        "locale" => of(&LOCALES),
        other => panic!("no kind {other}"),
    }
}

/// One call with the style of its service and the operation that it is of.
pub struct Call {
    pub style: &'static str,
    pub service: &'static str,
    pub operation: &'static str,
    pub raw: RawEndpoint,
    pub url: String,
}

impl Call {
    /// A successful call whose answer has these names.
    pub fn new(
        detectors: &Detectors,
        (style, service, operation): (&'static str, &'static str, &'static str),
        method: &str,
        url: String,
        names: &str,
    ) -> Self {
        let body: Vec<_> =
            names.split(',').filter(|name| !name.is_empty()).map(|name| format!(r#""{name}":1"#)).collect();
        let record = Record {
            source: Source::Har,
            method: method.into(),
            path: url.clone().into(),
            response_headers: r#"{"content-type":"application/json"}"#.into(),
            response_payload: if body.is_empty() { String::new() } else { format!("{{{}}}", body.join(",")) }.into(),
            status_code: 200,
            time: 1,
            ..Record::default()
        };
        let Verdict::Seen(list) = observe(&record, detectors) else { panic!("seen: {url}") };
        let delta = EndpointDelta::new(list.into_iter().next().unwrap());
        Self { style, service, operation, raw: delta.raw_endpoint(), url }
    }
}

pub fn calls() -> Vec<Call> {
    let detectors = Detectors::default();
    let mut calls = Vec::new();
    for (row, line) in SET.lines().filter(|line| !line.starts_with('#')).enumerate() {
        let [style, service, method, template, names] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("a row: {line}")
        };
        let mut seen = BTreeSet::new();
        for number in 0..if template.contains('{') { CALLS } else { 1 } {
            let mut url = format!("https://{service}.example");
            for (at, part) in template.split('{').enumerate() {
                match part.split_once('}').filter(|_| at > 0) {
                    Some((kind, rest)) => {
                        url.push_str(&value(kind, number * [1, 5, 7, 11][at - 1] + row % 3));
                        url.push_str(rest);
                    }
                    None => url.push_str(part),
                }
            }
            if !seen.insert(url.clone()) {
                continue;
            }
            let operation = &line[..line.len() - names.len()];
            calls.push(Call::new(&detectors, (style, service, operation), method, url, names));
        }
    }
    calls
}

/// The documented vendor's template of one URL.
fn vendors(url: &str) -> String {
    let is_id = |token: &str| {
        let digits = token.bytes().filter(u8::is_ascii_digit).count();
        let is_hex = token.len() == 24 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_uuid = token.len() == 36 && token.bytes().filter(|byte| *byte == b'-').count() == 4;
        let is_mixed = token.len() >= 6 && digits >= 3 && token.bytes().any(|byte| byte.is_ascii_alphabetic());
        !is_word(token) && (token.parse::<f64>().is_ok() || is_hex || is_uuid || is_mixed || token.contains('@'))
    };
    let tokens = url.split('/').enumerate();
    tokens.map(|(at, token)| if at > 2 && is_id(token) { "*" } else { token }).collect::<Vec<_>>().join("/")
}

#[derive(Default)]
pub struct Score {
    true_pairs: usize,
    claimed: usize,
    right: usize,
}

impl Score {
    fn add(&mut self, is_same: bool, is_claimed: bool) {
        self.true_pairs += usize::from(is_same);
        self.claimed += usize::from(is_claimed);
        self.right += usize::from(is_same && is_claimed);
    }

    pub fn precision(&self) -> f64 {
        if self.claimed == 0 { 1.0 } else { self.right as f64 / self.claimed as f64 }
    }

    pub fn recall(&self) -> f64 {
        if self.true_pairs == 0 { 1.0 } else { self.right as f64 / self.true_pairs as f64 }
    }
}

/// The scores of our rules and of the vendor's by style, printed, and what ours take wrongly. Our rules in their plain
/// form and step by step have to agree.
pub fn scores(calls: &[Call]) -> (BTreeMap<&'static str, [Score; 2]>, BTreeSet<String>) {
    let raws: Vec<_> = calls.iter().map(|call| call.raw.clone()).collect();
    let ours = assign_all(&raws);
    let mut catalog = Catalog::default();
    raws.iter().rev().for_each(|raw| _ = catalog.update(raw));
    for (raw, url) in raws.iter().zip(&ours) {
        assert_eq!(catalog.effective(raw.method, &raw.url).as_ref(), Some(url));
    }
    let mut scores: BTreeMap<&'static str, [Score; 2]> = BTreeMap::new();
    let mut wrong = BTreeSet::new();
    for (at, left) in calls.iter().enumerate() {
        for (right, url) in calls.iter().zip(&ours).skip(at + 1) {
            if left.service != right.service || left.raw.method != right.raw.method {
                continue;
            }
            let (is_same, claimed) = (left.operation == right.operation, ours[at] == *url);
            for style in [left.style, "all"] {
                let [our, vendor] = scores.entry(style).or_default();
                our.add(is_same, claimed);
                vendor.add(is_same, vendors(&left.url) == vendors(&right.url));
            }
            if is_same != claimed {
                wrong.insert(format!("{} {} | {} -> {} | {url}", is_same, left.url, right.url, ours[at]));
            }
        }
    }
    println!(
        "{:<12} {:>6} {:>9} {:>7} {:>17} {:>7}",
        "style", "pairs", "precision", "recall", "vendor: precision", "recall"
    );
    for (style, [our, vendor]) in &scores {
        let (pairs, precision, recall) = (our.true_pairs, our.precision(), our.recall());
        let (other, least) = (vendor.precision(), vendor.recall());
        println!("{style:<12} {pairs:>6} {precision:>9.3} {recall:>7.3} {other:>17.3} {least:>7.3}");
    }
    wrong.iter().for_each(|line| println!("{line}"));
    (scores, wrong)
}

#[test]
fn calls_of_one_operation_are_one_endpoint() {
    let calls = calls();
    let (scores, wrong) = scores(&calls);
    let services: BTreeSet<_> = calls.iter().map(|call| call.service).collect();
    assert!(services.len() >= 20, "{}", services.len());
    let [our, vendor] = &scores["all"];
    assert!(our.precision() >= 0.98 && our.recall() >= 0.85, "{wrong:?}");
    assert!(our.recall() > vendor.recall());
    for style in ["rest", "odata", "hashes", "versions", "short", "codes", "verbs", "kinds"] {
        assert!(scores[style][0].recall() >= 0.97, "{style}");
    }
    assert!(scores["words"][0].precision() >= 0.95 && scores["words"][0].recall() >= 0.55);
    assert!(scores["constants"][0].precision() >= 0.98);
}

//! The engine over captures of real browsers. The folder with `har/*.har` comes from `PORTOLAN_TEST_DATA`.

mod fields;
mod labelled;
mod services;
mod strangers;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use portolan_engine::template::{Catalog, assign_all};
use portolan_engine::{Detectors, EndpointDelta, Method, Verdict, observe};
use portolan_record::{Record, Source};
use serde_json::{Map, Value};

fn records(har: &Value) -> Vec<Record<'static>> {
    let entries = har["log"]["entries"].as_array().into_iter().flatten();
    entries
        .map(|entry| {
            let (request, response) = (&entry["request"], &entry["response"]);
            let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
            Record {
                source: Source::Har,
                method: text(&request["method"]).into(),
                path: text(&request["url"]).into(),
                request_headers: headers(&request["headers"]).into(),
                request_payload: text(&request["postData"]["text"]).into(),
                response_headers: headers(&response["headers"]).into(),
                response_payload: text(&response["content"]["text"]).into(),
                status_code: response["status"].as_i64().unwrap_or_default() as i32,
                time: 1,
                ..Record::default()
            }
        })
        .collect()
}

fn headers(list: &Value) -> String {
    let entries = list.as_array().into_iter().flatten();
    let pairs = entries.filter_map(|header| Some((header["name"].as_str()?.to_string(), header["value"].clone())));
    Value::Object(pairs.collect::<Map<_, _>>()).to_string()
}

fn deltas(records: &[Record<'_>]) -> BTreeMap<(Method, String), EndpointDelta> {
    let detectors = Detectors::default();
    let mut deltas: BTreeMap<(Method, String), EndpointDelta> = BTreeMap::new();
    for record in records {
        let Verdict::Seen(list) = observe(record, &detectors) else { continue };
        for observation in list {
            let key = (observation.method, observation.raw_url.clone());
            match deltas.entry(key) {
                std::collections::btree_map::Entry::Vacant(place) => _ = place.insert(EndpointDelta::new(observation)),
                std::collections::btree_map::Entry::Occupied(mut known) => known.get_mut().fold(observation),
            }
        }
    }
    deltas
}

/// Every capture: the catalog gives what the whole set gives, backwards too, and each sensitive finding is printed for
/// the reader to judge.
#[test]
fn captures_are_read_the_same_in_both_directions() {
    let Ok(folder) = std::env::var("PORTOLAN_TEST_DATA") else {
        println!("skipped: PORTOLAN_TEST_DATA names no folder");
        return;
    };
    let mut read = 0;
    for file in std::fs::read_dir(Path::new(&folder).join("har")).expect("the folder holds har/") {
        let path = file.expect("the folder can be listed").path();
        let text = std::fs::read_to_string(&path).expect("captures are text");
        let Ok(har) = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) else { continue };
        let records = records(&har);
        let mut backwards = records.clone();
        backwards.reverse();
        let deltas = deltas(&records);
        assert_eq!(deltas, self::deltas(&backwards));
        let raws: Vec<_> = deltas.values().map(EndpointDelta::raw_endpoint).collect();
        let expected = assign_all(&raws);
        let mut catalog = Catalog::default();
        for raw in raws.iter().rev() {
            catalog.update(raw);
        }
        let endpoints: BTreeSet<_> =
            raws.iter().zip(&expected).filter(|(raw, _)| raw.proven).map(|(raw, url)| (raw.method, url)).collect();
        for (raw, url) in raws.iter().zip(&expected) {
            assert_eq!(catalog.effective(raw.method, &raw.url).as_ref(), Some(url));
        }
        read += records.len();
        println!("{}: {} records, {} endpoints", path.display(), records.len(), endpoints.len());
        for delta in deltas.values() {
            for (key, known) in delta.parameters.iter().filter(|(_, known)| known.sensitive) {
                let values: Vec<_> = known.values.list().take(3).collect();
                println!("  {} {} {} {values:?}", key.sub_type.name(), key.response_code, key.name);
            }
        }
    }
    assert!(read > 0, "the folder holds no capture");
}

//! Records: what can be read is observed, or dropped for a reason, and writes and reads back as the same.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portolan_engine::{Detectors, PiiType, Verdict, observe};
use portolan_record::Record;

static DETECTORS: LazyLock<Detectors> = LazyLock::new(|| Detectors::new(PiiType::all()));

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(record) = Record::parse(text) else { return };
    let again = record.to_json();
    assert_eq!(Record::parse(&again).unwrap(), record);
    if let Verdict::Seen(observations) = observe(&record, &DETECTORS) {
        for observation in observations {
            assert!(observation.parameters.iter().all(|sighting| !sighting.key.name.contains('\0')));
        }
    }
});

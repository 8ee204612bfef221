//! Captures: what is counted before is what is converted, and every record can be read again.
#![no_main]

use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use portolan_formats::{Target, detect, har};
use portolan_record::{Record, Source};

fuzz_target!(|bytes: &[u8]| {
    detect(bytes);
    let target = Target { account_id: 1, collection_id: 2, time: 3, source: Source::Har };
    let mut items = 0;
    let converted = har::convert_slice(bytes, &target, &mut |item| {
        items += 1;
        if let har::Item::Record(record) = item {
            assert_eq!(Record::parse(&record.to_json()).unwrap(), record);
        }
        ControlFlow::Continue(())
    });
    let counted = har::validate_reader(bytes);
    assert_eq!(converted.is_ok(), counted.is_ok());
    if let Ok(counted) = counted {
        assert_eq!(counted, items);
    }
});

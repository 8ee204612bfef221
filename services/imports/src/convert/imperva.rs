use std::collections::BTreeMap;

use portolan_formats::FormatError;
use portolan_formats::imperva::Document;
use portolan_record::Source;

use crate::model::documents::{Converted, Destination};

/// Converts a file for one collection.
pub fn convert_text(text: &[u8], destination: &Destination) -> Result<Converted, FormatError> {
    let document = Document::parse(text)?;
    let hosts = document.hosts();
    let mut converted = Converted::default();
    for outcome in document.convert(&BTreeMap::new(), destination.target(Source::Imperva), false) {
        converted.push("", String::new(), outcome.url, outcome.method, outcome.records, outcome.errors)?;
    }
    Ok(converted.titled(hosts.first().map(String::as_str)))
}

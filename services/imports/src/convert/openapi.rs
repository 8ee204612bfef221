use portolan_formats::FormatError;
use portolan_formats::openapi::Document;
use portolan_record::Source;

use crate::model::documents::{Converted, Destination};

/// Converts the text of a document.
pub fn convert_text(text: &[u8], destination: &Destination) -> Result<Converted, FormatError> {
    let document = Document::parse(text)?;
    let mut converted = Converted::default();
    converted.errors = document.errors().to_vec();
    converted.operations.reserve(document.operation_count());
    for outcome in document.operations(&destination.target(Source::OpenApi)) {
        let shown = |url: String| if destination.path_only { path_of(&url).to_owned() } else { url };
        let record = outcome.record.map(|mut record| {
            if let Some(declaration) = record.declaration.as_mut().filter(|_| destination.path_only) {
                declaration.addresses = declaration.addresses.iter().map(|url| path_of(url).to_owned()).collect();
            }
            record.path = shown(record.path.into_owned()).into();
            record
        });
        let records = record.into_iter().collect();
        converted.push("", String::new(), shown(outcome.url), outcome.method, records, outcome.errors)?;
    }
    Ok(converted.titled(document.title()))
}

/// An address without scheme and host.
fn path_of(url: &str) -> &str {
    match url.split_once("://") {
        None => url,
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_collections_get_paths() {
        assert_eq!(path_of("https://api.example.com/v1/pets?x=1"), "/v1/pets?x=1");
        assert_eq!(path_of("https://api.example.com"), "/");
        assert_eq!(path_of("/v1/pets"), "/v1/pets");
    }
}

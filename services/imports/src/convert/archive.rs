use std::ops::ControlFlow;

use portolan_formats::archive::{Archive, Member};
use portolan_formats::openapi::{ErrorType, ImportError};
use portolan_formats::{Format, FormatError, har};
use portolan_record::Source;

use super::single;
use crate::model::documents::{Converted, Destination};

/// Converts the documents of an archive, each as if it stood alone. One that cannot be read is named, and hides no other.
pub fn convert(bytes: &[u8], destination: &Destination) -> Result<Converted, FormatError> {
    let archive = Archive::read(bytes)?;
    let mut converted = Converted::default();
    converted.errors = archive.notes;
    let mut refused = None;
    for member in &archive.documents {
        match document(member, destination) {
            Ok(document) => converted.absorb(&member.name, document)?,
            Err(error @ FormatError::TooLarge(_)) => return Err(error),
            Err(error) => {
                let text = format!("{}: {error}", member.name);
                converted.errors.push(ImportError { error: text, error_type: ErrorType::Error });
                refused.get_or_insert(error);
            }
        }
    }
    match refused {
        Some(error) if converted.operations.is_empty() => Err(error),
        _ => Ok(converted),
    }
}

fn document(member: &Member, destination: &Destination) -> Result<Converted, FormatError> {
    match member.format {
        Format::Har => capture(&member.bytes, destination),
        format => single::convert(format, &member.bytes, destination),
    }
}

fn capture(bytes: &[u8], destination: &Destination) -> Result<Converted, FormatError> {
    let mut converted = Converted::default();
    let mut failure = None;
    har::convert_slice(bytes, &destination.target(Source::Har), &mut |item| {
        let pushed = match item {
            har::Item::Record(record) => {
                let (url, method) = (record.path.to_string(), record.method.to_string());
                converted.push("", String::new(), url, method, vec![record], Vec::new())
            }
            har::Item::Refused { index, reason } => {
                let text = format!("Error in entry {index}: {reason}");
                converted.errors.push(ImportError { error: text, error_type: ErrorType::Error });
                Ok(())
            }
        };
        match pushed {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failure.map_or(Ok(converted), Err)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use portolan_ids::{AccountId, CollectionId};

    use super::*;

    /// Documents of every kind in one archive are one import; what is wrong with one is told with its name.
    #[test]
    fn each_document_of_an_archive_is_converted() {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in [
            ("api/openapi.yaml", "openapi: 3.0.0\ninfo: {title: Shop}\npaths: {/orders: {get: {}}}\n"),
            ("broken.yaml", "openapi: 9.0.0\npaths: {}\n"),
            ("c.json", r#"{"info": {"name": "C"}, "item": [{"name": "one", "request": "https://a.example/one"}]}"#),
            (
                "calls.har",
                r#"{"log": {"entries": [{"request": {"method": "GET", "url": "https://a.example/two"}, "response": {"status": 200}}, 7]}}"#,
            ),
            ("README.md", "# Shop\n"),
        ] {
            writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        let bytes = writer.finish().unwrap().into_inner();
        let destination =
            Destination { account_id: AccountId(1), collection_id: CollectionId(2), path_only: false, time: 3 };
        let converted = convert(&bytes, &destination).unwrap();
        let urls: Vec<_> = converted.operations.iter().map(|operation| &*operation.url).collect();
        assert_eq!(urls, ["/orders", "https://a.example/one", "https://a.example/two"]);
        assert_eq!(converted.title.as_deref(), Some("Shop"));
        let errors: Vec<_> = converted.errors.iter().map(|error| &*error.error).collect();
        assert_eq!(errors[0], "README.md is left out: this is a Markdown text");
        assert!(errors[1].starts_with("broken.yaml: not an OpenAPI or Swagger document: version"), "{errors:?}");
        assert!(errors[2].starts_with("calls.har: Error in entry 2: "), "{errors:?}");
    }
}

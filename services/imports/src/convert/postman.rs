use std::ops::ControlFlow;

use portolan_formats::FormatError;
use portolan_formats::postman::{Collection, Document};
use portolan_record::Source;

use crate::model::documents::{Converted, Destination};
use crate::model::text::without_nul;
use crate::model::uploads::Group;

/// Longest name that is kept of a collection.
const NAME_CHARS_MAX: usize = 200;

/// Converts every collection of a file.
pub fn convert_text(text: &[u8], destination: &Destination) -> Result<Converted, FormatError> {
    let document = Document::parse(text)?;
    let mut converted = Converted::default();
    converted.errors = document.errors().to_vec();
    let mut title = None;
    for (index, collection) in document.collections().enumerate() {
        let mut group = group(&collection, index);
        if converted.groups.iter().any(|known: &Group| known.group_id == group.group_id) {
            group.group_id = format!("{}-{index}", group.group_id);
        }
        let mut failure = None;
        group.errors = collection.convert(&destination.target(Source::Postman), &mut |outcome| {
            let (name, url, method) = (outcome.name, outcome.url, outcome.method);
            match converted.push(&group.group_id, name, url, method, outcome.records, outcome.errors) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        title.get_or_insert_with(|| group.name.clone());
        converted.errors.extend(group.errors.iter().cloned());
        converted.groups.push(group);
    }
    Ok(converted.titled(title.as_deref()))
}

fn group(collection: &Collection<'_>, index: usize) -> Group {
    let group_id = collection.id().unwrap_or_else(|| format!("collection-{index}"));
    let group_id: String = without_nul(group_id).chars().take(100).collect();
    let name = collection.name().unwrap_or_else(|| format!("Postman Collection {group_id}"));
    let name = without_nul(name.chars().take(NAME_CHARS_MAX).collect());
    Group { group_id, name, has_info: collection.has_info(), ..Group::default() }
}

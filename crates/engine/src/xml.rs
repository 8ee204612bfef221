use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use crate::json::DEPTH_MAX;
use crate::sighting::{NAME_BYTES_MAX, Place, Sightings, cut, normal_key};

/// A text that is no well-formed XML document of the kind that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads the text leaves of a document: below the SOAP body if there is one, else below the root. Names are local names;
/// attributes are left out.
///
/// # Errors
/// [`Malformed`] for a document type, an entity other than the five of XML, more than [`DEPTH_MAX`] levels, or text that
/// is not well-formed. The sightings may hold a part by then.
pub fn read(text: &str, code: i32, sightings: &mut Sightings<'_>) -> Result<(), Malformed> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<String> = Vec::new();
    let mut content = String::new();
    let mut is_leaf = false;
    let mut has_root = false;
    loop {
        match reader.read_event().map_err(|_| Malformed)? {
            Event::Start(start) => {
                if open.len() >= DEPTH_MAX {
                    return Err(Malformed);
                }
                open.push(String::from_utf8_lossy(start.local_name().as_ref()).into_owned());
                content.clear();
                is_leaf = true;
                has_root = true;
            }
            Event::Text(text) => content.push_str(&text.decode().map_err(|_| Malformed)?),
            Event::CData(text) => content.push_str(&text.decode().map_err(|_| Malformed)?),
            Event::GeneralRef(reference) => content.push(resolve(&reference)?),
            Event::End(_) => {
                if is_leaf {
                    add_leaf(&open, &content, code, sightings);
                }
                is_leaf = false;
                open.pop();
                content.clear();
            }
            Event::Empty(_) => is_leaf = false,
            Event::DocType(_) => return Err(Malformed),
            Event::Eof => return if open.is_empty() && has_root { Ok(()) } else { Err(Malformed) },
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<char, Malformed> {
    if let Some(character) = reference.resolve_char_ref().map_err(|_| Malformed)? {
        return Ok(character);
    }
    Ok(match &*reference.decode().map_err(|_| Malformed)? {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return Err(Malformed),
    })
}

fn add_leaf(open: &[String], content: &str, code: i32, sightings: &mut Sightings<'_>) {
    let is_soap = open.first().is_some_and(|root| root == "Envelope");
    let path = match (is_soap, open.get(1)) {
        (true, Some(part)) if part == "Body" => &open[2..],
        (true, _) => return,
        (false, _) => open,
    };
    let Some(last) = path.last() else { return };
    let name = path.iter().map(|name| normal_key(name)).collect::<Vec<_>>().join("#");
    sightings.add_text(code, Place::Body, cut(&name, NAME_BYTES_MAX), last, content.trim());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Detectors;

    fn leaves(text: &str) -> Result<Vec<(String, String)>, Malformed> {
        let detectors = Detectors::default();
        let mut sightings = Sightings::new(&detectors);
        read(text, 200, &mut sightings)?;
        Ok(sightings.finish().into_iter().map(|found| (found.key.name.into(), found.value.unwrap().into())).collect())
    }

    #[test]
    fn soap_gives_the_leaves_of_its_body() {
        let text = r#"<?xml version="1.0"?><s:Envelope xmlns:s="x"><s:Header><t>1</t></s:Header>
            <s:Body><m:Get><m:id>7</m:id><m:name> a &amp; <![CDATA[<b>]]>&#33;</m:name><m:none/></m:Get></s:Body></s:Envelope>"#;
        let expected =
            [("Get#id", "7"), ("Get#name", "a & <b>!")].map(|(name, value)| (name.to_string(), value.to_string()));
        assert_eq!(leaves(text).unwrap(), expected);
    }

    #[test]
    fn other_documents_start_at_their_root() {
        assert_eq!(leaves("<a><b>x</b></a>").unwrap(), [("a#b".to_string(), "x".to_string())]);
    }

    #[test]
    fn document_types_and_entities_are_refused() {
        for text in [
            r#"<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>"#,
            "<a>&b;</a>",
            "<a><b></a>",
            "<a>",
            "",
            "text",
            &"<a>".repeat(100_000),
        ] {
            assert!(leaves(text).is_err(), "{}", cut(text, 40));
        }
    }
}

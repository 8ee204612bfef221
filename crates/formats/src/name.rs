//! The name that a document gives itself, from its first bytes: read by its structure, never found by searching.

use crate::detect::first_document;
use crate::{Format, text, tree};

/// Longer names are no names.
const NAME_BYTES_MAX: usize = 1_000;

/// The name in the first bytes of a document: the title of a specification, the name of a Postman collection. `None`
/// where it has none or where it stands behind them.
pub fn name(format: Format, prefix: &[u8]) -> Option<String> {
    let prefix = first_document(prefix);
    let text = text::decode_prefix(&prefix);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let is_json = text.starts_with('{');
    let name = match format {
        Format::OpenApi if is_json => json_text(text, &["info", "title"]),
        Format::OpenApi => yaml_title(text),
        Format::Postman => json_text(text, &["info", "name"])
            .or_else(|| json_text(text, &["collection", "info", "name"]))
            .or_else(|| json_text(text, &["collection", "name"]))
            .or_else(|| json_text(text, &["name"])),
        Format::Har | Format::Imperva => None,
    }?;
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    (!name.is_empty() && name.len() <= NAME_BYTES_MAX).then_some(name)
}

/// The text at a path of members from the outermost object, however much of the document follows or is missing.
fn json_text(text: &str, path: &[&str]) -> Option<String> {
    let bytes = text.as_bytes();
    // How many of the path's members lead to the present place; the depth of objects and lists.
    let (mut matched, mut depth, mut at) = (0_usize, 0_usize, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                matched = matched.min(depth.saturating_sub(1));
                at += 1;
            }
            b'"' => {
                let mut strings = serde_json::Deserializer::from_str(&text[at..]).into_iter::<String>();
                let string = strings.next()?.ok()?;
                at += strings.byte_offset();
                let rest = text[at..].trim_start();
                if depth != matched + 1 || path.get(matched) != Some(&&*string) {
                    continue;
                }
                let Some(value) = rest.strip_prefix(':').map(str::trim_start) else { continue };
                if matched + 1 == path.len() {
                    return serde_json::Deserializer::from_str(value).into_iter::<String>().next()?.ok();
                }
                if value.starts_with('{') {
                    matched += 1;
                }
            }
            _ => at += 1,
        }
    }
    None
}

/// The title in the member `info` of a document in YAML, whose lines end where the next member begins.
fn yaml_title(text: &str) -> Option<String> {
    let is_info = |line: &str| {
        let name = line.split_once(':').map(|(name, _)| name.trim_end().trim_matches(['"', '\''])).unwrap_or_default();
        name == "info"
    };
    let mut lines = text.lines().skip_while(|line| !is_info(line));
    let mut block = lines.next()?.to_owned();
    for line in lines.take_while(|line| line.is_empty() || line.starts_with([' ', '\t', '#', '}'])) {
        block.push('\n');
        block.push_str(line);
    }
    block.push('\n');
    tree::parse(&block).ok()?.root.get("info")?.get("title")?.scalar()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_called_what_it_calls_itself() {
        for (format, text, expected) in [
            (Format::OpenApi, r#"{"openapi":"3.0.0","info":{"version":"1","title":"Pets \"1\""}"#, Some("Pets \"1\"")),
            (
                Format::OpenApi,
                r#"{"components":{"schemas":{"B":{"properties":{"info":{"title":"no"}}}}},"info":{"contact":{"title":"no"},"title":"Library"},"#,
                Some("Library"),
            ),
            (Format::OpenApi, r#"{"paths":{"info":{"title":"no"}}}"#, None),
            (Format::OpenApi, r#"{"x":"info","y":["info",{"title":"no"}],"info":{"title":"A"}}"#, Some("A")),
            (
                Format::OpenApi,
                "openapi: 3.1.0\ninfo:\n  version: 1\n  title: Train Travel API # x\n",
                Some("Train Travel API"),
            ),
            (Format::OpenApi, "openapi: 3.1.0\ninfo: {title: Payroll, version: \"1\"}\npaths: {}\n", Some("Payroll")),
            (
                Format::OpenApi,
                "info:\n  title: >-\n    Parking\n    service\n  version: '1'\n",
                Some("Parking service"),
            ),
            (Format::OpenApi, "info:\n  contact: {title: no}\n  title: 'It''s'\nx: [", Some("It's")),
            (Format::OpenApi, "openapi: 3.1.0\npaths:\n  title: no\n", None),
            (
                Format::Postman,
                r#"{"item":[{"name":"Account Sessions"}],"info":{"name":" Stripe API "}}"#,
                Some("Stripe API"),
            ),
            (Format::Postman, r#"{"collection":{"item":[{"name":"no"}],"info":{"name":"Shop"}}}"#, Some("Shop")),
            (Format::Postman, r#"{"id":"x","folders":[{"name":"no"}],"name":"Old","requests":[]}"#, Some("Old")),
            (Format::Postman, r#"{"item":[{"name":"no"#, None),
        ] {
            assert_eq!(name(format, text.as_bytes()).as_deref(), expected, "{text}");
        }
    }
}

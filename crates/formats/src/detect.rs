use crate::text;

/// A file format that this crate converts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Har,
    /// OpenAPI 3.x or Swagger 2.0, as JSON or YAML.
    OpenApi,
}

/// Names the format of a file by its first bytes: the more of them, the surer. `None` when nothing tells.
///
/// The members of the outermost object decide: `log` for a HAR, `openapi` or `swagger` for a specification, and
/// members that only a specification has, such as `paths`, where its version stands later than the prefix reaches.
pub fn detect(prefix: &[u8]) -> Option<Format> {
    let text = text::decode_prefix(prefix);
    let text = text.trim_start();
    let mut guess = None;
    let mut decided = None;
    let mut judge = |name: &str| {
        match name {
            "log" => decided = decided.or(Some(Format::Har)),
            "openapi" | "swagger" => decided = decided.or(Some(Format::OpenApi)),
            "paths" | "basePath" | "components" | "securityDefinitions" => guess = Some(Format::OpenApi),
            _ => {}
        }
        decided.is_some()
    };
    if text.starts_with('{') {
        json_members(text.as_bytes(), &mut judge);
    } else {
        yaml_members(text, &mut judge);
    }
    decided.or(guess)
}

/// Calls `judge` with each member name of the outermost object until it answers true.
fn json_members(text: &[u8], judge: &mut dyn FnMut(&str) -> bool) {
    let mut depth = 0_u32;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let start = at;
                while let Some(&inner) = text.get(at) {
                    at += if inner == b'\\' { 2 } else { 1 };
                    if inner == b'"' {
                        break;
                    }
                }
                let rest = text.get(at..).unwrap_or_default();
                let name = text.get(start..at.saturating_sub(1)).unwrap_or_default();
                if depth == 1 && rest.trim_ascii_start().first() == Some(&b':') {
                    let name = std::str::from_utf8(name).unwrap_or_default();
                    if judge(name) {
                        return;
                    }
                }
            }
            _ => {}
        }
    }
}

/// Calls `judge` with the name of each line that starts a member at the left margin until it answers true.
fn yaml_members(text: &str, judge: &mut dyn FnMut(&str) -> bool) {
    for line in text.lines() {
        if let Some((name, _)) = line.split_once(':')
            && judge(name.trim_end().trim_matches(['"', '\'']))
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outermost_members_decide() {
        let check = |text: &str, expected: Option<Format>| {
            assert_eq!(detect(text.as_bytes()), expected, "{text}");
            let mut wide = vec![0xFF, 0xFE];
            wide.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
            assert_eq!(detect(&wide), expected, "{text}");
            assert_eq!(detect(&[b"\xEF\xBB\xBF", text.as_bytes()].concat()), expected, "{text}");
        };
        check(r#"{"log": {"version": "1.2", "entries": ["#, Some(Format::Har));
        check(r#"  {"_x": {"openapi": 1}, "log": {"#, Some(Format::Har));
        check(r#"{"info": {"title": "log"}, "openapi": "3.1.0""#, Some(Format::OpenApi));
        check(r#"{"info": {"title": "a \"b"}, "paths": {"/a": {"#, Some(Format::OpenApi));
        check("# a comment\nopenapi: 3.0.0\n", Some(Format::OpenApi));
        check("info:\n  title: x\nswagger: '2.0'\n", Some(Format::OpenApi));
        check("\"swagger\": \"2.0\"\n", Some(Format::OpenApi));
        check(r#"{"info": {"schema": "x"}, "item": []}"#, None);
        check("hello", None);
        check("", None);
        check("{\"a\\", None);
    }
}

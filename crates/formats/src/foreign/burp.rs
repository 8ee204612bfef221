//! Burp: the XML that it saves items as. Requests and responses are whole messages, in base64 or as text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::{Value, json};

use crate::FormatError;

use crate::notes::{Notes, cut};

use super::build::{Foreign, collection_of};

/// Most items of one file.
const ITEMS_MAX: usize = 200_000;

pub(super) fn is_export(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('<')
        && text
            .get(..text.floor_char_boundary(8_192))
            .is_some_and(|head| head.contains("<items") && head.contains("burpVersion"))
}

#[derive(Default)]
struct Item {
    url: String,
    method: String,
    status: String,
    request: String,
    response: String,
}

/// Elements of an item; what is not among them is named.
const KNOWN: [&str; 14] = [
    "time",
    "url",
    "host",
    "port",
    "protocol",
    "method",
    "path",
    "extension",
    "request",
    "status",
    "responselength",
    "mimetype",
    "response",
    "comment",
];

pub(super) fn collection(text: &str) -> Result<Foreign, FormatError> {
    let mut reader = Reader::from_str(text);
    let mut items = Vec::new();
    let mut item = Item::default();
    let mut element = String::new();
    let mut is_base64 = false;
    let mut content = String::new();
    let (mut notes, mut open) = (Notes::default(), Vec::new());
    loop {
        let event = reader.read_event().map_err(|error| refused(text, reader.error_position(), &error.to_string()))?;
        match event {
            Event::Start(start) => {
                element = String::from_utf8_lossy(start.name().as_ref()).into_owned();
                content.clear();
                is_base64 = start
                    .attributes()
                    .flatten()
                    .any(|attribute| attribute.key.as_ref() == b"base64" && attribute.value.as_ref() == b"true");
                let is_known = match open.as_slice() {
                    [] => element == "items",
                    [_] => element == "item",
                    [_, _] => KNOWN.contains(&&*element),
                    // What is unknown is named once, by its outermost element.
                    _ => true,
                };
                if !is_known {
                    let place =
                        if open.len() < 2 { "the file".to_owned() } else { format!("item {}", items.len() + 1) };
                    notes.warn(format!("{place}: element `{}` is not understood and left out", cut(&element)));
                }
                if element == "item" && open.len() == 1 {
                    item = Item::default();
                }
                open.push(element.clone());
            }
            Event::Text(part) => content.push_str(&part.decode().unwrap_or_default()),
            Event::CData(part) => content.push_str(&String::from_utf8_lossy(&part)),
            Event::GeneralRef(part) => content.push_str(match &*part {
                b"amp" => "&",
                b"lt" => "<",
                b"gt" => ">",
                b"quot" => "\"",
                b"apos" => "'",
                _ => "\u{fffd}",
            }),
            Event::End(end) if end.name().as_ref() == b"item" && open.len() == 2 => {
                open.pop();
                items.push(converted(std::mem::take(&mut item)));
                if items.len() > ITEMS_MAX {
                    return Err(FormatError::TooLarge(format!("it holds more than {ITEMS_MAX} items")));
                }
            }
            Event::Empty(empty) if open.len() == 1 || empty.name().as_ref() == b"item" => {
                let element = String::from_utf8_lossy(empty.name().as_ref()).into_owned();
                notes.warn(format!("the file: element `{}` is empty and left out", cut(&element)));
            }
            Event::End(_) => {
                let depth = open.len();
                open.pop();
                if depth != 3 {
                    element.clear();
                    continue;
                }
                let whole = match is_base64 {
                    true => STANDARD.decode(content.trim()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
                    false => Ok(content.clone()),
                };
                let whole = whole.unwrap_or_default();
                match &*element {
                    "url" => item.url = whole.trim().to_owned(),
                    "method" => item.method = whole.trim().to_owned(),
                    "status" => item.status = whole.trim().to_owned(),
                    "request" => item.request = whole,
                    "response" => item.response = whole,
                    _ => {}
                }
                element.clear();
                is_base64 = false;
            }
            Event::Eof => break,
            _ => {}
        }
    }
    Ok(Foreign::new(&collection_of("Burp items", Vec::new(), items), notes))
}

fn refused(text: &str, at: u64, reason: &str) -> FormatError {
    let before = &text[..text.floor_char_boundary(usize::try_from(at).unwrap_or(text.len()).min(text.len()))];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = 1 + before.matches('\n').count() as u64;
    FormatError::Syntax { line, column: (before.len() - line_start) as u64 + 1, reason: reason.to_owned() }
}

fn converted(item: Item) -> Value {
    let (head, body) = parts(&item.request);
    let method = match item.method.is_empty() {
        true => head.split(' ').next().unwrap_or_default().to_owned(),
        false => item.method,
    };
    let request =
        json!({"method": method, "url": item.url, "header": headers(head), "body": {"mode": "raw", "raw": body}});
    let (answer, content) = parts(&item.response);
    let code: Option<i64> = item.status.parse().ok().or_else(|| answer.split(' ').nth(1)?.parse().ok());
    let responses: Vec<Value> = code
        .into_iter()
        .map(|code| json!({"originalRequest": request, "code": code, "header": headers(answer), "body": content}))
        .collect();
    json!({"name": format!("{method} {}", item.url), "request": request, "response": responses})
}

/// The first line with the headers, and what follows the empty line.
fn parts(message: &str) -> (&str, &str) {
    message.split_once("\r\n\r\n").or_else(|| message.split_once("\n\n")).unwrap_or((message, ""))
}

fn headers(head: &str) -> Value {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| json!({"key": name.trim(), "value": value.trim()})).collect()
}

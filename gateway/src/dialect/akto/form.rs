//! Forms as the JSON object that their members say: a text for each, or the JSON that the text of a member holds where no
//! text is wanted.

use std::{borrow::Cow, collections::BTreeMap, convert::Infallible};

use bytes::Bytes;
use futures::{FutureExt as _, stream};
use multer::Multipart;
use percent_encoding::percent_decode;
use portolan_api::{Error, Reason};
use serde_json::{Value, value::RawValue};

use super::body::unreadable;
use crate::codec::{FieldPlan, Kind, MessagePlan};

/// Most members of a form.
const MEMBERS_MAX: usize = 1000;

/// The texts of a member in the order in which they were given, by the member's index.
type Texts<'b> = BTreeMap<usize, Vec<Cow<'b, str>>>;

/// The object of an urlencoded form.
///
/// # Errors
/// `MEMBER_TYPE` for a member that is not UTF-8 or given too often, and for too many members.
pub(super) fn of_pairs(plan: &MessagePlan, body: &[u8]) -> Result<Vec<u8>, Error> {
    let mut texts = Texts::new();
    for (count, pair) in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).enumerate() {
        within(count)?;
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let name = decoded(&pair[..at]).ok_or_else(|| unreadable("has a name that is not UTF-8"))?;
        let Some((index, field)) = member(plan, &name) else { continue };
        let text = decoded(pair.get(at + 1..).unwrap_or_default());
        let text = text.ok_or_else(|| of_member(field, "is not UTF-8"))?;
        texts.entry(index).or_default().push(text);
    }
    object(plan, &texts)
}

/// The object of a form in parts; a file is the text of its member.
///
/// # Errors
/// As [`of_pairs`], and `MEMBER_TYPE` for what is no such form.
pub(super) fn of_parts(plan: &MessagePlan, body: &Bytes, boundary: &str) -> Result<Vec<u8>, Error> {
    let whole = stream::iter([Ok::<_, Infallible>(body.clone())]);
    let mut parts = Multipart::new(whole, boundary);
    let mut texts = Texts::new();
    let mut count = 0;
    // All of it is here, so that nothing is waited for.
    let ended_early = || unreadable("is no form of the named boundary");
    while let Some(part) = parts.next_field().now_or_never().ok_or_else(ended_early)?.map_err(|_| ended_early())? {
        within(count)?;
        count += 1;
        let Some((index, field)) = part.name().and_then(|name| member(plan, name)) else { continue };
        let text = part.text().now_or_never().ok_or_else(ended_early)?.map_err(|_| ended_early())?;
        if text.contains('\u{fffd}') && !contains_mark(body) {
            return Err(of_member(field, "is not in its charset"));
        }
        texts.entry(index).or_default().push(text.into());
    }
    object(plan, &texts)
}

/// Whether the replacement character itself was sent.
fn contains_mark(body: &[u8]) -> bool {
    let mark = "\u{fffd}".as_bytes();
    body.windows(mark.len()).any(|window| window == mark)
}

fn within(count: usize) -> Result<(), Error> {
    if count < MEMBERS_MAX { Ok(()) } else { Err(unreadable(&format!("has more than {MEMBERS_MAX} members"))) }
}

fn of_member(field: &FieldPlan, detail: &str) -> Error {
    Error::new(Reason::MemberType).with("member", &field.json_name).with("detail", detail)
}

/// The field that a member names; `name[]` is the name of a list.
fn member<'p>(plan: &'p MessagePlan, name: &str) -> Option<(usize, &'p FieldPlan)> {
    let index = plan.by_json_name(name, 0).or_else(|| {
        let index = plan.by_json_name(name.strip_suffix("[]")?, 0)?;
        (!plan.fields[index].is_single()).then_some(index)
    })?;
    Some((index, &plan.fields[index]))
}

fn decoded(text: &[u8]) -> Option<Cow<'_, str>> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let decoded: Vec<u8> = percent_decode(&spaced).collect();
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn object(plan: &MessagePlan, texts: &Texts<'_>) -> Result<Vec<u8>, Error> {
    let mut json = b"{".to_vec();
    for (index, texts) in texts {
        let field = &plan.fields[*index];
        if json.len() > 1 {
            json.push(b',');
        }
        json.extend_from_slice(&field.quoted);
        match &texts[..] {
            [text] => json.extend_from_slice(value(field, text).as_bytes()),
            _ if field.is_single() => return Err(of_member(field, "must not be given twice")),
            several => {
                let items: Vec<_> = several.iter().map(|text| item(field, text)).collect();
                json.extend_from_slice(format!("[{}]", items.join(",")).as_bytes());
            }
        }
    }
    json.push(b'}');
    Ok(json)
}

/// The JSON of a member that is given once.
fn value<'t>(field: &FieldPlan, text: &'t str) -> Cow<'t, str> {
    if field.is_single() {
        return item(field, text);
    }
    match is_json(text) && text.trim_start().starts_with(['[', '{']) {
        true => Cow::Borrowed(text),
        false => format!("[{}]", item(field, text)).into(),
    }
}

/// The JSON of one value: its text, unless an object or any JSON is wanted and the text is that.
fn item<'t>(field: &FieldPlan, text: &'t str) -> Cow<'t, str> {
    let takes_json = field.options.raw_json || matches!(field.kind, Kind::Message(_));
    if takes_json && is_json(text) { Cow::Borrowed(text) } else { Value::from(text).to_string().into() }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use portolan_api::descriptors;
    use serde_json::json;

    use super::*;
    use crate::codec::Plans;

    fn with<T>(message: &str, read: impl FnOnce(&MessagePlan) -> T) -> T {
        let mut plans = Plans::default();
        let described = descriptors().get_message_by_name(&format!("portolan.{message}")).unwrap();
        let id = plans.add(&described).unwrap();
        read(plans.message(id))
    }

    fn pairs(message: &str, body: &str) -> Result<Value, String> {
        let read = with(message, |plan| of_pairs(plan, body.as_bytes()));
        read.map(|json| serde_json::from_slice(&json).unwrap()).map_err(|error| error.text())
    }

    #[test]
    fn pairs_become_members() {
        let deletes = "inventory.v1.DeleteCollectionsRequest";
        assert_eq!(pairs(deletes, "").unwrap(), json!({}));
        assert_eq!(
            pairs(deletes, "apiCollectionIds=1&apiCollectionIds=2&unknown=%ff").unwrap(),
            json!({"apiCollectionIds": ["1", "2"]})
        );
        assert_eq!(pairs(deletes, "apiCollectionIds[]=1").unwrap(), json!({"apiCollectionIds": ["1"]}));
        let listed = "apiCollections=%5B%7B%22id%22%3A1%7D%5D&apiCollectionIds=[3,4]";
        assert_eq!(pairs(deletes, listed).unwrap(), json!({"apiCollections": [{"id": 1}], "apiCollectionIds": [3, 4]}));
        let har = "imports.v1.ImportHarRequest";
        assert_eq!(
            pairs(har, "harString=%7B%22a%22%3A+1%7D&content=%7B%22log%22%3A1%7D&skipKafka=true").unwrap(),
            json!({"harString": "{\"a\": 1}", "content": {"log": 1}, "skipKafka": true})
        );
        assert_eq!(pairs(har, "content=x").unwrap(), json!({"content": "x"}));
        assert_eq!(pairs(har, "harString=a&harString=b").unwrap_err(), "harString: must not be given twice");
        assert_eq!(pairs(har, "harString=%ff").unwrap_err(), "harString: is not UTF-8");
        let many = "a=1&".repeat(MEMBERS_MAX + 1);
        assert_eq!(pairs(har, &many).unwrap_err(), "body: has more than 1000 members");
    }

    fn parts(body: &'static [u8]) -> Result<Value, String> {
        let read = with("imports.v1.ImportHarRequest", |plan| of_parts(plan, &Bytes::from_static(body), "b"));
        read.map(|json| serde_json::from_slice(&json).unwrap()).map_err(|error| error.text())
    }

    #[test]
    fn parts_become_members() {
        let form = b"--b\r\nContent-Disposition: form-data; name=\"harString\"; filename=\"a.har\"\r\nContent-Type: \
            text/plain; charset=iso-8859-1\r\n\r\n{\"a\":\"\xe9\"}\r\n--b\r\nContent-Disposition: form-data; \
            name=\"apiCollectionId\"\r\n\r\n7\r\n--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n--b--\r\n";
        assert_eq!(parts(form).unwrap(), json!({"harString": "{\"a\":\"\u{e9}\"}", "apiCollectionId": "7"}));
        let latin = b"--b\r\nContent-Disposition: form-data; name=\"harString\"\r\n\r\n\xe9\r\n--b--\r\n";
        assert_eq!(parts(latin).unwrap_err(), "harString: is not in its charset");
        for broken in [&b"--b\r\nContent-Disposition: form-data; name=\"harString\"\r\n\r\nx"[..], b"nothing", b""] {
            assert_eq!(parts(broken).unwrap_err(), "body: is no form of the named boundary");
        }
    }
}

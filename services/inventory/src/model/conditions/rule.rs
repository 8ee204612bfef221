use std::collections::BTreeSet;

use portolan_api::{Error, Reason};
use portolan_engine::{AccessType, AuthType, Method, Pattern};
use portolan_ids::{CollectionId, NamedCollectionId};
use portolan_record::URL_BYTES_MAX;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::{collections::Tag, endpoints::EndpointId, text::too_long};

/// Longest pattern or tag query.
const TEXT_BYTES_MAX: usize = 4_096;

/// Single endpoints of one group.
pub const ENDPOINTS_MAX: usize = 10_000;

/// One condition, understood.
#[derive(Clone, Debug)]
pub struct Condition {
    /// How it is joined to those before it.
    pub operator: Operator,
    pub(super) rule: Rule,
    /// The collections that whoever wrote it could see; nothing for all.
    pub(super) within: Option<BTreeSet<CollectionId>>,
    /// The list of endpoints that were added by hand; it takes no part in AND and OR.
    pub(super) by_hand: bool,
}

/// How conditions are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operator {
    /// Both must hold.
    And,
    /// One must hold.
    Or,
}

#[derive(Clone, Debug)]
pub(crate) enum Rule {
    Custom(BTreeSet<EndpointId>),
    Method(Method),
    Url(Pattern),
    Host(Pattern),
    Tags(TagQuery),
    EndpointTags(TagQuery),
    Auth(BTreeSet<AuthType>),
    Access(BTreeSet<AccessType>),
    /// Stored, and not understood: matches nothing, and is kept as it is until the conditions are replaced.
    Unreadable(Box<Unreadable>),
}

#[derive(Clone, Debug)]
pub(crate) struct Unreadable {
    pub(super) stored: Written,
    pub(super) reason: String,
}

/// `key=value`, parts of which a tag's key and value contain, or one text that either contains; any case.
#[derive(Clone, Debug)]
pub(super) struct TagQuery(String);

/// A condition as a caller writes it, and as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// As the contract spells it.
    #[serde(rename = "type")]
    pub kind: String,
    /// As the contract spells it.
    pub operator: String,
    /// What the kind takes.
    #[serde(default)]
    pub data: Value,
    /// The collections that its writer sees; `None` for every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<BTreeSet<CollectionId>>,
    /// Stored only: no caller can say it.
    #[serde(default, rename = "byHand", skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
}

/// What conditions look at.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// Which endpoint it is.
    pub id: &'a EndpointId,
    /// Of its collection.
    pub host_name: Option<&'a str>,
    /// Of the collection.
    pub tags: &'a [Tag],
    /// Of the endpoint itself.
    pub endpoint_tags: Vec<Tag>,
    /// How its callers authenticate.
    pub auth: BTreeSet<AuthType>,
    /// Who reaches it.
    pub access: BTreeSet<AccessType>,
}

impl Condition {
    /// Its compiled pattern, if it holds one.
    pub(super) fn pattern(&self) -> Option<&Pattern> {
        match &self.rule {
            Rule::Url(pattern) | Rule::Host(pattern) => Some(pattern),
            _ => None,
        }
    }

    pub(super) fn unreadable(stored: Written, reason: String) -> Self {
        let operator = if stored.operator == "OR" { Operator::Or } else { Operator::And };
        Self { operator, rule: Rule::Unreadable(Box::new(Unreadable { stored, reason })), within: None, by_hand: false }
    }

    pub(super) fn parse(number: usize, written: Written) -> Result<Self, Error> {
        let invalid = |detail: String| -> Error {
            Error::new(Reason::ConditionInvalid).with("number", number).with("detail", detail)
        };
        let operator = match written.operator.as_str() {
            "AND" => Operator::And,
            "OR" => Operator::Or,
            _ => return Err(invalid("operator must be AND or OR".into())),
        };
        let data = &written.data;
        let text = |member: &str| match data.get(member).and_then(Value::as_str) {
            Some(text) if text.len() > TEXT_BYTES_MAX => Err(invalid(format!("data.{member} is too long"))),
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(invalid(format!("data.{member} must be a text"))),
        };
        let list = |member: &str| match data.get(member) {
            None | Some(Value::Null) => Ok([].as_slice()),
            Some(Value::Array(list)) => Ok(list.as_slice()),
            Some(_) => Err(invalid(format!("data.{member} must be a list"))),
        };
        if !data.is_object() {
            return Err(invalid("data must be an object".into()));
        }
        let rule = match written.kind.as_str() {
            "CUSTOM" => {
                let read = |entry: &Value| endpoint(entry).ok_or_else(|| invalid("an entry of data.apiList".into()));
                let endpoints: BTreeSet<_> = list("apiList")?.iter().map(read).collect::<Result<_, _>>()?;
                if endpoints.len() > ENDPOINTS_MAX {
                    return Err(too_long("apiList", ENDPOINTS_MAX));
                }
                Rule::Custom(endpoints)
            }
            "METHOD" => {
                Rule::Method(method(text("method")?).ok_or_else(|| invalid("data.method is no method".into()))?)
            }
            "REGEX" => Rule::Url(pattern(text("regex")?)?),
            "HOST_REGEX" => Rule::Host(pattern(text("host_regex")?)?),
            "TAGS" => Rule::Tags(TagQuery(text("query")?.to_owned())),
            "API_TAGS" => Rule::EndpointTags(TagQuery(text("query")?.to_owned())),
            "AUTH_TYPE" => {
                let read = |entry: &Value| entry.as_str().and_then(AuthType::from_name);
                let names = list("authTypes")?.iter().map(read).collect::<Option<_>>();
                Rule::Auth(names.ok_or_else(|| invalid("an entry of data.authTypes".into()))?)
            }
            "API_ACCESS_TYPES" => {
                let read = |entry: &Value| entry.as_str().and_then(AccessType::from_name);
                let names = list("apiAccessTypes")?.iter().map(read).collect::<Option<_>>();
                Rule::Access(names.ok_or_else(|| invalid("an entry of data.apiAccessTypes".into()))?)
            }
            _ => return Err(invalid("its type is unknown".into())),
        };
        Ok(Self { operator, by_hand: written.by_hand && matches!(rule, Rule::Custom(_)), rule, within: written.within })
    }

    pub(super) fn written(&self) -> Written {
        let operator = if self.operator == Operator::And { "AND" } else { "OR" };
        let (kind, data) = match &self.rule {
            Rule::Custom(endpoints) => {
                let entry =
                    |id: &EndpointId| json!({"apiCollectionId": id.collection_id, "url": id.url, "method": id.method});
                ("CUSTOM", json!({"apiList": endpoints.iter().map(entry).collect::<Vec<_>>()}))
            }
            Rule::Method(method) => ("METHOD", json!({"method": method.name()})),
            Rule::Url(pattern) => ("REGEX", json!({"regex": pattern.as_str()})),
            Rule::Host(pattern) => ("HOST_REGEX", json!({"host_regex": pattern.as_str()})),
            Rule::Tags(query) => ("TAGS", json!({"query": query.0})),
            Rule::EndpointTags(query) => ("API_TAGS", json!({"query": query.0})),
            Rule::Auth(types) => {
                ("AUTH_TYPE", json!({"authTypes": types.iter().map(|known| known.name()).collect::<Vec<_>>()}))
            }
            Rule::Access(types) => {
                let names: Vec<_> = types.iter().map(|known| known.name()).collect();
                ("API_ACCESS_TYPES", json!({ "apiAccessTypes": names }))
            }
            Rule::Unreadable(unreadable) => return unreadable.stored.clone(),
        };
        let (kind, operator, within) = (kind.to_owned(), operator.to_owned(), self.within.clone());
        Written { kind, operator, data, within, by_hand: self.by_hand }
    }

    pub(super) fn matches(&self, seen: &Seen<'_>) -> bool {
        self.within.as_ref().is_none_or(|ids| ids.contains(&seen.id.collection_id))
            && match &self.rule {
                Rule::Custom(endpoints) => endpoints.contains(seen.id),
                Rule::Method(method) => seen.id.method == method.name(),
                Rule::Url(pattern) => pattern.is_match(&seen.id.url),
                Rule::Host(pattern) => seen.host_name.is_some_and(|host| pattern.is_match(host)),
                Rule::Tags(query) => seen.tags.iter().any(|tag| query.matches(tag)),
                Rule::EndpointTags(query) => seen.endpoint_tags.iter().any(|tag| query.matches(tag)),
                Rule::Auth(types) => !types.is_disjoint(&seen.auth),
                // Asked for alone, third parties must be the only ones.
                Rule::Access(types) if types.iter().eq([&AccessType::ThirdParty]) => *types == seen.access,
                Rule::Access(types) => !types.is_disjoint(&seen.access),
                Rule::Unreadable(_) => false,
            }
    }
}

impl TagQuery {
    fn matches(&self, tag: &Tag) -> bool {
        let (key, value) = (tag.key_name.to_lowercase(), tag.value.to_lowercase());
        match self.0.to_lowercase().split_once('=') {
            Some((in_key, in_value)) => key.contains(in_key) && value.contains(in_value),
            None => key.contains(&self.0.to_lowercase()) || value.contains(&self.0.to_lowercase()),
        }
    }
}

pub(crate) fn endpoint(entry: &Value) -> Option<EndpointId> {
    let collection_id = CollectionId::try_from(NamedCollectionId(entry.get("apiCollectionId")?.as_i64()?)).ok()?;
    endpoint_named(collection_id, entry.get("url")?.as_str()?, entry.get("method")?.as_str()?).ok()
}

/// An endpoint as a condition names it, from a request and from the store alike.
///
/// # Errors
/// The member that cannot be understood, and why.
pub fn endpoint_named(collection_id: CollectionId, url: &str, method_name: &str) -> Result<EndpointId, String> {
    match url {
        "" => return Err("url must not be empty".to_owned()),
        _ if url.len() > URL_BYTES_MAX => return Err(format!("url must not be longer than {URL_BYTES_MAX} bytes")),
        _ if url.contains('\0') => return Err("url must not contain a NUL character".to_owned()),
        _ => {}
    }
    let method = method(method_name).ok_or("method must be the name of a method such as GET")?;
    Ok(EndpointId { collection_id, url: url.to_owned(), method: method.name().to_owned() })
}

/// A method by its name in any case; nothing for other texts.
pub fn method(name: &str) -> Option<Method> {
    let method = Method::parse(name);
    name.eq_ignore_ascii_case(method.name()).then_some(method)
}

pub(crate) fn pattern(text: &str) -> Result<Pattern, Error> {
    Pattern::anywhere(text).map_err(|_| Reason::PatternInvalid.into())
}

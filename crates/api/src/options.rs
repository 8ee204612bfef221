//! Typed access to the options in the descriptors.

use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, MethodDescriptor, Value};

use crate::{
    common::v1::{AccessRule, Carrier, Deprecation, Dialect, ErrorRule, KeyUtility, Reason},
    descriptors,
    google::api::HttpRule,
};

/// The HTTP rule of an RPC; RPCs without one are reached over gRPC only.
pub fn http_rule(method: &MethodDescriptor) -> Option<HttpRule> {
    message(&method.options(), "google.api.http")
}

/// Who may call a method; `None` where the contract does not say.
pub fn access_rule(method: &MethodDescriptor) -> Option<AccessRule> {
    message(&method.options(), "portolan.common.v1.access")
}

/// The JSON contract that a method's route belongs to.
pub fn dialect(method: &MethodDescriptor) -> Dialect {
    number(&method.options(), "portolan.common.v1.dialect").and_then(|n| Dialect::try_from(n).ok()).unwrap_or_default()
}

/// The audit name of an RPC; empty when it changes nothing.
pub fn audit(method: &MethodDescriptor) -> String {
    match value(&method.options(), "portolan.common.v1.audit") {
        Some(Value::String(name)) => name,
        _ => String::new(),
    }
}

/// The feature that the plan must allow; empty for most RPCs.
pub fn metered(method: &MethodDescriptor) -> String {
    match value(&method.options(), "portolan.common.v1.metered") {
        Some(Value::String(feature)) => feature,
        _ => String::new(),
    }
}

/// Whether errors of the route have the member `error` too.
pub fn error_member(method: &MethodDescriptor) -> bool {
    matches!(value(&method.options(), "portolan.common.v1.error_member"), Some(Value::Bool(true)))
}

/// The kinds of API keys that may call a method beside sessions.
pub fn also_for_keys(method: &MethodDescriptor) -> Vec<KeyUtility> {
    match value(&method.options(), "portolan.common.v1.also_for_keys") {
        Some(Value::List(items)) => {
            items.iter().filter_map(|item| KeyUtility::try_from(item.as_enum_number()?).ok()).collect()
        }
        _ => Vec::new(),
    }
}

/// The announcement that an RPC has a successor.
pub fn deprecation(method: &MethodDescriptor) -> Option<Deprecation> {
    message(&method.options(), "portolan.common.v1.deprecation")
}

/// Whether an RPC speaks RFC 6749.
pub fn oauth(method: &MethodDescriptor) -> bool {
    matches!(value(&method.options(), "portolan.common.v1.oauth"), Some(Value::Bool(true)))
}

/// Whether a field says which rights somebody gets or keeps.
pub fn carries_rights(field: &FieldDescriptor) -> bool {
    matches!(value(&field.options(), "portolan.common.v1.carries_rights"), Some(Value::Bool(true)))
}

/// Whether a field says how tightly a credential is bounded.
pub fn bounds_rights(field: &FieldDescriptor) -> bool {
    matches!(value(&field.options(), "portolan.common.v1.bounds_rights"), Some(Value::Bool(true)))
}

/// The request header that a field takes; empty for a member of the body.
pub fn from_header(field: &FieldDescriptor) -> String {
    match value(&field.options(), "portolan.common.v1.from_header") {
        Some(Value::String(name)) => name,
        _ => String::new(),
    }
}

/// Where the JSON form of a field differs from the general rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldOptions {
    /// An answer leaves it out when it is not set, in place of null.
    pub omit_unset: bool,
    /// An empty list is null in an answer.
    pub null_if_empty: bool,
    /// Its text is a JSON value, and stands in an answer as such.
    pub raw_json: bool,
    /// It is never stored for a repeat: a repeated answer leaves it out.
    pub secret: bool,
    /// It takes the raw body of a streamed request, in pieces.
    pub raw_body: bool,
    /// It takes the names of the JSON members that a request gave, and is nothing that clients see.
    pub given_members: bool,
    /// In the dialect of Katapult: the argument must be there.
    pub required: bool,
    /// In the dialect of Katapult: seconds, which must be a JSON number.
    pub unix_time: bool,
    /// Where an answer has it: in the body, or in a header or cookie.
    pub carrier: Carrier,
}

/// The options of a field.
pub fn field(field: &FieldDescriptor) -> FieldOptions {
    let options = field.options();
    let flag = |name: &str| matches!(value(&options, name), Some(Value::Bool(true)));
    FieldOptions {
        omit_unset: flag("portolan.common.v1.omit_unset"),
        null_if_empty: flag("portolan.common.v1.null_if_empty"),
        raw_json: flag("portolan.common.v1.raw_json"),
        secret: flag("portolan.common.v1.secret"),
        raw_body: flag("portolan.common.v1.raw_body"),
        given_members: flag("portolan.common.v1.given_members"),
        required: flag("portolan.common.v1.required"),
        unix_time: flag("portolan.common.v1.unix_time"),
        carrier: number(&options, "portolan.common.v1.carrier")
            .and_then(|n| Carrier::try_from(n).ok())
            .unwrap_or_default(),
    }
}

/// Whether the JSON form of a message is that of its only field.
pub fn inline(message: &MessageDescriptor) -> bool {
    matches!(value(&message.options(), "portolan.common.v1.inline"), Some(Value::Bool(true)))
}

/// Whether a message names something by exactly one of its members.
pub fn lookup(message: &MessageDescriptor) -> bool {
    matches!(value(&message.options(), "portolan.common.v1.lookup"), Some(Value::Bool(true)))
}

/// The catalog entry of a reason.
pub(crate) fn error_rule(reason: Reason) -> Option<ErrorRule> {
    let catalog = descriptors().get_enum_by_name("portolan.common.v1.Reason")?;
    message(&catalog.get_value(reason as i32)?.options(), "portolan.common.v1.error")
}

fn value(options: &DynamicMessage, name: &str) -> Option<Value> {
    let extension = descriptors().get_extension_by_name(name)?;
    options.has_extension(&extension).then(|| options.get_extension(&extension).into_owned())
}

fn number(options: &DynamicMessage, name: &str) -> Option<i32> {
    value(options, name)?.as_enum_number()
}

fn message<T: Message + Default>(options: &DynamicMessage, name: &str) -> Option<T> {
    match value(options, name)? {
        Value::Message(message) => message.transcode_to().ok(),
        _ => None,
    }
}

/// Largest body of a documented JSON route, and largest gRPC message. Larger files go through `POST /v1/imports`.
pub const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Largest body of what anybody may call.
pub const PUBLIC_BYTES_MAX: usize = 16 * 1024;

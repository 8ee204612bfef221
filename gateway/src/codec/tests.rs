//! Goal: the codec agrees with the protobuf library on every message of the contract, and survives anything.
//! Method: random messages of our own pool, compared with a plain model over `DynamicMessage`; random bytes and JSON.

use std::{collections::HashMap, sync::LazyLock};

use portolan_api::{Reason, common::v1::Carrier, descriptors, options};
use proptest::{prelude::*, test_runner::TestRng};
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value as Proto};
use serde_json::{Map, Value, json};

use super::{Manner, MessageId, Plans, Secrets, json_to_wire, wire_to_json};

fn named(name: &str) -> MessageDescriptor {
    descriptors().get_message_by_name(&format!("portolan.{name}")).expect(name)
}

fn all_messages() -> Vec<MessageDescriptor> {
    descriptors().all_messages().filter(|m| m.full_name().starts_with("portolan.") && !m.is_map_entry()).collect()
}

/// The plans of every message, made once.
fn plans() -> &'static (Plans, HashMap<String, MessageId>) {
    static PLANS: LazyLock<(Plans, HashMap<String, MessageId>)> = LazyLock::new(|| {
        let mut plans = Plans::default();
        let ids = all_messages().iter().map(|m| (m.full_name().to_owned(), plans.add(m).unwrap())).collect();
        (plans, ids)
    });
    &PLANS
}

fn to_json(message: &MessageDescriptor, wire: &[u8]) -> Value {
    let (plans, ids) = plans();
    serde_json::from_slice(&wire_to_json(plans, ids[message.full_name()], None, wire, Secrets::Shown).unwrap().body)
        .unwrap()
}

fn to_wire(message: &MessageDescriptor, json: &str) -> Result<DynamicMessage, portolan_api::Error> {
    let (plans, ids) = plans();
    let mut wire = Vec::new();
    json_to_wire(plans, ids[message.full_name()], None, json.as_bytes(), Manner::Strict, &mut wire)?;
    Ok(DynamicMessage::decode(message.clone(), wire.as_slice()).unwrap())
}

/// The refusal of a body: reason, member, detail.
fn refused(name: &str, json: &str) -> (Reason, String, String) {
    let error = to_wire(&named(name), json).unwrap_err();
    let value = |name: &str| error.metadata().get(name).cloned().unwrap_or_default();
    (error.reason(), value("member"), value("detail"))
}

fn random_scalar(field: &FieldDescriptor, kind: &Kind, rng: &mut TestRng, depth: u32) -> Proto {
    let n = rng.next_u64() >> (rng.next_u32() % 64);
    match kind {
        Kind::Double => Proto::F64(f64::from(n as u32) / 8.0),
        Kind::Float => Proto::F32(f32::from(n as u16) / 4.0),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Proto::I32(n as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Proto::I64(n as i64),
        Kind::Uint32 | Kind::Fixed32 => Proto::U32(n as u32),
        Kind::Uint64 | Kind::Fixed64 => Proto::U64(n),
        Kind::Bool => Proto::Bool(n % 2 == 1),
        Kind::String if options::field(field).raw_json => Proto::String(format!("{{\"a\":[{n},\"\\u0000\"]}}")),
        Kind::String => Proto::String(["", "a", "\"\\\n\u{1}", "é😀\u{2028}", "</script>"][n as usize % 5].repeat(3)),
        Kind::Bytes => Proto::Bytes(n.to_le_bytes().to_vec().into()),
        Kind::Enum(kind) => Proto::EnumNumber(kind.values().nth(n as usize % kind.values().len()).unwrap().number()),
        Kind::Message(kind) => Proto::Message(random_message(kind, rng, depth + 1)),
    }
}

fn random_message(described: &MessageDescriptor, rng: &mut TestRng, depth: u32) -> DynamicMessage {
    let mut message = DynamicMessage::new(described.clone());
    for field in described.fields() {
        if rng.next_u32().is_multiple_of(4) || depth > 6 || is_hidden(&field) {
            continue;
        }
        let value = match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
                let entries = (0..rng.next_u32() % 4).map(|_| {
                    let name = random_scalar(&key, &key.kind(), rng, depth).into_map_key().unwrap();
                    (name, random_scalar(&value, &value.kind(), rng, depth))
                });
                Proto::Map(entries.collect())
            }
            kind if field.is_list() => {
                let count = if rng.next_u32().is_multiple_of(50) { 200 } else { rng.next_u32() % 4 };
                Proto::List((0..count).map(|_| random_scalar(&field, &kind, rng, depth)).collect())
            }
            kind => random_scalar(&field, &kind, rng, depth),
        };
        message.set_field(&field, value);
    }
    message
}

/// The JSON rules once more, in the plainest form.
fn model(message: &DynamicMessage) -> Value {
    let descriptor = message.descriptor();
    let mut members = Map::new();
    for field in descriptor.fields() {
        let (rule, is_set) = (options::field(&field), message.has_field(&field));
        if rule.carrier != Carrier::Unspecified || rule.omit_unset && !is_set || is_hidden(&field) {
            continue;
        }
        let value = message.get_field(&field);
        let is_null = !is_set && (rule.null_if_empty || field.supports_presence());
        let value = if is_null { Value::Null } else { model_value(&field, &value, rule.raw_json) };
        members.insert(field.json_name().to_owned(), value);
    }
    if options::inline(&descriptor) { members.into_iter().next().unwrap().1 } else { Value::Object(members) }
}

fn model_value(field: &FieldDescriptor, value: &Proto, raw: bool) -> Value {
    match value {
        Proto::Bool(v) => json!(v),
        Proto::I32(v) => json!(v),
        Proto::I64(v) => json!(v),
        Proto::U32(v) => json!(v),
        Proto::U64(v) => json!(v),
        Proto::F32(v) => json!(v),
        Proto::F64(v) => json!(v),
        Proto::String(v) if raw && v.is_empty() => Value::Null,
        Proto::String(v) if raw => serde_json::from_str(v).unwrap(),
        Proto::String(v) => json!(v),
        Proto::Bytes(v) => json!(base64::Engine::encode(&base64::prelude::BASE64_STANDARD, v)),
        Proto::EnumNumber(v) => match field.kind() {
            Kind::Enum(kind) => json!(kind.get_value(*v).unwrap().name()),
            _ => unreachable!("an enum value of another field"),
        },
        Proto::Message(v) => model(v),
        Proto::List(items) => items.iter().map(|item| model_value(field, item, raw)).collect(),
        Proto::Map(entries) => {
            let Kind::Message(entry) = field.kind() else { unreachable!("a map without an entry") };
            let value_field = entry.map_entry_value_field();
            let name = |key: &MapKey| match key {
                MapKey::String(key) => key.clone(),
                MapKey::I32(key) => key.to_string(),
                MapKey::I64(key) => key.to_string(),
                other => format!("{other:?}"),
            };
            let members = entries.iter().map(|(key, value)| (name(key), model_value(&value_field, value, false)));
            Value::Object(members.collect())
        }
    }
}

/// What a message looks like after it went through JSON: carriers are gone, and so is an empty raw text.
fn without_carriers(message: &mut DynamicMessage) {
    for field in message.descriptor().fields() {
        if options::field(&field).carrier != Carrier::Unspecified {
            message.clear_field(&field);
        } else if message.has_field(&field)
            && let Proto::Message(below) = message.get_field_mut(&field)
        {
            without_carriers(below);
        }
    }
}

/// Fields that the gateway fills: neither read from JSON nor written to it.
fn is_hidden(field: &FieldDescriptor) -> bool {
    options::field(field).given_members || !options::from_header(field).is_empty()
}

fn without_hidden(message: &mut DynamicMessage) {
    for field in message.descriptor().fields() {
        if is_hidden(&field) {
            message.clear_field(&field);
        } else if message.has_field(&field) {
            match message.get_field_mut(&field) {
                Proto::Message(below) => without_hidden(below),
                Proto::List(items) => items.iter_mut().filter_map(Proto::as_message_mut).for_each(without_hidden),
                _ => {}
            }
        }
    }
}

#[test]
fn random_messages_agree_with_the_model_and_come_back() {
    let mut rng = TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    for described in all_messages() {
        for _ in 0..60 {
            // Read back once, since a default that was set explicitly is no difference.
            let sent = random_message(&described, &mut rng, 0).encode_to_vec();
            let mut message = DynamicMessage::decode(described.clone(), sent.as_slice()).unwrap();
            let json = to_json(&described, &message.encode_to_vec());
            assert_eq!(json, model(&message), "{}", described.full_name());
            if !options::inline(&described) {
                without_carriers(&mut message);
                let mut back = to_wire(&described, &json.to_string()).unwrap();
                without_hidden(&mut back);
                assert_eq!(back, message, "{json}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(wire in proptest::collection::vec(any::<u8>(), 0..200)) {
        for described in all_messages() {
            let (plans, ids) = plans();
            if let Ok(answer) = wire_to_json(plans, ids[described.full_name()], None, &wire, Secrets::LeftOut) {
                prop_assert!(serde_json::from_slice::<Value>(&answer.body).is_ok());
            }
        }
    }

    #[test]
    fn damaged_messages_do_not_make_it_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), seed in any::<[u8; 32]>()) {
        let mut rng = TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &seed);
        let described = named("inventory.v1.ListEndpointsResponse");
        let mut wire = random_message(&described, &mut rng, 0).encode_to_vec();
        prop_assume!(!wire.is_empty());
        let at = at.index(wire.len());
        wire[at] = byte;
        let (plans, ids) = plans();
        if let Ok(answer) = wire_to_json(plans, ids[described.full_name()], None, &wire, Secrets::Shown) {
            prop_assert!(serde_json::from_slice::<Value>(&answer.body).is_ok());
        }
    }

    #[test]
    fn no_json_makes_it_panic(json in "[\\[\\]{}:,\"a-z0-9.eE\\\\u-]{0,60}") {
        for described in all_messages() {
            let _ = to_wire(&described, &json);
        }
    }
}

#[test]
fn refusals_name_the_member() {
    use Reason::MemberType as Wrong;
    let cases = [
        ("inventory.v1.CreateCollectionRequest", r#"{"collectionName":5}"#, "collectionName", "must be a text"),
        (
            "inventory.v1.GetCollectionRequest",
            r#"{"apiCollectionId":"12"}"#,
            "apiCollectionId",
            "must be a whole number",
        ),
        (
            "inventory.v1.GetCollectionRequest",
            r#"{"apiCollectionId":1.5}"#,
            "apiCollectionId",
            "must be a whole number",
        ),
        (
            "inventory.v1.GetCollectionRequest",
            r#"{"apiCollectionId":2147483648}"#,
            "apiCollectionId",
            "must be a whole number from -2147483648 to 2147483647",
        ),
        (
            "inventory.v1.DeleteCollectionsRequest",
            r#"{"apiCollections":[{"id":1},{"id":"x"}]}"#,
            "apiCollections[1].id",
            "must be a whole number",
        ),
        ("inventory.v1.DeleteCollectionsRequest", r#"{"apiCollections":{}}"#, "apiCollections", "must be a list"),
        (
            "inventory.v1.DeleteCollectionsRequest",
            r#"{"apiCollections":[1]}"#,
            "apiCollections[0]",
            "must be an object",
        ),
        (
            "inventory.v1.DeleteCollectionsRequest",
            r#"{"apiCollectionIds":[null]}"#,
            "apiCollectionIds[0]",
            "must not be null",
        ),
        (
            "inventory.v1.GetCollectionRequest",
            r#"{"apiCollectionId":1,"apiCollectionId":2}"#,
            "apiCollectionId",
            "must not be given twice",
        ),
        (
            "inventory.v1.UpdateCollectionDescriptionRequest",
            r#"{"isSystemPrompt":1}"#,
            "isSystemPrompt",
            "must be true or false",
        ),
    ];
    for (message, json, member, detail) in cases {
        assert_eq!(refused(message, json), (Wrong, member.to_owned(), detail.to_owned()), "{json}");
    }
    let nul = refused("inventory.v1.CreateCollectionRequest", r#"{"collectionName":"a\u0000"}"#);
    assert_eq!((nul.0, nul.1.as_str()), (Reason::TextHasNul, "collectionName"));
}

#[test]
fn what_is_no_json_object_is_refused_without_an_echo() {
    let deep = format!("{{\"x\":1,\"apiCollections\":{}", "[".repeat(200));
    let bodies = [
        "[]",
        "5",
        "null",
        "\"secret\"",
        "{\"a\"",
        "{\"apiCollectionId\":1e999}",
        "{} x",
        "{\"url\":\"\\ud800\"}",
        &deep,
    ];
    for body in bodies {
        let (reason, _, detail) = refused("inventory.v1.GetEndpointRequest", body);
        assert_eq!(reason, Reason::BodyNotJson, "{body}");
        assert!(!detail.contains("secret") && !detail.is_empty(), "{detail}");
    }
    let deep = format!("{{\"content\":{}{}}}", "[".repeat(200), "]".repeat(200));
    assert_eq!(refused("imports.v1.ImportHarRequest", &deep).1, "content");
}

#[test]
fn documented_leniencies() {
    let message = named("inventory.v1.DeleteCollectionsRequest");
    let model = |json: &str| model(&to_wire(&message, json).unwrap());
    assert_eq!(model(""), model("{}"));
    assert_eq!(
        model(r#"{"unknown":{"x":[1]},"apiCollectionIds":[1.0,2e0],"apiCollections":null}"#),
        model(r#"{"apiCollectionIds":[1,2]}"#)
    );
    let har = to_wire(&named("imports.v1.ImportHarRequest"), r#"{"content":{"log": 1e999},"skipKafka":true}"#).unwrap();
    assert_eq!(har.get_field_by_name("content").unwrap().as_str(), Some(r#"{"log": 1e999}"#));
    assert_eq!(har.get_field_by_name("skip_kafka").unwrap().as_str(), Some("true"));
}

#[test]
fn texts_stand_for_numbers_and_flags_where_the_manner_says_so() {
    let (plans, ids) = plans();
    let told = |name: &str, json: &str| {
        let message = named(name);
        let mut wire = Vec::new();
        let written =
            json_to_wire(plans, ids[message.full_name()], None, json.as_bytes(), Manner::TextsAsValues, &mut wire);
        written.map(|()| wire).map_err(|error| error.text())
    };
    let strict = |name: &str, json: &str| to_wire(&named(name), json).unwrap().encode_to_vec();
    let deletes = "inventory.v1.DeleteCollectionsRequest";
    let texts = r#"{"apiCollections":[{"id":"7"}],"apiCollectionIds":["1","-2"]}"#;
    let numbers = r#"{"apiCollections":[{"id":7}],"apiCollectionIds":[1,-2]}"#;
    assert_eq!(told(deletes, texts).unwrap(), strict(deletes, numbers));
    for wrong in ["\"1.5\"", "\"\"", "\" 1\"", "\"+1\"", "\"0x1\"", "\"99999999999999999999\"", "\"true\""] {
        let refused = told("inventory.v1.GetCollectionRequest", &format!(r#"{{"apiCollectionId":{wrong}}}"#));
        assert!(refused.unwrap_err().starts_with("apiCollectionId: must be a whole number"), "{wrong}");
    }
    // A text is a text, whatever it says.
    let name = "inventory.v1.CreateCollectionRequest";
    assert_eq!(told(name, r#"{"collectionName":"12"}"#).unwrap(), strict(name, r#"{"collectionName":"12"}"#));
    assert_eq!(told(name, r#"{"collectionName":12}"#).unwrap_err(), "collectionName: must be a text");
}

#[test]
fn interleaved_and_packed_occurrences_keep_their_order() {
    let message = named("inventory.v1.DeleteCollectionsRequest");
    // ids: unpacked 1, a collection, packed 2 and 3, unpacked 4
    let wire = [0x10, 1, 0x0a, 2, 0x08, 7, 0x12, 2, 2, 3, 0x10, 4];
    assert_eq!(to_json(&message, &wire), json!({"apiCollections":[{"id":7}],"apiCollectionIds":[1,2,3,4]}));
    // a scalar given twice: the last counts; a message given twice: merged
    let twice = named("inventory.v1.ListParametersResponse");
    let wire = [0x0a, 4, 0x0a, 2, 0x18, 1, 0x0a, 4, 0x0a, 2, 0x18, 2];
    let params = to_json(&twice, &wire)["data"]["params"].clone();
    assert_eq!((&params[0]["responseCode"], &params[1]["responseCode"]), (&json!(1), &json!(2)));
}

#[test]
fn secrets_and_carriers_stand_beside_the_body() {
    let message = named("identity.v1.LoginResponse");
    let (plans, ids) = plans();
    let id = ids[message.full_name()];
    let mut login = DynamicMessage::new(message);
    login.set_field_by_name("access_token", Proto::String("t".into()));
    login.set_field_by_name("session", Proto::String("s".into()));
    let wire = login.encode_to_vec();
    let shown = wire_to_json(plans, id, None, &wire, Secrets::Shown).unwrap();
    assert_eq!(String::from_utf8(shown.body).unwrap(), r#"{"code":null,"loginResult":null}"#);
    assert_eq!(shown.carriers, [(Carrier::AccessToken, "t".to_owned()), (Carrier::SessionCookie, "s".to_owned())]);
    assert!(wire_to_json(plans, id, None, &wire, Secrets::LeftOut).unwrap().carriers.is_empty());

    let key = named("tokens.v1.ApiKey");
    let id = ids[key.full_name()];
    let wire = to_wire(&key, r#"{"id":1,"key":"abc"}"#).unwrap().encode_to_vec();
    let kept = wire_to_json(plans, id, None, &wire, Secrets::LeftOut).unwrap();
    assert!(!String::from_utf8(kept.body).unwrap().contains("\"key\""));
}

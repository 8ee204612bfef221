//! `portolan config-schema`: the configuration as a JSON Schema, from the structs that read it and the text that documents
//! it. Editors complete and check a configuration file by it.

use portolan_runtime::{
    documented,
    options::{
        CacheOptions, DrainOptions, FetchOptions, GrpcOptions, HttpOptions, LogOptions, MetricsOptions, PeersOptions,
        RetentionOptions, SecretsOptions, StoreOptions, TelemetryOptions, TlsOptions,
    },
    process::BoxError,
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::commands::say;

pub(crate) fn run() -> Result<(), BoxError> {
    say(serde_json::to_string_pretty(&schema())?);
    Ok(())
}

fn schema() -> Value {
    let sections = [
        ("store", section::<StoreOptions>()),
        ("cache", section::<CacheOptions>()),
        ("log", section::<LogOptions>()),
        ("http", section::<HttpOptions>()),
        ("grpc", section::<GrpcOptions>()),
        ("secrets", section::<SecretsOptions>()),
        ("telemetry", section::<TelemetryOptions>()),
        ("drain", section::<DrainOptions>()),
        ("metrics", section::<MetricsOptions>()),
        ("tls", section::<TlsOptions>()),
        ("peers", section::<PeersOptions>()),
        ("retention", section::<RetentionOptions>()),
        ("fetch", section::<FetchOptions>()),
        ("admin", section::<portolan_identity::AdminOptions>()),
        ("audit", section::<portolan_identity::AuditOptions>()),
        ("identity", section::<portolan_identity::IdentityOptions>()),
        ("mail", section::<portolan_identity::MailOptions>()),
        ("oidc", section::<portolan_identity::OidcOptions>()),
        ("tokens", section::<portolan_tokens::TokensOptions>()),
        ("edge", section::<portolan_tokens::EdgeOptions>()),
        ("imports", section::<portolan_imports::ImportsOptions>()),
        ("postman", section::<portolan_imports::PostmanOptions>()),
        ("billing", section::<portolan_billing::BillingOptions>()),
        ("stigg", section::<portolan_billing::StiggOptions>()),
    ];
    let mut properties: Map<String, Value> =
        sections.map(|(name, schema)| (name.to_owned(), schema)).into_iter().collect();
    for key in documented() {
        // A section whose reader has no schema is told by its defaults.
        let section = properties
            .entry(key.section)
            .or_insert_with(|| json!({ "type": "object", "properties": {}, "additionalProperties": false }));
        let property = &mut section["properties"][&key.key];
        if property.is_null() {
            *property = match &key.default {
                Value::Bool(_) => json!({ "type": "boolean" }),
                Value::Number(_) => json!({ "type": "integer" }),
                _ => json!({ "type": "string" }),
            };
        }
        property["description"] = key.description.into();
        property["default"] = key.default;
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of Portolan",
        "description": "A TOML file that `--config` names. A key that is left out has its default.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

/// The keys of a section. None is required: each has a default.
fn section<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(members) = schema.as_object_mut() {
        for member in ["$schema", "title", "description", "required"] {
            members.remove(member);
        }
    }
    schema
}

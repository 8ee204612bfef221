//! The reference page: one file without outside parts, readable without scripts.

use std::fmt::Write;

use base64::{Engine, prelude::BASE64_STANDARD};
use portolan_api::{Error, common::v1::Carrier, options};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use sha2::{Digest, Sha256};

use super::{
    operation::{Operation, documented_errors},
    recorded::{self, Recorded},
    schema::{Direction, Schemas, example, example_of},
};
use crate::{
    dialect,
    routes::{BodyRule, Routes},
};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Messages inside messages that a table still shows.
const DEPTH_MAX: usize = 4;

pub(crate) struct Page {
    pub html: String,
    /// Allows the page's own style and script and nothing else.
    pub content_security_policy: String,
}

/// Writes the page.
pub(crate) fn html(operations: &[Operation], routes: &Routes) -> Page {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    let content_security_policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; frame-ancestors 'none'; base-uri 'none'; \
         form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    let schemas = Schemas::new();
    let calls = recorded::calls();
    let mut main = String::new();
    let mut nav = String::new();
    let mut service = "";
    for operation in operations {
        if operation.service != service {
            let end = if service.is_empty() { "" } else { "</section>" };
            service = &operation.service;
            let _ = write!(nav, "<h2>{service}</h2>");
            let _ = write!(main, "{end}<section><h2>{service}</h2>");
        }
        let (id, verb) = (&operation.id, &operation.route.verb);
        let words = format!("{} {} {} {}", verb, operation.path, operation.summary, id).to_lowercase();
        let _ = write!(
            nav,
            "<a href=\"#{id}\" data-words=\"{}\"><b class=\"{verb}\">{verb}</b> {}</a>",
            escape(&words),
            escape(&operation.path)
        );
        article(&mut main, operation, routes, &schemas, &words, calls.get(recorded::name(operation).as_str()));
    }
    main.push_str("</section>");
    errors(&mut main);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Portolan API</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" \
         content=\"light dark\"><style>{STYLE}</style></head><body><nav><h1>Portolan API</h1>\
         <input id=\"search\" type=\"search\" placeholder=\"Search routes\" aria-label=\"Search routes\">\
         <p><a href=\"/openapi.json\">OpenAPI 3.1</a> <a href=\"#errors\">Errors</a></p>{nav}</nav><main>\
         <p class=\"lead\">Send a credential in <code>x-api-key</code>, in <code>Authorization: Bearer</code>, or as \
         session cookie with <code>access-token</code>. Bodies are JSON objects; unknown members are ignored and null \
         is the same as absent. Every POST, PUT, PATCH and DELETE takes an <code>Idempotency-Key</code>. Every answer \
         carries <code>x-request-id</code>.</p>{main}</main><script>{SCRIPT}</script></body></html>\n"
    );
    Page { html, content_security_policy }
}

fn article(
    out: &mut String,
    operation: &Operation,
    routes: &Routes,
    schemas: &Schemas,
    words: &str,
    call: Option<&Recorded>,
) {
    let _ = write!(
        out,
        "<article id=\"{}\" data-words=\"{}\"><h3><b class=\"{verb}\">{verb}</b> <code>{}</code></h3>\
         <p>{}.</p><p>{}</p><dl><dt>Access</dt><dd>{}</dd><dt>Errors</dt><dd>{} form</dd><dt>gRPC</dt>\
         <dd><code>{}</code></dd></dl>",
        operation.id,
        escape(words),
        escape(&operation.path),
        prose(&operation.summary),
        prose(&operation.description),
        escape(&operation.access),
        operation.dialect().name(),
        escape(operation.route.rpc.path.as_str()),
        verb = operation.route.verb,
    );

    let plan = routes.plans.message(operation.route.rpc.request);
    let descriptor = |index: &usize| operation.request.get_field(plan.fields[*index].number);
    let in_path: Vec<_> = operation.route.params.iter().filter_map(descriptor).collect();
    let in_query: Vec<_> = operation.query_fields().iter().filter_map(descriptor).collect();
    fields_table(out, "Path", &in_path, schemas);
    fields_table(out, "Query", &in_query, schemas);
    match operation.route.body {
        BodyRule::None => {}
        BodyRule::Message => {
            let fields: Vec<_> = operation.request.fields().collect();
            fields_table(out, "Body", &fields, schemas);
            if !fields.is_empty() {
                shown(out, "Request", &format!("{:#}", example(&operation.request, Direction::Request, 0)));
            }
        }
        BodyRule::Field(index) => {
            let field: Vec<_> = operation.request.fields().nth(index).into_iter().collect();
            fields_table(out, "Body", &field, schemas);
        }
        BodyRule::Stream(_) => out.push_str("<h4>Body</h4><p>The file itself, of any size and media type.</p>"),
    }
    let only = operation.route.response_body.and_then(|index| operation.response.fields().nth(index));
    let fields: Vec<_> = only.clone().map_or_else(|| operation.response.fields().collect(), |field| vec![field]);
    fields_table(out, "Answer", &fields, schemas);
    let answer = match &only {
        Some(field) => example_of(field, Direction::Answer, 0),
        None => example(&operation.response, Direction::Answer, 0),
    };
    shown(out, "Example", &format!("{answer:#}"));
    if let Some(call) = call {
        shown(out, "A call that was made", &call.shown(operation));
    }
    out.push_str("</article>");
}

fn fields_table(out: &mut String, title: &str, fields: &[FieldDescriptor], schemas: &Schemas) {
    let visible = |field: &&FieldDescriptor| {
        let rule = options::field(field);
        rule.carrier == Carrier::Unspecified && !rule.raw_body
    };
    if !fields.iter().any(|field| visible(&field)) {
        return;
    }
    let _ = write!(out, "<h4>{title}</h4><table><tbody>");
    fields.iter().filter(visible).for_each(|field| row(out, field, "", schemas, 0));
    out.push_str("</tbody></table>");
}

fn row(out: &mut String, field: &FieldDescriptor, prefix: &str, schemas: &Schemas, depth: usize) {
    let name = format!("{prefix}{}", field.json_name());
    let nullable = if field.supports_presence() || options::field(field).null_if_empty { " or null" } else { "" };
    let _ = write!(
        out,
        "<tr><td><code>{}</code></td><td>{}{nullable}</td><td>{}</td></tr>",
        escape(&name),
        type_name(field),
        prose(&schemas.comment(field))
    );
    let mut nested = inner_message(field);
    let mut inside = format!("{name}{}", items_mark(field));
    while let Some(message) = nested.clone().filter(options::inline) {
        let Some(inner) = message.fields().next() else { return };
        inside.push_str(items_mark(&inner));
        nested = inner_message(&inner);
    }
    let Some(message) = nested.filter(|_| depth < DEPTH_MAX) else { return };
    for inner in message.fields() {
        row(out, &inner, &format!("{inside}."), schemas, depth + 1);
    }
}

/// How the name of a field goes on to its items or entries.
fn items_mark(field: &FieldDescriptor) -> &'static str {
    match field {
        _ if field.is_map() => ".*",
        _ if field.is_list() => "[]",
        _ => "",
    }
}

/// The message that a field, its items or its entries hold.
fn inner_message(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => match entry.map_entry_value_field().kind() {
            Kind::Message(message) => Some(message),
            _ => None,
        },
        Kind::Message(message) => Some(message),
        _ => None,
    }
}

fn type_name(field: &FieldDescriptor) -> String {
    let single = |field: &FieldDescriptor| match field.kind() {
        Kind::String if options::field(field).raw_json => "any JSON".to_owned(),
        Kind::String => "text".into(),
        Kind::Bytes => "base64".into(),
        Kind::Bool => "true or false".into(),
        Kind::Double | Kind::Float => "number".into(),
        Kind::Enum(kind) => kind.values().map(|value| value.name().to_owned()).collect::<Vec<_>>().join(", "),
        Kind::Message(message) if options::inline(&message) => {
            message.fields().next().map_or_else(String::new, |inner| type_name(&inner))
        }
        Kind::Message(_) => "object".into(),
        _ => "whole number".into(),
    };
    match field.kind() {
        Kind::Message(entry) if field.is_map() => format!("object of {}", single(&entry.map_entry_value_field())),
        _ if field.is_list() => format!("list of {}", single(field)),
        _ => single(field),
    }
}

fn shown(out: &mut String, title: &str, text: &str) {
    let _ = write!(out, "<details><summary>{title}</summary><pre>{}</pre></details>", escape(text));
}

fn errors(out: &mut String) {
    out.push_str(
        "<section id=\"errors\"><h2>Errors</h2><p>The header <code>x-portolan-error</code> names the reason, and the \
         body tells it in the form of the route. A text in braces stands for a value.</p><table><thead><tr>\
         <th>Reason</th><th>Text</th>",
    );
    for dialect in dialect::ALL {
        let _ = write!(out, "<th>{}</th>", dialect.name());
    }
    out.push_str("<th>When</th></tr></thead><tbody>");
    for documented in documented_errors() {
        let error = Error::new(documented.reason);
        let name = documented.reason.as_str_name();
        let _ = write!(out, "<tr id=\"{name}\"><td><code>{name}</code></td><td>{}</td>", escape(&error.text()));
        for dialect in dialect::ALL {
            let _ = write!(out, "<td>{}</td>", error.http_status(dialect.id()));
        }
        let _ = write!(out, "<td>{}</td></tr>", prose(&documented.description));
    }
    out.push_str("</tbody></table></section>");
}

/// A comment of the contract: what stands between back quotes is code.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(i, part)| if i % 2 == 1 { format!("<code>{}</code>", escape(part)) } else { escape(part) }).collect()
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::super::operation::operations;
    use super::*;

    #[test]
    fn the_page_shows_every_route_and_error_and_nothing_from_outside() {
        let routes = Routes::from_contract().unwrap();
        let operations = operations(&routes);
        let page = html(&operations, &routes).html;
        let ids: std::collections::BTreeSet<_> = operations.iter().map(|operation| &operation.id).collect();
        assert_eq!(ids.len(), operations.len());
        for operation in &operations {
            assert!(page.contains(&format!("<article id=\"{}\"", operation.id)));
        }
        for error in documented_errors() {
            assert!(page.contains(&format!("<tr id=\"{}\">", error.reason.as_str_name())));
        }
        let calls = recorded::calls();
        let served: Vec<_> = operations.iter().map(recorded::name).collect();
        for name in calls.keys() {
            assert!(served.iter().any(|served| served == name), "{name} is recorded and not served");
        }
        // Calls to a provider of identities are tested with one, and are not for other clients.
        const NOT_RECORDED: [&str; 2] = ["StartOidcLogin", "FinishOidcLogin"];
        for operation in &operations {
            let rpc = &operation.route.rpc;
            let mut routes = operations.iter().filter(|other| other.route.rpc.path == rpc.path);
            let is_recorded = routes.any(|other| calls.contains_key(recorded::name(other).as_str()));
            assert_ne!(is_recorded, NOT_RECORDED.contains(&rpc.descriptor.name()), "{}", rpc.path);
        }
        assert_eq!(page.matches("<summary>A call that was made").count(), calls.len());
        for outside in ["src=", "url(", "@import", "href=\"http", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("apiInfoListByCollection.*[].id.url"));
        assert_eq!(page.matches("<section").count(), page.matches("</section>").count());
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<a title='x\">&"), "&lt;a title=&#39;x&quot;&gt;&amp;");
        assert_eq!(prose("see `<a>` & b"), "see <code>&lt;a&gt;</code> &amp; b");
    }
}

//! One failure, four renderings: the body and the headers that each dialect documents.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use portolan_api::{Dialect, Error, Reason};
use serde_json::{Value, json};

use crate::reply::Reply;

/// Wait that a 429 asks for when the error names none.
const RETRY_AFTER_SECONDS: u32 = 60;
pub(crate) const WORKATO_CONTENT_TYPE: &str = "application/json; charset=utf-8";
/// Wait that a 503 asks for: a dependency that restarts is back within seconds.
const UNAVAILABLE_RETRY_SECONDS: u32 = 1;

/// Renders an error in a dialect. A fault of ours is logged here, with its cause, since here it leaves the process.
pub(crate) fn render(error: &Error, dialect: Dialect, request_id: &str) -> Reply {
    let status = StatusCode::from_u16(error.http_status(dialect)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status.is_server_error() {
        tracing::error!(request_id, reason = error.reason().as_str_name(), %error, "request failed");
    }
    let body = match dialect {
        // One reason is documented with two texts, one a line.
        Dialect::Akto if error.reason() == Reason::ImpervaWithoutData => {
            json!({ "actionErrors": error.text().lines().collect::<Vec<_>>() })
        }
        // Some documented refusals have no text.
        Dialect::Akto => json!({ "actionErrors": Some(error.text()).filter(|text| !text.is_empty()).as_slice() }),
        Dialect::Workato => workato(error, status, request_id),
        Dialect::Katapult => katapult(error),
        Dialect::Portolan | Dialect::Unspecified => problem(error, status, request_id),
    };
    let mut reply = Response::new(Bytes::from(body.to_string()));
    *reply.status_mut() = status;

    let headers = reply.headers_mut();
    let is_problem = matches!(dialect, Dialect::Portolan | Dialect::Unspecified);
    let content_type = if is_problem { "application/problem+json" } else { "application/json" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if dialect == Dialect::Workato {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(WORKATO_CONTENT_TYPE));
    }
    headers.insert("x-portolan-error", HeaderValue::from_static(error.reason().as_str_name()));
    if dialect == Dialect::Katapult {
        headers.insert("x-api-schema", HeaderValue::from_static("json-error"));
    }
    if error.reason() == Reason::NoProductAccess {
        headers.insert("x-no-access-error", HeaderValue::from_static("true"));
    }
    match status {
        StatusCode::TOO_MANY_REQUESTS => {
            let asked = error.metadata().get("retry_after_seconds").and_then(|seconds| seconds.parse().ok());
            headers.insert(header::RETRY_AFTER, asked.unwrap_or(RETRY_AFTER_SECONDS).into());
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, UNAVAILABLE_RETRY_SECONDS.into());
        }
        StatusCode::UNAUTHORIZED => {
            let is_client = error.reason() == Reason::OauthInvalidClient;
            let scheme = if is_client { "Basic realm=\"oauth2\", charset=\"UTF-8\"" } else { "Bearer" };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        }
        _ => {}
    }
    reply
}

/// Adds the text of the error as the member `error`, which a few routes document beside `actionErrors`.
pub(crate) fn with_error_member(reply: Reply, error: &Error) -> Reply {
    reply.map(|body| match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Object(mut members)) => {
            members.insert("error".to_owned(), error.text().into());
            Bytes::from(Value::Object(members).to_string())
        }
        _ => body,
    })
}

/// The dialect of a path that may not exist, by its prefix.
pub(crate) fn dialect_of_path(path: &str) -> Dialect {
    const WORKATO: [&str; 8] = [
        "/api/managed_users",
        "/api/v2/managed_users",
        "/api/api_clients",
        "/api/api_access_profiles",
        "/api/v2/api_clients",
        "/api/api_collections",
        "/api/api_endpoints",
        "/oauth2/token",
    ];
    const KATAPULT: [&str; 3] = ["/core/v1", "/api_tokens", "/organizations"];
    const AKTO: [&str; 3] = ["/api", "/auth", "/signup-email"];
    let is_below =
        |prefix: &&str| path.strip_prefix(*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if WORKATO.iter().any(&is_below) {
        Dialect::Workato
    } else if KATAPULT.iter().any(&is_below) {
        Dialect::Katapult
    } else if AKTO.iter().any(is_below) {
        Dialect::Akto
    } else {
        Dialect::Portolan
    }
}

/// The documented texts of statuses; what is wrong with single fields stands under `errors`.
fn workato(error: &Error, status: StatusCode, request_id: &str) -> Value {
    let metadata = error.metadata();
    if is_oauth(error.reason()) {
        let description = metadata.get("detail").map_or("The request cannot be answered", String::as_str);
        return json!({ "error": error.text(), "error_description": description });
    }
    if error.reason() == Reason::BodyNotJson {
        return json!({ "message": "Bad request" });
    }
    match status {
        StatusCode::UNAUTHORIZED => return json!({ "message": "Unauthorized" }),
        StatusCode::NOT_FOUND => return json!({ "message": "Not found" }),
        StatusCode::INTERNAL_SERVER_ERROR => return json!({ "message": "Server error", "id": request_id }),
        _ => {}
    }
    let mut body = json!({ "message": error.text() });
    if let Some(fields) = metadata.get("errors_json").and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        body["errors"] = fields;
    } else if let Some(member) = metadata.get("member") {
        let detail = metadata.get("detail").cloned().unwrap_or_else(|| error.text());
        body = json!({ "message": Error::from(Reason::ValidationFailed).text(), "errors": { member: [detail] } });
    }
    body
}

pub(crate) fn is_oauth(reason: Reason) -> bool {
    matches!(reason, Reason::OauthInvalidClient | Reason::OauthInvalidRequest | Reason::OauthUnsupportedGrantType)
}

/// The published schema is flat, the documented wire form stands under `error`: both are served.
fn katapult(error: &Error) -> Value {
    let flat = json!({
        "code": error.katapult_code(),
        "description": error.text(),
        "detail": katapult_detail(error),
    });
    let mut body = flat.clone();
    body["error"] = flat;
    body
}

/// The documented members of each code, with their types: an object in any case.
fn katapult_detail(error: &Error) -> Value {
    let metadata = error.metadata();
    if let Some(detail) = metadata.get("detail_json").and_then(|text| serde_json::from_str(text).ok()) {
        return detail;
    }
    match error.reason() {
        Reason::InvalidApiToken | Reason::PermissionDenied => json!({ "details": metadata.get("details") }),
        Reason::BodyNotJson => json!({ "details": metadata.get("detail") }),
        _ => json!({}),
    }
}

fn problem(error: &Error, status: StatusCode, request_id: &str) -> Value {
    let reason = error.reason().as_str_name();
    json!({
        "type": format!("/docs#{reason}"),
        "title": title(reason),
        "status": status.as_u16(),
        "detail": error.text(),
        "reason": reason,
        "requestId": request_id,
    })
}

/// `JOB_NOT_FOUND` as `Job not found`.
fn title(reason: &str) -> String {
    let words = reason.to_lowercase().replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(error: &Error, dialect: Dialect) -> Value {
        serde_json::from_slice(render(error, dialect, "r-1").body()).unwrap()
    }

    #[test]
    fn one_error_in_every_dialect() {
        let error = Error::new(Reason::MemberType).with("member", "a[0].b").with("detail", "must be a text");
        assert_eq!(body(&error, Dialect::Akto), json!({"actionErrors": ["a[0].b: must be a text"]}));
        assert_eq!(
            body(&error, Dialect::Workato),
            json!({"message": "Validation failed", "errors": {"a[0].b": ["must be a text"]}})
        );
        let flat = json!({
            "code": "member_type",
            "description": "a[0].b: must be a text",
            "detail": {},
        });
        let katapult = body(&error, Dialect::Katapult);
        assert_eq!(katapult["error"], flat);
        assert_eq!((&katapult["code"], &katapult["detail"]), (&flat["code"], &flat["detail"]));
        assert_eq!(render(&error, Dialect::Katapult, "").headers()["x-api-schema"], "json-error");
        assert_eq!(
            body(&error, Dialect::Portolan),
            json!({
                "type": "/docs#MEMBER_TYPE", "title": "Member type", "status": 400, "reason": "MEMBER_TYPE",
                "detail": "a[0].b: must be a text", "requestId": "r-1",
            })
        );
        let reply = render(&error, Dialect::Portolan, "r-1");
        assert_eq!(reply.headers()["content-type"], "application/problem+json");
        assert_eq!(reply.headers()["x-portolan-error"], "MEMBER_TYPE");
    }

    #[test]
    fn headers_of_single_reasons() {
        let wait = |error: Error| render(&error, Dialect::Akto, "").headers()["retry-after"].clone();
        assert_eq!(wait(Error::new(Reason::RateLimited)), "60");
        assert_eq!(wait(Error::new(Reason::LoginThrottled).with("retry_after_seconds", 7)), "7");
        assert_eq!(wait(Error::unavailable("database")), "1");
        let barred = render(&Error::new(Reason::NoProductAccess), Dialect::Akto, "");
        assert_eq!(
            (barred.status().as_u16(), &barred.headers()["x-no-access-error"]),
            (403, &HeaderValue::from_static("true"))
        );
    }

    #[test]
    fn details_of_katapult_keep_their_types() {
        let detail = |error: Error| body(&error, Dialect::Katapult)["detail"].clone();
        assert_eq!(detail(Reason::InvalidApiToken.into()), json!({"details": null}));
        assert_eq!(detail(Reason::MissingApiToken.into()), json!({}));
        let limited = Error::new(Reason::RateLimitReached).with("detail_json", r#"{"total_permitted":200}"#);
        assert_eq!(detail(limited), json!({"total_permitted": 200}));
    }

    #[test]
    fn texts_of_workato_follow_the_status() {
        assert_eq!(body(&Reason::Unauthenticated.into(), Dialect::Workato), json!({"message": "Unauthorized"}));
        assert_eq!(body(&Reason::PathUnknown.into(), Dialect::Workato), json!({"message": "Not found"}));
        let malformed = Error::new(Reason::BodyNotJson).with("detail", "EOF");
        assert_eq!(body(&malformed, Dialect::Workato), json!({"message": "Bad request"}));
        let failed = Error::new(Reason::ValidationFailed).with("errors_json", r#"{"name":["can't be blank"]}"#);
        assert_eq!(
            body(&failed, Dialect::Workato),
            json!({"message": "Validation failed", "errors": {"name": ["can't be blank"]}})
        );
        let client = Error::new(Reason::OauthInvalidClient).with("detail", "unknown");
        let reply = render(&client, Dialect::Workato, "");
        assert!(reply.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
        assert_eq!(body(&client, Dialect::Workato), json!({"error": "invalid_client", "error_description": "unknown"}));
    }

    #[test]
    fn a_cause_is_not_shown() {
        for dialect in [Dialect::Akto, Dialect::Workato, Dialect::Katapult, Dialect::Portolan] {
            let reply = render(&Error::internal("disk is full"), dialect, "r");
            assert_eq!(reply.status(), 500);
            assert!(!String::from_utf8_lossy(reply.body()).contains("disk"));
        }
    }

    #[test]
    fn dialects_follow_the_prefix() {
        let cases = [
            ("/api/x", Dialect::Akto),
            ("/auth/login", Dialect::Akto),
            ("/api/managed_users/1/x", Dialect::Workato),
            ("/api/managed_usersx", Dialect::Akto),
            ("/api/v2/api_clients", Dialect::Workato),
            ("/core/v1/x", Dialect::Katapult),
            ("/api_tokens/1", Dialect::Katapult),
            ("/v1/jobs", Dialect::Portolan),
            ("/", Dialect::Portolan),
        ];
        for (path, dialect) in cases {
            assert_eq!(dialect_of_path(path), dialect, "{path}");
        }
    }
}

//! A failure as an answer: status, headers, and the body that its dialect documents.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use portolan_api::{Error, Reason};

use crate::{
    dialect::{Form, Told},
    reply::Reply,
};

/// Wait that a 429 asks for when the error names none.
const RETRY_AFTER_SECONDS: u32 = 60;
/// Wait that a 503 asks for: a dependency that restarts is back within seconds.
const UNAVAILABLE_RETRY_SECONDS: u32 = 1;

/// Renders an error in the form of its path. A fault of ours is logged here, with its cause, since here it leaves the
/// process.
pub(crate) fn render(error: &Error, form: Form, request_id: &str) -> Reply {
    let rules = form.rules;
    let error = &*rules.restate(error, form);
    let status = StatusCode::from_u16(error.http_status(rules.id())).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status.is_server_error() {
        tracing::error!(request_id, reason = error.reason().as_str_name(), %error, "request failed");
    }
    let body = rules.error_body(&Told { error, status, request_id, form });
    let mut reply = Response::new(Bytes::from(body.to_string()));
    *reply.status_mut() = status;

    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(rules.error_media_type()));
    headers.insert("x-portolan-error", HeaderValue::from_static(error.reason().as_str_name()));
    rules.error_headers(error, headers);
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
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(rules.challenge(error)));
        }
        _ => {}
    }
    reply
}

#[cfg(test)]
mod tests {
    use portolan_api::Dialect;
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect;

    fn render(error: &Error, dialect: Dialect, request_id: &str) -> Reply {
        super::render(error, Form::plain(dialect::of(dialect)), request_id)
    }

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
    fn a_route_may_ask_for_more() {
        let tell = |error: Error, form: Form| -> Value {
            serde_json::from_slice(super::render(&error, form, "r").body()).unwrap()
        };
        let akto = Form { has_error_member: true, ..Form::plain(dialect::of(Dialect::Akto)) };
        let text = Error::from(Reason::Unauthenticated).text();
        assert_eq!(tell(Reason::Unauthenticated.into(), akto), json!({"actionErrors": [text], "error": text}));
        let oauth = Form { is_oauth: true, ..Form::plain(dialect::of(Dialect::Workato)) };
        let unread = Error::new(Reason::BodyNotJson).with("detail", "EOF");
        assert_eq!(
            tell(unread.clone(), oauth),
            json!({"error": "invalid_request", "error_description": unread.text()})
        );
    }
}

//! The pages that links lead to: what stands at the root, signing in, choosing a password, and joining by invitation.
//!
//! Each is one file without outside parts. Its forms send JSON to the documented routes; without scripts it says by which
//! call the same is done.

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("door.css");
const SCRIPT: &str = include_str!("door.js");

/// A page and the policy that lets its own parts alone work.
pub(crate) struct Page {
    pub html: String,
    pub content_security_policy: &'static str,
}

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; frame-ancestors 'none'; \
         base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
});

/// The page of a path, if it has one.
pub(crate) fn page(path: &str) -> Option<Page> {
    let (title, body) = match path {
        "/" => ("Portolan", include_str!("root.html")),
        "/login" => ("Sign in to Portolan", include_str!("login.html")),
        "/signup" => ("Join Portolan", include_str!("signup.html")),
        _ => return None,
    };
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" \
         content=\"light dark\"><style>{STYLE}</style></head><body><main><h1>{title}</h1>{body}</main>\
         <script>{SCRIPT}</script></body></html>\n"
    );
    Some(Page { html, content_security_policy: &POLICY })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::Routes;

    /// What the forms send is what the contract takes, and nothing comes from outside.
    #[test]
    fn forms_send_what_routes_take() {
        let routes = Routes::from_contract().unwrap();
        let mut forms = 0;
        for path in ["/", "/login", "/signup"] {
            let html = page(path).unwrap().html;
            for outside in ["src=", "url(", "@import", "href=\"http", "<link", "style=\"", "onclick"] {
                assert!(!html.contains(outside), "{path} has {outside}");
            }
            for form in html.split("<form ").skip(1) {
                let form = form.split("</form>").next().unwrap();
                let attribute =
                    |name: &str| form.split_once(&format!("{name}=\"")).unwrap().1.split('"').next().unwrap();
                let found = routes.find(attribute("data-post")).unwrap();
                let route = found.route(&http::Method::POST).unwrap();
                let plan = routes.plans.message(route.rpc.request);
                for name in form.split(" name=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
                    assert!(plan.by_any_name(name).is_some(), "{path}: {} takes no {name}", route.pattern);
                }
                forms += 1;
            }
        }
        assert_eq!(forms, 4);
        assert!(page("/other").is_none());
    }
}

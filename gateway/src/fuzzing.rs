//! What `gateway/fuzz` runs, and a unit test on its seeds: the whole way from an HTTP request to a request message, and
//! from bytes of a service to an answer, without a service.

use axum::body::Body;
use http::{Method, Request, header};
use portolan_runtime::budget::{CallBudget, Owner};
use prost_reflect::DynamicMessage;
use tokio::runtime::Runtime;

use crate::{
    body::RequestBody,
    call::FRAME_HEADER_BYTES,
    codec::{self, Secrets},
    dialect::Asked,
    gateway::{Message, message},
    routes::Routes,
};

/// The transcoder of the contract.
pub struct Transcoder {
    routes: Routes,
    runtime: Runtime,
}

impl Transcoder {
    /// # Panics
    /// When the contract cannot be served.
    pub fn from_contract() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        Self { routes: Routes::from_contract().expect("the contract"), runtime }
    }

    /// Reads `VERB /path?query`, a line with the content type, and the body.
    ///
    /// # Panics
    /// When a message that was made cannot be read by the protobuf library or written as JSON, or when the body, read as
    /// an answer of the RPC, becomes something that is not JSON.
    pub fn check(&self, input: &[u8]) {
        let mut lines = input.splitn(3, |byte| *byte == b'\n');
        let mut line = || lines.next().unwrap_or_default();
        let (target, content_type, body) = (line(), line(), line());
        let Some((verb, uri)) = std::str::from_utf8(target).ok().and_then(|target| target.split_once(' ')) else {
            return;
        };
        let Ok(verb) = Method::from_bytes(verb.as_bytes()) else { return };
        let request = Request::builder().method(verb).uri(uri).header(header::CONTENT_TYPE, content_type);
        let Ok(request) = request.body(Body::from(body.to_vec())) else { return };
        let (parts, sent) = request.into_parts();
        let Ok(found) = self.routes.find(parts.uri.path()) else { return };
        let Some(route) = found.route(&parts.method) else { return };

        let sent = RequestBody::new(sent, &parts.headers);
        let asked = Asked { routes: &self.routes, route, values: &found.values, parts: &parts };
        let mut hold = CallBudget::new(usize::MAX, usize::MAX).hold(Owner::Account(1.into()));
        let made = self.runtime.block_on(async {
            let made = message(&asked, sent, &mut hold, true).await;
            // What drains a body that was not read ends here, and not with the process.
            tokio::task::yield_now().await;
            made
        });
        match made {
            Ok((Message::Unary(frame), _)) => {
                let wire = &frame[FRAME_HEADER_BYTES..];
                DynamicMessage::decode(route.rpc.descriptor.input(), wire).expect("a message of the RPC");
                let json = codec::wire_to_json(&self.routes.plans, route.rpc.request, None, wire, Secrets::Shown);
                expect_json(&json.expect("the message as JSON").body);
            }
            Ok((Message::Stream(_), _)) => (),
            Err(error) => assert!((400..500).contains(&error.http_status(route.rpc.policy.dialect)), "{error:?}"),
        }
        for secrets in [Secrets::Shown, Secrets::LeftOut] {
            let answer =
                codec::wire_to_json(&self.routes.plans, route.rpc.response, route.response_body, body, secrets);
            if let Ok(answer) = answer {
                expect_json(&answer.body);
            }
        }
    }
}

fn expect_json(text: &[u8]) {
    assert!(text.is_empty() || serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok(), "{text:?}");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Goal: what the fuzzer starts from, and what it found once, is taken.
    #[test]
    fn seeds_are_transcoded() {
        let transcoder = Transcoder::from_contract();
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/transcoder");
        let mut count = 0;
        for seed in std::fs::read_dir(seeds).unwrap() {
            transcoder.check(&std::fs::read(seed.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count >= 10, "{count} seeds");
    }
}

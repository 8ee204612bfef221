//! What is told of a call that comes from a client and not through the gateway, which tells of its own.

use std::time::Instant;

use http::{Request, Response};
use portolan_api::{Error, MethodPolicy, access};
use portolan_ids::AccountId;
use tonic::{Code, Status, body::Body};

use crate::{Caller, REQUEST_ID_HEADER, SERVICE_HEADER, ServiceAuth};

pub(crate) struct Watched {
    started: Instant,
    policy: &'static MethodPolicy,
    is_from_service: bool,
    account_id: AccountId,
    credential_id: String,
    request_id: String,
}

impl Watched {
    pub fn of(request: &Request<Body>, policy: &'static MethodPolicy, services: &ServiceAuth) -> Self {
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (request_id, service) = (text(REQUEST_ID_HEADER), text(SERVICE_HEADER));
        Self {
            started: Instant::now(),
            policy,
            is_from_service: services.verify(service, None).is_ok(),
            account_id: AccountId(0),
            credential_id: String::new(),
            request_id: request_id.to_owned(),
        }
    }

    /// Who calls, for the span of the call too.
    pub fn note(&mut self, caller: Option<&Caller>) {
        let Some(caller) = caller else { return };
        (self.account_id, self.credential_id) = (caller.account_id, caller.credential_id.clone());
        self.request_id.clone_from(&caller.info.request_id);
        tracing::Span::current()
            .record("account_id", self.account_id.get())
            .record("credential_id", &self.credential_id);
    }

    pub fn tell(&self, response: &Response<Body>) {
        if self.is_from_service {
            return;
        }
        let status = Status::from_header_map(response.headers());
        let code = status.as_ref().map_or(Code::Ok, Status::code);
        let reason =
            status.filter(|status| status.code() != Code::Ok).map(|status| Error::from_status(&status).reason());
        if code == Code::Unauthenticated {
            let reason = reason.map_or("", |reason| reason.as_str_name());
            metrics::counter!("portolan_authentication_failures_total", "reason" => reason).increment(1);
        }
        access::tell(&access::Request {
            account_id: self.account_id.into(),
            credential_id: &self.credential_id,
            route: &self.policy.path,
            status: &format!("{code:?}"),
            reason,
            failed: matches!(code, Code::Internal | Code::Unavailable | Code::Unknown | Code::DataLoss),
            seconds: self.started.elapsed().as_secs_f64(),
            request_id: &self.request_id,
        });
    }
}

//! For whom a call is served.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use portolan_authz::Caller;
use portolan_store::on_behalf_of;
use tonic::body::Body;
use tower::{Layer, Service};

/// Serves each call on behalf of the account of its caller, so that many calls of one account do not hold up those of
/// others at the store; belongs behind the guard, which says who calls.
#[derive(Clone, Copy)]
pub struct BehalfLayer;

impl<S> Layer<S> for BehalfLayer {
    type Service = Behalf<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Behalf(inner)
    }
}

#[derive(Clone)]
pub struct Behalf<S>(S);

impl<S> Service<Request<Body>> for Behalf<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let account_id = request.extensions().get::<Caller>().map(|caller| caller.account_id);
        let answer = self.0.call(request);
        match account_id {
            Some(account_id) => Box::pin(on_behalf_of(account_id, answer)),
            None => Box::pin(answer),
        }
    }
}

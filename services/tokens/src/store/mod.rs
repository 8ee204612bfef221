//! The statements of tokens, by noun.

pub(crate) mod access_tokens;
pub(crate) mod api_keys;
pub(crate) mod clients;
pub(crate) mod edge;
mod lists;
pub(crate) mod organization_tokens;
mod owners;
pub(crate) mod profiles;
mod sealed;
pub(crate) mod sequences;
pub(crate) mod slack_webhooks;

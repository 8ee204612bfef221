//! Columns whose values are sealed.

use portolan_runtime::{sealed::Column, sealed_column};

/// PKCS#8 of the keys of caller tokens.
pub const SIGNING_KEY: Column = sealed_column!("signing_keys", "private_key", "key_id", Text, Bytes);
/// PKCS#8 of the installation's own keys.
pub const INSTALLATION_KEY: Column = sealed_column!("installation_keys", "private_key", "name", Text, Bytes);
/// Proofs of logins that a provider has not answered yet.
pub const OIDC_VERIFIER: Column = sealed_column!("oidc_logins", "verifier", "state_digest", Text, Bytes);
/// ID tokens of single sign-on.
pub const ID_TOKEN: Column = sealed_column!("sessions", "id_token", "session_digest", Text, Bytes);
/// Keys of the audit, the current one and those before it.
pub const AUDIT_KEY: Column = sealed_column!("audit_keys", "sealed", "key_id", Text, Bytes);

/// Every one of them.
pub const SEALED: [&Column; 5] = [&SIGNING_KEY, &INSTALLATION_KEY, &OIDC_VERIFIER, &ID_TOKEN, &AUDIT_KEY];

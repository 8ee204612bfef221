//! Metadata and headers by which processes of an installation tell each other who calls.

/// Metadata that carries a caller token between services.
pub const CALLER_HEADER: &str = "x-portolan-caller";
/// Metadata by which services of the installation know each other.
pub const SERVICE_HEADER: &str = "x-portolan-service";
/// Metadata with the id of the request, for logs and answers.
pub const REQUEST_ID_HEADER: &str = "x-request-id";
/// Metadata with the id under which a write is idempotent.
pub const WRITE_ID_HEADER: &str = "x-portolan-write-id";
/// Metadata with the address of the client, as the gateway saw it. Read only beside a valid service or caller token.
pub const CLIENT_ADDRESS_HEADER: &str = "x-portolan-client-address";
/// Header that names the product scope of a call.
pub const SCOPE_HEADER: &str = "x-context-source";

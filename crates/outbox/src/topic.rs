/// The topic of [`crate::AuditEvent`]s, received by identity.
pub const AUDIT: &str = "audit";
/// The topic of signed heads of the audit, received outside of the installation.
pub const AUDIT_HEADS: &str = "audit_heads";
/// The topic of usage events, received by billing.
pub const USAGE: &str = "usage";
/// The topic of [`crate::notice::Notice`]s, received by identity and tokens.
pub const NOTICE: &str = "notice";
/// The topic of memberships that ended, received by tokens.
pub const REVOCATIONS: &str = "revocations";

//! Settings of an account.

/// Lists as they were given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Ranges whose addresses are private.
    pub private_cidrs: Vec<String>,
    /// Addresses of partners.
    pub partner_ips: Vec<String>,
}

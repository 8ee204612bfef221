//! Settings of an account.

/// Lists as they were given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub private_cidrs: Vec<String>,
    pub partner_ips: Vec<String>,
}

//! The columns that hold settings, and what each of them must be.

use portolan_store::setting::{Setting, is};

use super::entitlements::Entitlements;

/// Every stored setting of the service.
pub const STORED: [Setting; 1] = [Setting {
    table: "billing_organizations",
    owner: "organization_id",
    key: "organization_id",
    column: "entitlements",
    check: is::<Entitlements>,
}];

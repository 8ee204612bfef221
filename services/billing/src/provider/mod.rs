//! Who keeps subscriptions: the installation itself, or Stigg.

pub mod stigg;

use portolan_api::Result;
use portolan_ids::CustomerId;

pub use crate::model::subscriptions::{Checkout, Customer, Order, Period, SigningKey};

/// The provider of an installation.
pub enum Provider {
    /// Plans of the plans file; subscribing costs nothing.
    BuiltIn(SigningKey),
    /// The service of that name.
    Stigg(stigg::Stigg),
}

impl Provider {
    /// The token with which a browser acts as the customer.
    pub fn customer_token(&self, customer_id: &CustomerId) -> String {
        match self {
            Self::BuiltIn(key) => key.token(customer_id),
            Self::Stigg(stigg) => stigg.signing_key.token(customer_id),
        }
    }

    /// Subscribes a customer.
    ///
    /// # Errors
    /// `PLAN_UNKNOWN`, `BILLING_PROVIDER_UNAVAILABLE`.
    pub async fn subscribe(&self, order: &Order<'_>) -> Result<Checkout> {
        match self {
            Self::BuiltIn(_) => Ok(Checkout::Success),
            Self::Stigg(stigg) => stigg.provision_subscription(order).await,
        }
    }
}

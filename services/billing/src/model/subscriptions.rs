//! Customers of a provider, what they order, and how they sign.

use portolan_ids::{CustomerId, PlanId};

/// Signs the tokens of customers.
pub struct SigningKey(Vec<u8>);

/// An organization as the provider is told of it.
pub struct Customer<'c> {
    /// The id of the organization.
    pub id: &'c CustomerId,
    /// As invoices call it.
    pub name: &'c str,
    /// Where invoices go.
    pub email: &'c str,
}

/// A subscription that is asked for.
pub struct Order<'o> {
    /// Who orders.
    pub customer_id: &'o CustomerId,
    /// What is ordered.
    pub plan_id: &'o PlanId,
    /// How often it is paid.
    pub period: Period,
    /// Where the browser goes after the payment.
    pub success_url: &'o str,
    /// Where it goes without one.
    pub cancel_url: &'o str,
}

/// How often a plan is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Each month.
    Monthly,
    /// Each year.
    Annually,
}

impl Period {
    /// The period of a documented name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "monthly" | "MONTHLY" => Some(Self::Monthly),
            "annual" | "annually" | "ANNUAL" | "ANNUALLY" => Some(Self::Annually),
            _ => None,
        }
    }

    /// As the contract spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Monthly => "MONTHLY",
            Self::Annually => "ANNUALLY",
        }
    }
}

/// How a subscription went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checkout {
    /// It has begun.
    Success,
    /// It begins after a visit to this address.
    Pending(String),
}

impl SigningKey {
    /// Signs under a key of any length.
    pub fn new(key: impl Into<Vec<u8>>) -> Self {
        Self(key.into())
    }

    /// The token with which a browser acts as the customer.
    pub fn token(&self, customer_id: &CustomerId) -> String {
        use hmac::{KeyInit as _, Mac as _};
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(customer_id.as_str().as_bytes());
        format!("HMAC-SHA256 {customer_id}:{}", hex::encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_hmac_in_hex() {
        // RFC 4231, test case 2, with the customer id as data.
        let token = SigningKey::new("Jefe").token(&"what do ya want for nothing?".into());
        let digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(token, format!("HMAC-SHA256 what do ya want for nothing?:{digest}"));
    }

    #[test]
    fn periods_have_two_spellings() {
        assert_eq!(Period::parse("annual"), Some(Period::Annually));
        assert_eq!(Period::parse("MONTHLY").map(Period::name), Some("MONTHLY"));
        assert_eq!(Period::parse("weekly"), None);
    }
}

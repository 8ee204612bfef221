use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::custom_type::CustomType;
use super::pii::PiiType;

/// The response code that stands for the request.
pub const REQUEST: i32 = -1;

/// What a value is, as found by the detectors. One parameter can show several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is the documented data type of its name")]
pub enum SubType {
    Null,
    True,
    False,
    Integer32,
    Integer64,
    Float,
    CreditCard,
    Email,
    Url,
    Ssn,
    Uuid,
    Jwt,
    PhoneNumber,
    IpAddress,
    Vin,
    Address,
    Dict,
    Generic,
    Other,
    /// An entry of the table of personal and secret data.
    Pii(PiiType),
    /// Defined by an account.
    Custom(CustomType),
}

/// The family that a subtype belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the JSON type of its name")]
pub enum SuperType {
    Boolean,
    Integer,
    Float,
    String,
    Custom,
}

/// Where in an exchange a value stands. Query and URL parameters are request payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is the part of a call of its name")]
pub enum Position {
    RequestHeader,
    RequestPayload,
    ResponseHeader,
    ResponsePayload,
}

impl SubType {
    const PLAIN: [Self; 19] = [
        Self::Null,
        Self::True,
        Self::False,
        Self::Integer32,
        Self::Integer64,
        Self::Float,
        Self::CreditCard,
        Self::Email,
        Self::Url,
        Self::Ssn,
        Self::Uuid,
        Self::Jwt,
        Self::PhoneNumber,
        Self::IpAddress,
        Self::Vin,
        Self::Address,
        Self::Dict,
        Self::Generic,
        Self::Other,
    ];

    /// Every built-in subtype.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::PLAIN.into_iter().chain(PiiType::all().map(Self::Pii))
    }

    /// As the contract spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::True => "TRUE",
            Self::False => "FALSE",
            Self::Integer32 => "INTEGER_32",
            Self::Integer64 => "INTEGER_64",
            Self::Float => "FLOAT",
            Self::CreditCard => "CREDIT_CARD",
            Self::Email => "EMAIL",
            Self::Url => "URL",
            Self::Ssn => "SSN",
            Self::Uuid => "UUID",
            Self::Jwt => "JWT",
            Self::PhoneNumber => "PHONE_NUMBER",
            Self::IpAddress => "IP_ADDRESS",
            Self::Vin => "VIN",
            Self::Address => "ADDRESS",
            Self::Dict => "DICT",
            Self::Generic => "GENERIC",
            Self::Other => "OTHER",
            Self::Pii(pii) => pii.name(),
            Self::Custom(custom) => custom.name(),
        }
    }

    /// The built-in subtype of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::PLAIN
            .into_iter()
            .find(|sub_type| sub_type.name() == name)
            .or_else(|| PiiType::from_name(name).map(Self::Pii))
    }

    /// The subtype of a stored name: one that is not built in is of an account's making.
    pub fn stored(name: &str) -> Self {
        Self::from_name(name).unwrap_or_else(|| Self::Custom(CustomType::named(name)))
    }

    /// The JSON type of its values.
    pub fn super_type(self) -> SuperType {
        match self {
            Self::True | Self::False => SuperType::Boolean,
            Self::Integer32 | Self::Integer64 => SuperType::Integer,
            Self::Float => SuperType::Float,
            Self::Pii(_) | Self::Custom(_) => SuperType::Custom,
            _ => SuperType::String,
        }
    }

    /// Sensitive wherever it stands.
    pub fn sensitive_always(self) -> bool {
        match self {
            Self::CreditCard | Self::Email | Self::Ssn | Self::PhoneNumber | Self::Vin | Self::Address => true,
            Self::Pii(pii) => pii.is_sensitive(),
            _ => false,
        }
    }

    /// The positions where it is sensitive when it is not so always.
    pub fn sensitive_positions(self) -> &'static [Position] {
        match self {
            Self::Jwt | Self::IpAddress => &[Position::ResponseHeader, Position::ResponsePayload],
            _ => &[],
        }
    }

    /// Whether a value of the type is sensitive where it stands.
    pub fn is_sensitive_at(self, position: Position) -> bool {
        self.sensitive_always() || self.sensitive_positions().contains(&position)
    }

    /// Whether its values have an order, so that a smallest and a largest are kept.
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Integer32 | Self::Integer64 | Self::Float)
    }
}

impl SuperType {
    /// As the contract spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Integer => "INTEGER",
            Self::Float => "FLOAT",
            Self::String => "STRING",
            Self::Custom => "CUSTOM",
        }
    }
}

impl Position {
    /// The position of a parameter; `response_code` is -1 for a request.
    pub fn of(response_code: i32, is_header: bool) -> Self {
        match (response_code == REQUEST, is_header) {
            (true, true) => Self::RequestHeader,
            (true, false) => Self::RequestPayload,
            (false, true) => Self::ResponseHeader,
            (false, false) => Self::ResponsePayload,
        }
    }

    /// As the contract spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::RequestHeader => "REQUEST_HEADER",
            Self::RequestPayload => "REQUEST_PAYLOAD",
            Self::ResponseHeader => "RESPONSE_HEADER",
            Self::ResponsePayload => "RESPONSE_PAYLOAD",
        }
    }
}

impl Serialize for SubType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for SubType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Ok(Self::stored(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_its_subtype() {
        for sub_type in SubType::all() {
            assert_eq!(SubType::from_name(sub_type.name()), Some(sub_type));
        }
        assert_eq!(SubType::from_name("email"), None);
    }

    #[test]
    fn sensitivity_depends_on_the_position() {
        assert!(SubType::Email.is_sensitive_at(Position::RequestHeader));
        assert!(!SubType::Jwt.is_sensitive_at(Position::RequestHeader));
        assert!(SubType::Jwt.is_sensitive_at(Position::ResponsePayload));
        assert!(!SubType::Uuid.is_sensitive_at(Position::ResponsePayload));
        assert_eq!(Position::of(-1, true).name(), "REQUEST_HEADER");
        assert_eq!(Position::of(200, false).name(), "RESPONSE_PAYLOAD");
    }
}

use portolan_record::{DeclaredParameter, Location};

use crate::detect::Detected;
use crate::sighting::{NAME_BYTES_MAX, Place, Sightings, cut, without_nul};
use crate::{PiiType, SubType};

/// What the last part of a declared name says of a text that has no example. The names have no separators.
const NAMES: [(&str, SubType); 37] = [
    ("email", SubType::Email),
    ("emailaddress", SubType::Email),
    ("mail", SubType::Email),
    ("useremail", SubType::Email),
    ("phone", SubType::PhoneNumber),
    ("phonenumber", SubType::PhoneNumber),
    ("phoneno", SubType::PhoneNumber),
    ("mobile", SubType::PhoneNumber),
    ("mobilenumber", SubType::PhoneNumber),
    ("mobileno", SubType::PhoneNumber),
    ("mobilephone", SubType::PhoneNumber),
    ("telephone", SubType::PhoneNumber),
    ("telephonenumber", SubType::PhoneNumber),
    ("cellphone", SubType::PhoneNumber),
    ("msisdn", SubType::PhoneNumber),
    ("ssn", SubType::Ssn),
    ("socialsecuritynumber", SubType::Ssn),
    ("creditcard", SubType::CreditCard),
    ("creditcardnumber", SubType::CreditCard),
    ("cardnumber", SubType::CreditCard),
    ("cardno", SubType::CreditCard),
    ("ccnumber", SubType::CreditCard),
    ("debitcard", SubType::CreditCard),
    ("debitcardnumber", SubType::CreditCard),
    ("primaryaccountnumber", SubType::CreditCard),
    ("vin", SubType::Vin),
    ("vehicleidentificationnumber", SubType::Vin),
    ("ip", SubType::IpAddress),
    ("ipaddress", SubType::IpAddress),
    ("ipaddr", SubType::IpAddress),
    ("ipv4", SubType::IpAddress),
    ("ipv6", SubType::IpAddress),
    ("clientip", SubType::IpAddress),
    ("remoteip", SubType::IpAddress),
    ("jwt", SubType::Jwt),
    ("uuid", SubType::Uuid),
    ("guid", SubType::Uuid),
];

/// Gathers a declared parameter: once per subtype of its examples, else once with the subtype that its schema gives.
/// An example tells the type and is not kept: nobody has sent it. Documents use reserved addresses on purpose, so one
/// of those says nothing against the parameter.
pub fn read(parameter: &DeclaredParameter, sightings: &mut Sightings<'_>) {
    let (place, prefix) = match parameter.location {
        Location::Path => (Place::Url, ""),
        Location::Query => (Place::Query, ""),
        Location::Header => (Place::Header, ""),
        Location::Cookie => (Place::Header, "cookie#"),
        Location::Body => (Place::Body, ""),
    };
    let name = cut(&parameter.name, NAME_BYTES_MAX - prefix.len());
    let name = match place {
        Place::Header => format!("{prefix}{}", without_nul(name).to_lowercase()),
        _ => without_nul(name).into_owned(),
    };
    let key = parameter.label.as_deref().unwrap_or_else(|| last_key(&parameter.name));
    let schema = of_schema(parameter);
    let is_text = matches!(&*parameter.schema_type, "string" | "");
    let mut has_example = false;
    for example in &parameter.examples {
        let sub_type = match (schema, is_text) {
            (Some(sub_type), _) => sub_type,
            (None, true) => sightings.detectors.detect_text(key, example).sub_type,
            (None, false) => continue,
        };
        // A text that looks like nothing in particular leaves the question to the name.
        if sub_type == SubType::Generic && of_name(sightings, key).is_some() {
            continue;
        }
        has_example = true;
        sightings.add(parameter.response_code, place, &name, Detected { sub_type, reserved: false }, None, false);
    }
    if !has_example {
        let by_name = || if is_text { of_name(sightings, key) } else { None };
        let sub_type = schema.or_else(by_name).unwrap_or(match &*parameter.schema_type {
            "string" | "" => SubType::Generic,
            "object" => SubType::Dict,
            "null" => SubType::Null,
            _ => SubType::Other,
        });
        sightings.add(parameter.response_code, place, &name, Detected { sub_type, reserved: false }, None, false);
    }
}

fn of_schema(parameter: &DeclaredParameter) -> Option<SubType> {
    let format = parameter.format.as_deref().unwrap_or_default();
    match &*parameter.schema_type {
        "integer" => Some(if format == "int64" { SubType::Integer64 } else { SubType::Integer32 }),
        "number" => Some(SubType::Float),
        "boolean" => Some(SubType::True),
        "string" | "" => match format {
            "email" | "idn-email" => Some(SubType::Email),
            "uuid" | "guid" => Some(SubType::Uuid),
            "ipv4" | "ipv6" | "ip" => Some(SubType::IpAddress),
            "uri" | "url" => Some(SubType::Url),
            "phone" | "phone-number" => Some(SubType::PhoneNumber),
            "password" => PiiType::from_name("PASSWORD").map(SubType::Pii),
            "jwt" => Some(SubType::Jwt),
            "credit-card" | "creditcard" | "card-number" => Some(SubType::CreditCard),
            "ssn" | "us-ssn" | "social-security-number" => Some(SubType::Ssn),
            "vin" => Some(SubType::Vin),
            "iban" => PiiType::from_name("IBAN EUROPE").map(SubType::Pii),
            "secret" | "client-secret" => PiiType::from_name("CLIENT SECRET").map(SubType::Pii),
            "private-key" | "pem" => PiiType::from_name("PRIVATE KEY").map(SubType::Pii),
            _ => None,
        },
        _ => None,
    }
}

fn of_name(sightings: &Sightings<'_>, key: &str) -> Option<SubType> {
    let compact: String = key.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let named = NAMES.iter().find(|(name, _)| *name == compact).map(|(_, sub_type)| *sub_type);
    sightings.detectors.detect_key(key).or(named)
}

/// The last part of a body path that is a name.
fn last_key(name: &str) -> &str {
    name.rsplit(['#', '.', '[', ']']).find(|part| *part != "$" && !part.is_empty()).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Detectors;

    fn found(
        schema_type: &str,
        format: Option<&str>,
        name: &str,
        examples: &[&str],
    ) -> Vec<(&'static str, Option<String>, bool)> {
        let detectors = Detectors::default();
        let mut sightings = Sightings::new(&detectors);
        let parameter = DeclaredParameter {
            location: Location::Body,
            response_code: 200,
            name: name.to_string(),
            label: None,
            schema_type: schema_type.to_string(),
            format: format.map(str::to_string),
            required: false,
            examples: examples.iter().map(ToString::to_string).collect(),
        };
        read(&parameter, &mut sightings);
        sightings
            .finish()
            .into_iter()
            .map(|found| (found.key.sub_type.name(), found.value.map(String::from), found.sensitive))
            .collect()
    }

    #[test]
    fn schemas_give_a_subtype_without_a_value() {
        for (schema_type, format, name, expected) in [
            ("integer", None, "a", "INTEGER_32"),
            ("integer", Some("int64"), "a", "INTEGER_64"),
            ("number", Some("double"), "a", "FLOAT"),
            ("boolean", None, "a", "TRUE"),
            ("string", None, "a", "GENERIC"),
            ("string", Some("email"), "a", "EMAIL"),
            ("string", Some("ipv6"), "a", "IP_ADDRESS"),
            ("string", Some("uri"), "a", "URL"),
            ("string", Some("uuid"), "a", "UUID"),
            ("string", None, "user#e_mail", "EMAIL"),
            ("string", None, "users#$#Mobile-Number", "PHONE_NUMBER"),
            ("string", None, "emails#$", "GENERIC"),
            ("string", None, "card_number", "CREDIT_CARD"),
            ("string", None, "newPassword", "PASSWORD"),
            ("integer", None, "card_number", "INTEGER_32"),
            ("object", None, "a", "DICT"),
            ("array", None, "a", "OTHER"),
        ] {
            let list = found(schema_type, format, name, &[]);
            assert_eq!(list.len(), 1);
            assert_eq!((list[0].0, &list[0].1), (expected, &None), "{schema_type} {format:?} {name}");
        }
    }

    #[test]
    fn examples_of_the_document_tell_the_type() {
        assert_eq!(found("string", None, "a", &["jane@mail.org"]), [("EMAIL", None, true)]);
        assert_eq!(found("string", Some("email"), "a", &["x@example.com"]), [("EMAIL", None, true)]);
        assert_eq!(found("string", None, "email", &["somebody"]), [("EMAIL", None, true)]);
        assert_eq!(found("integer", None, "a", &["5"]), [("INTEGER_32", None, false)]);
    }
}

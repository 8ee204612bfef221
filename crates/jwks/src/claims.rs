use serde_json::{Map, Value};

/// What the claims of a verified token must fulfil.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Each must be there and not be empty.
    pub required: Vec<String>,
    /// When there are any, `iss` must be one of them; none means any issuer and also none.
    pub allowed_issuers: Vec<String>,
    /// How far the clocks of issuer and verifier may be apart.
    pub leeway_s: u32,
    /// Whether a token without `exp` is refused even when `required` does not name it.
    pub requires_exp: bool,
}

/// The claim that a token fails for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant says when it occurs")]
pub enum ClaimError {
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the claim {0} is no time")]
    NoTime(&'static str),
    #[error("the claim {0} is missing")]
    Missing(String),
    #[error("the issuer is not allowed")]
    Issuer,
}

impl Rules {
    /// `now_s` is the present in Unix seconds.
    ///
    /// # Errors
    /// The first claim that does not fit.
    pub fn check(&self, claims: &Map<String, Value>, now_s: i64) -> Result<(), ClaimError> {
        let (now, leeway) = (now_s as f64, f64::from(self.leeway_s));
        if let Some(exp) = time(claims, "exp")?
            && now >= exp + leeway
        {
            return Err(ClaimError::Expired);
        }
        for name in ["nbf", "iat"] {
            if let Some(begin) = time(claims, name)?
                && now < begin - leeway
            {
                return Err(ClaimError::NotYet);
            }
        }
        let always = self.requires_exp.then_some("exp");
        let missing = self.required.iter().map(String::as_str).chain(always).find(|name| is_empty(claims.get(*name)));
        if let Some(name) = missing {
            return Err(ClaimError::Missing(name.to_owned()));
        }
        let issuer = claims.get("iss").and_then(Value::as_str);
        if !self.allowed_issuers.is_empty()
            && !self.allowed_issuers.iter().any(|allowed| Some(allowed.as_str()) == issuer)
        {
            return Err(ClaimError::Issuer);
        }
        Ok(())
    }
}

/// A NumericDate (RFC 7519, 2): seconds, possibly with a fraction, and nothing else.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<f64>, ClaimError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().filter(|time| time.is_finite()).map(Some).ok_or(ClaimError::NoTime(name)),
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(members)) => members.is_empty(),
        Some(Value::Bool(_) | Value::Number(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn check(rules: &Rules, claims: &Value) -> Result<(), ClaimError> {
        rules.check(claims.as_object().unwrap(), NOW)
    }

    #[test]
    fn times_count_whenever_they_are_there() {
        let rules = Rules { leeway_s: 30, ..Rules::default() };
        let cases = [
            (json!({}), Ok(())),
            (json!({"exp": NOW + 1}), Ok(())),
            (json!({"exp": NOW - 29}), Ok(())),
            (json!({"exp": NOW - 30}), Err(ClaimError::Expired)),
            (json!({"exp": 1.5}), Err(ClaimError::Expired)),
            (json!({"exp": -1}), Err(ClaimError::Expired)),
            (json!({"exp": "1900000000"}), Err(ClaimError::NoTime("exp"))),
            (json!({"exp": null}), Err(ClaimError::NoTime("exp"))),
            (json!({"nbf": NOW + 30}), Ok(())),
            (json!({"nbf": NOW + 31}), Err(ClaimError::NotYet)),
            (json!({"iat": NOW + 31}), Err(ClaimError::NotYet)),
            (json!({"iat": 0, "nbf": 0, "exp": 1e300}), Ok(())),
        ];
        for (claims, expected) in cases {
            assert_eq!(check(&rules, &claims), expected, "{claims}");
        }
        let strict = Rules { requires_exp: true, ..Rules::default() };
        assert_eq!(check(&strict, &json!({})), Err(ClaimError::Missing("exp".into())));
    }

    #[test]
    fn required_claims_must_not_be_empty() {
        let rules = Rules { required: vec!["aud".into()], ..Rules::default() };
        for empty in [json!({}), json!({"aud": null}), json!({"aud": ""}), json!({"aud": []}), json!({"aud": {}})] {
            assert_eq!(check(&rules, &empty), Err(ClaimError::Missing("aud".into())), "{empty}");
        }
        for there in [json!({"aud": "x"}), json!({"aud": ["x"]}), json!({"aud": 0}), json!({"aud": false})] {
            assert_eq!(check(&rules, &there), Ok(()), "{there}");
        }
    }

    #[test]
    fn issuers_are_compared_letter_by_letter() {
        let rules = Rules { allowed_issuers: vec!["https://a".into(), "https://b".into()], ..Rules::default() };
        assert_eq!(check(&rules, &json!({"iss": "https://b"})), Ok(()));
        for other in
            [json!({}), json!({"iss": "https://A"}), json!({"iss": "https://b/"}), json!({"iss": ["https://a"]})]
        {
            assert_eq!(check(&rules, &other), Err(ClaimError::Issuer), "{other}");
        }
    }
}

//! Cookies of this host alone: the session, and what binds a single sign-on to the browser that began it.

use http::{HeaderMap, header};
use portolan_api::Error;

/// Binds a single sign-on to the browser that began it, for as long as a login may take.
pub(crate) const LOGIN_COOKIE: &str = "__Host-portolan-login";
pub(crate) const LOGIN_COOKIE_S: u32 = 600;

/// The value of `Set-Cookie`; an empty value ends the cookie.
///
/// # Errors
/// `INTERNAL` for characters that a cookie cannot have.
pub(crate) fn set(name: &str, value: &str, life: &str) -> Result<String, Error> {
    let is_cookie_octet = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
    if !value.bytes().all(is_cookie_octet) {
        return Err(Error::internal("a cookie value has characters that it cannot have"));
    }
    let life = if value.is_empty() { "; Max-Age=0" } else { life };
    Ok(format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{life}"))
}

/// The value of a cookie that a request brings.
pub(crate) fn get<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use portolan_authz::SESSION_COOKIE;

    use super::*;

    #[test]
    fn an_empty_session_ends_and_a_forged_one_is_refused() {
        assert!(set(SESSION_COOKIE, "", "").unwrap().ends_with("; Max-Age=0"));
        assert!(set(SESSION_COOKIE, "a; Domain=evil", "").is_err());
    }
}

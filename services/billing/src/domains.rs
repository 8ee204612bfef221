//! Domains of e-mail addresses.

/// Mail providers where anybody gets an address: two such addresses have nothing in common.
const FREE_PROVIDERS: [&str; 40] = [
    "126.com",
    "163.com",
    "aol.com",
    "att.net",
    "comcast.net",
    "duck.com",
    "fastmail.com",
    "free.fr",
    "freenet.de",
    "gmail.com",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hotmail.co.uk",
    "hotmail.com",
    "hotmail.fr",
    "hushmail.com",
    "icloud.com",
    "inbox.com",
    "laposte.net",
    "libero.it",
    "live.com",
    "mac.com",
    "mail.com",
    "mail.ru",
    "me.com",
    "msn.com",
    "orange.fr",
    "outlook.com",
    "pm.me",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "rediffmail.com",
    "t-online.de",
    "tutanota.com",
    "web.de",
    "yahoo.com",
    "yandex.com",
];

/// Whether two addresses are of one domain that belongs to one organization, or the same address.
pub fn agree(admin: &str, login: &str) -> bool {
    let (Some(admin_domain), Some(login_domain)) = (domain(admin), domain(login)) else { return false };
    if FREE_PROVIDERS.contains(&admin_domain.as_str()) || admin_domain.starts_with("yahoo.") {
        return admin.trim().eq_ignore_ascii_case(login.trim());
    }
    admin_domain == login_domain
}

fn domain(address: &str) -> Option<String> {
    let (local, domain) = address.trim().rsplit_once('@')?;
    (!local.is_empty() && !domain.is_empty()).then(|| domain.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::agree;

    #[test]
    fn one_company_has_one_domain() {
        assert!(agree("admin@Acme.example", "eve@acme.EXAMPLE"));
        assert!(!agree("admin@acme.example", "eve@other.example"));
        assert!(!agree("admin@acme.example", "admin"));
        assert!(!agree("", ""));
    }

    #[test]
    fn free_mail_has_nothing_in_common() {
        assert!(!agree("ann@gmail.com", "bob@gmail.com"));
        assert!(agree("ann@gmail.com", "Ann@gmail.com"));
        assert!(!agree("ann@yahoo.co.in", "bob@yahoo.co.in"));
    }
}

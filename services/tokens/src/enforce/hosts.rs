use std::collections::{HashMap, hash_map::Entry};

use portolan_ids::AccountId;

use super::host::{host_name, without_port};

/// What is set for each protected host.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    by_name: HashMap<String, HostSettings>,
    others: HostSettings,
}

/// What is set for one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// Requests for what is in no inventory pass; otherwise they are answered 404.
    pub allows_unknown: bool,
    /// The account that the host is bound to. Without it the only account whose inventory names the host.
    pub account_id: Option<AccountId>,
    /// The name of the host in the inventory, where that differs.
    pub alias: Option<String>,
}

impl Hosts {
    /// Reads `host[:port] [account=ID] [unknown=allow|deny] [as=HOST]`, several by commas. The host `*` stands for every
    /// host that is not named.
    ///
    /// # Errors
    /// The word that cannot be read.
    pub fn parse(text: &str, allows_unknown: bool) -> Result<Self, String> {
        let mut hosts = Self { others: HostSettings { allows_unknown, ..HostSettings::default() }, ..Self::default() };
        let mut others_are_named = false;
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let mut words = entry.split_ascii_whitespace();
            let name = match words.next().unwrap_or_default() {
                "*" => "*".to_owned(),
                name => canonical(name)?,
            };
            let mut settings = HostSettings { allows_unknown, ..HostSettings::default() };
            for word in words {
                match word.split_once('=') {
                    Some(("account", id)) => {
                        settings.account_id = Some(id.parse().map_err(|_| format!("`{word}` names no account"))?);
                    }
                    Some(("unknown", "allow")) => settings.allows_unknown = true,
                    Some(("unknown", "deny")) => settings.allows_unknown = false,
                    Some(("as", alias)) => settings.alias = Some(canonical(alias)?),
                    _ => return Err(format!("`{word}` is none of account=ID, unknown=allow, unknown=deny, as=HOST")),
                }
            }
            if name == "*" {
                if std::mem::replace(&mut others_are_named, true) {
                    return Err("`*` stands there twice".to_owned());
                }
                hosts.others = settings;
                continue;
            }
            match hosts.by_name.entry(name) {
                Entry::Occupied(known) => return Err(format!("`{}` stands there twice", known.key())),
                Entry::Vacant(place) => _ = place.insert(settings),
            }
        }
        Ok(hosts)
    }

    /// What is set for a host without a port holds for each of its ports that has nothing of its own.
    pub fn of(&self, host: &str) -> &HostSettings {
        let named = self.by_name.get(host).or_else(|| self.by_name.get(without_port(host)));
        named.unwrap_or(&self.others)
    }

    /// Whether requests that are let through unknown may reach this host of the inventory. Its paths are then compared
    /// without regard to case: an upstream that ignores case must not serve `/Admin` to those who may not call `/admin`.
    pub fn lets_through(&self, inventory_host: &str) -> bool {
        let means =
            |name: &str| inventory_host.is_empty() || name == inventory_host || without_port(name) == inventory_host;
        let named = self.by_name.iter().filter(|(_, settings)| settings.allows_unknown);
        self.others.allows_unknown
            || named.into_iter().any(|(name, settings)| means(settings.alias.as_deref().unwrap_or(name)))
    }
}

fn canonical(name: &str) -> Result<String, String> {
    Ok(host_name(name).ok_or_else(|| format!("`{name}` is no host"))?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_its_own_settings() {
        let hosts = Hosts::parse("A.example.:80 account=7 unknown=allow, b.example as=C.example, * account=1", false);
        let hosts = hosts.unwrap();
        assert_eq!(
            *hosts.of("a.example"),
            HostSettings { allows_unknown: true, account_id: Some(AccountId(7)), alias: None }
        );
        assert_eq!(hosts.of("a.example:8080").account_id, Some(AccountId(7)));
        assert_eq!(hosts.of("b.example").alias.as_deref(), Some("c.example"));
        assert_eq!(hosts.of("other").account_id, Some(AccountId(1)));
        for bad in ["a account=x", "a unknown=maybe", "a b", "a/b", "a as=b/c", "a, A.", "*, *"] {
            assert!(Hosts::parse(bad, false).is_err(), "{bad}");
        }
    }
}

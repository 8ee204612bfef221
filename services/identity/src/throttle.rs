use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use portolan_api::{Error, Reason, Result};
use portolan_ids::AccountId;
use portolan_limit::{Counter, Limit, Limits};

const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Failed logins of one account, and from one address, that a window takes.
const FAILURES_PER_LOGIN: Limit = Limit { max: 10, window: WINDOW };
const FAILURES_PER_ADDRESS: Limit = Limit { max: 100, window: WINDOW };
const HOUR: Duration = Duration::from_secs(60 * 60);
const INVITES_PER_ACCOUNT: Limit = Limit { max: 500, window: HOUR };
const INVITES_PER_ADDRESS: Limit = Limit { max: 500, window: HOUR };
const RESETS_PER_ADDRESS: Limit = Limit { max: 60, window: HOUR };
const RESETS_PER_LOGIN: Limit = Limit { max: 5, window: HOUR };

/// What is attempted. Each has counters of its own, so that none of them clears or fills those of another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Login,
    /// A login from a network where this account has signed in before: the failures of others do not count there.
    KnownLogin,
    SignUp,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::KnownLogin => "login-known",
            Self::SignUp => "sign-up",
        }
    }
}

/// One attempt, counted as a failure until it turns out to be none: attempts that run at the same time cannot pass
/// together what they could not pass one by one.
pub(crate) struct Attempt<'a> {
    limits: &'a Limits,
    counters: [Counter; 2],
    /// What counts against the account at this network once it is known there, which a right password makes it.
    known: String,
}

impl<'a> Attempt<'a> {
    /// # Errors
    /// `LOGIN_THROTTLED` when too many attempts failed for this account or from this network; `UNAVAILABLE` when that
    /// cannot be known.
    pub async fn begin(limits: &'a Limits, kind: Kind, login_key: &str, address: &str) -> Result<Self> {
        let (name, place) = (kind.name(), network(address));
        let known = format!("{}/{login_key}/{place}", Kind::KnownLogin.name());
        let login = match kind {
            Kind::KnownLogin => known.clone(),
            Kind::Login | Kind::SignUp => format!("{name}/{login_key}"),
        };
        let from = if matches!(kind, Kind::SignUp) { name } else { "login" };
        let counters = [
            Counter::new(login, FAILURES_PER_LOGIN),
            Counter::new(format!("{from}-address/{place}"), FAILURES_PER_ADDRESS),
        ];
        match limits.take(&counters).await?.retry_after_s() {
            None => Ok(Self { limits, counters, known }),
            Some(seconds) => Err(Error::new(Reason::LoginThrottled).with("retry_after_seconds", seconds)),
        }
    }

    /// The password was right, which alone clears what was counted against the account. Successful logins do not count
    /// against their network, so that people behind one proxy do not shut each other out.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the counters cannot be reached.
    pub async fn verified(self) -> Result<()> {
        let [login, address] = &self.counters;
        self.limits.forget(&login.subject).await?;
        self.limits.forget(&self.known).await?;
        self.limits.give_back(std::slice::from_ref(address)).await
    }

    /// It was no guess: it does not count, and what was counted before stays.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the counters cannot be reached.
    pub async fn give_back(self) -> Result<()> {
        self.limits.give_back(&self.counters).await
    }
}

/// What an address is counted by: an IPv4 address whole, an IPv6 address by its /64, which is one customer's.
pub(crate) fn network(address: &str) -> String {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        Ok(address) => address.to_string(),
        Err(_) => address.to_owned(),
    }
}

/// Lets a user in again whose logins failed too often, at a network where they are not known.
///
/// # Errors
/// `UNAVAILABLE` when the counters cannot be reached.
pub(crate) async fn forget_failures(limits: &Limits, login_key: &str) -> Result<()> {
    limits.forget(&format!("login/{login_key}")).await
}

/// Takes one invitation from the account's and the address's share.
///
/// # Errors
/// `RATE_LIMITED`.
pub(crate) async fn take_invite(limits: &Limits, account_id: AccountId, address: &str) -> Result<()> {
    let account = Counter::new(format!("invite/{account_id}"), INVITES_PER_ACCOUNT);
    take(limits, &[account, Counter::new(format!("invite-address/{}", network(address)), INVITES_PER_ADDRESS)]).await
}

/// Takes one password reset from the address's share, before anything is known of the user.
///
/// # Errors
/// `RATE_LIMITED`.
pub(crate) async fn take_reset(limits: &Limits, address: &str) -> Result<()> {
    take(limits, &[Counter::new(format!("reset-address/{}", network(address)), RESETS_PER_ADDRESS)]).await
}

/// Takes one mail from the share of a user. The answer to them is the same when there is none left.
pub(crate) async fn may_mail(limits: &Limits, login_key: &str) -> Result<bool> {
    let counter = Counter::new(format!("reset/{login_key}"), RESETS_PER_LOGIN);
    Ok(limits.take(&[counter]).await?.retry_after_s().is_none())
}

async fn take(limits: &Limits, counters: &[Counter]) -> Result<()> {
    match limits.take(counters).await?.retry_after_s() {
        None => Ok(()),
        Some(seconds) => Err(Error::new(Reason::RateLimited).with("retry_after_seconds", seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_what_one_customer_has() {
        for (address, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::", "2001:db8:1:3::/64"),
            ("", ""),
        ] {
            assert_eq!(network(address), expected, "{address}");
        }
    }

    #[tokio::test]
    async fn only_a_verified_password_clears_the_failures_of_logins() {
        let limits = Limits::memory();
        let fail = async |kind, address: &'static str| Attempt::begin(&limits, kind, "ann", address).await.map(drop);
        for _ in 0..9 {
            fail(Kind::Login, "192.0.2.1").await.unwrap();
            Attempt::begin(&limits, Kind::SignUp, "ann", "192.0.2.1").await.unwrap().give_back().await.unwrap();
        }
        fail(Kind::Login, "192.0.2.2").await.unwrap();
        assert_eq!(fail(Kind::Login, "192.0.2.3").await.unwrap_err().reason(), Reason::LoginThrottled);
        Attempt::begin(&limits, Kind::KnownLogin, "ann", "192.0.2.9").await.unwrap().verified().await.unwrap();
        assert!(fail(Kind::Login, "192.0.2.3").await.is_err(), "a success elsewhere opens nothing to strangers");
        // Nor are the guesses of strangers counted where the account signs in, or those at a sign-up against logins.
        for _ in 0..10 {
            fail(Kind::KnownLogin, "2001:db8::1").await.unwrap();
            fail(Kind::SignUp, "192.0.2.4").await.unwrap();
        }
        assert!(fail(Kind::KnownLogin, "2001:db8::2").await.is_err(), "one /64 is one network");
        assert!(fail(Kind::SignUp, "192.0.2.5").await.is_err());
    }
}

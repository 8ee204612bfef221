use std::time::Duration;

use portolan_api::{Error, Reason, Result};
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

/// One attempt, counted as a failure until it turns out to be none: attempts that run at the same time cannot pass
/// together what they could not pass one by one.
pub(crate) struct Attempt<'a> {
    limits: &'a Limits,
    counters: [Counter; 2],
}

impl<'a> Attempt<'a> {
    /// # Errors
    /// `LOGIN_THROTTLED` when too many logins failed for this account or from this address; `UNAVAILABLE` when that
    /// cannot be known.
    pub async fn begin(limits: &'a Limits, login_key: &str, address: &str) -> Result<Self> {
        let counters = [
            Counter::new(format!("login/{login_key}"), FAILURES_PER_LOGIN),
            Counter::new(format!("login-address/{address}"), FAILURES_PER_ADDRESS),
        ];
        match limits.take(&counters).await?.retry_after_s() {
            None => Ok(Self { limits, counters }),
            Some(seconds) => Err(Error::new(Reason::LoginThrottled).with("retry_after_seconds", seconds)),
        }
    }

    /// Successful logins do not count, so that people behind one proxy do not shut each other out.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the counters cannot be reached.
    pub async fn succeeded(self) -> Result<()> {
        let [login, address] = &self.counters;
        self.limits.forget(&login.subject).await?;
        self.limits.give_back(std::slice::from_ref(address)).await
    }
}

/// Takes one invitation from the account's and the address's share.
///
/// # Errors
/// `RATE_LIMITED`.
pub(crate) async fn take_invite(limits: &Limits, account_id: i64, address: &str) -> Result<()> {
    let account = Counter::new(format!("invite/{account_id}"), INVITES_PER_ACCOUNT);
    take(limits, &[account, Counter::new(format!("invite-address/{address}"), INVITES_PER_ADDRESS)]).await
}

/// Takes one password reset from the address's share, before anything is known of the user.
///
/// # Errors
/// `RATE_LIMITED`.
pub(crate) async fn take_reset(limits: &Limits, address: &str) -> Result<()> {
    take(limits, &[Counter::new(format!("reset-address/{address}"), RESETS_PER_ADDRESS)]).await
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

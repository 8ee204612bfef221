use portolan_api::{Error, Reason, Result};
use portolan_store::Db;

use crate::{now_s, store};

/// Failures are counted in windows of this length.
const WINDOW_S: i64 = 15 * 60;
/// Failed logins of one account, and from one address, that a window takes.
const FAILURES_PER_LOGIN_MAX: i64 = 10;
const FAILURES_PER_ADDRESS_MAX: i64 = 100;

/// Refuses when too many logins failed for this account or from this address. Successful ones do not count, so that
/// people behind one proxy do not shut each other out.
pub(crate) async fn check(db: &Db, login_key: &str, address: &str) -> Result<()> {
    for (subject, max) in subjects(login_key, address) {
        let Some(window) = store::find_login_failures(db, &subject).await? else { continue };
        let left_s = window.start + WINDOW_S - now_s();
        if left_s > 0 && window.failures >= max {
            return Err(Error::new(Reason::LoginThrottled).with("retry_after_seconds", left_s));
        }
    }
    Ok(())
}

pub(crate) async fn count_failure(db: &Db, login_key: &str, address: &str) -> Result<()> {
    for (subject, _) in subjects(login_key, address) {
        store::count_login_failure(db, &subject, now_s(), now_s() - WINDOW_S).await?;
    }
    Ok(())
}

fn subjects(login_key: &str, address: &str) -> [(String, i64); 2] {
    [(format!("login:{login_key}"), FAILURES_PER_LOGIN_MAX), (format!("address:{address}"), FAILURES_PER_ADDRESS_MAX)]
}

//! Settings of an account that decide the access type of its endpoints.

use ipnet::Ipv4Net;
use portolan_api::{Reason, Result};
use portolan_authz::Caller;
use portolan_ids::AccountId;
use portolan_proxies::PRIVATE_RANGES;

use crate::{
    Deps,
    history::{self, Change},
    model::settings::Settings,
    store,
};

/// Longest list that is taken.
const ENTRIES_MAX: usize = 10_000;

/// The settings that are in force: an empty list of private ranges means the built-in one.
///
/// # Errors
/// `ACCOUNT_NOT_FOUND` also for an account that has ended.
pub async fn get(deps: &Deps, account_id: AccountId) -> Result<Settings> {
    if !store::is_open(&deps.db, account_id).await? {
        return Err(Reason::AccountNotFound.into());
    }
    let mut settings = store::find_settings(&deps.db, account_id).await?;
    if settings.private_cidrs.is_empty() {
        settings.private_cidrs = PRIVATE_RANGES.map(str::to_owned).to_vec();
    }
    Ok(settings)
}

/// Replaces the private ranges.
///
/// # Errors
/// `CIDR_INVALID` unless every entry is an IPv4 range.
pub async fn set_private_cidrs(deps: &Deps, caller: &Caller, list: &[String]) -> Result<Vec<String>> {
    let list = checked(list, Reason::CidrInvalid, |entry| entry.contains('/') && entry.parse::<Ipv4Net>().is_ok())?;
    let mut tx = deps.db.begin().await?;
    store::update_private_cidrs(&mut tx, caller.account_id, &list).await?;
    let change = Change::of("settings", "privateCidrList").after(&list).by("settings.private_cidrs.update");
    history::record(&deps.audit, &mut tx, caller, change).await?;
    tx.commit().await?;
    Ok(list)
}

/// Replaces the addresses of partners.
///
/// # Errors
/// `IP_INVALID` unless every entry is an IPv4 address.
pub async fn set_partner_ips(deps: &Deps, caller: &Caller, list: &[String]) -> Result<Vec<String>> {
    let list = checked(list, Reason::IpInvalid, |entry| entry.parse::<std::net::Ipv4Addr>().is_ok())?;
    let mut tx = deps.db.begin().await?;
    store::update_partner_ips(&mut tx, caller.account_id, &list).await?;
    let change = Change::of("settings", "partnerIpList").after(&list).by("settings.partner_ips.update");
    history::record(&deps.audit, &mut tx, caller, change).await?;
    tx.commit().await?;
    Ok(list)
}

fn checked(list: &[String], reason: Reason, valid: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let list: Vec<String> = list.iter().map(|entry| entry.trim().to_owned()).collect();
    if list.len() > ENTRIES_MAX || !list.iter().all(|entry| valid(entry)) {
        return Err(reason.into());
    }
    Ok(list)
}

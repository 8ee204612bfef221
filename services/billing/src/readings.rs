//! Usage as it is asked for: present values beside their limits, and windows of time.

use std::collections::BTreeMap;

use portolan_api::{Error, Reason, Result};
use portolan_authz::Caller;
use portolan_ids::AccountId;

use crate::entitlements::{self, FeatureState};
use crate::model::windows::Grain;
use crate::refresh::{self, Refresh};
use crate::store::usage::WindowQuery;
use crate::usage::Window;
use crate::{Deps, organizations, store};

const PAGE_SIZE: i32 = 100;
const PAGE_SIZE_MAX: i32 = 1_000;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// One feature; every one where it is not named.
    pub feature: Option<String>,
    /// One account; the whole organization where none is named.
    pub account_id: Option<AccountId>,
    /// Unix seconds from which on windows are wanted.
    pub start: Option<i64>,
    /// Unix seconds before which they begin.
    pub end: Option<i64>,
    /// The length of the windows, by name.
    pub grain: Option<String>,
    /// How many windows at most.
    pub page_size: Option<i32>,
    /// As the page before gave it; empty for the first.
    pub page_token: String,
}

/// The present use of one feature.
pub struct FeatureReading {
    /// What the plan gives, and what is used.
    pub state: FeatureState,
    /// Of the account.
    pub usage: i64,
    /// Unix seconds of the last event; 0 without one.
    pub recorded_at: i64,
}

/// Usage, as it is shown.
pub struct Reading {
    /// By name.
    pub features: Vec<FeatureReading>,
    /// Where windows were asked for, the oldest first.
    pub windows: Vec<Window>,
    /// The last recomputation.
    pub last_refresh: Option<Refresh>,
    /// Empty at the end.
    pub next_page_token: String,
}

/// Reads the usage of the caller's account, and for an administrator of the organization that of its other accounts.
///
/// # Errors
/// `USAGE_ACCOUNT_NOT_FOUND`, `USAGE_WINDOW_INVALID`, `USAGE_PAGE_INVALID`, `BILLING_PROVIDER_UNAVAILABLE`.
pub async fn read(deps: &Deps, caller: &Caller, wish: &Wish) -> Result<Reading> {
    let own = organizations::of_account(deps, caller.account_id).await?;
    let account_id = wish.account_id.unwrap_or(caller.account_id);
    let administers = caller.grant.administers_organization();
    if account_id != caller.account_id {
        if !administers {
            return Err(Reason::UsageAccountNotFound.into());
        }
        let other = match organizations::of_account(deps, account_id).await {
            Err(error) if error.reason() == Reason::OrganizationNotFound => None,
            other => Some(other?),
        };
        if other.as_ref() != Some(&own) {
            return Err(Reason::UsageAccountNotFound.into());
        }
    }
    let (windows, next_page_token) = windows(deps, account_id, wish).await?;
    let state = entitlements::state(deps, account_id).await?;
    let totals = store::usage::account_totals(&deps.db, account_id, deps.clock.now()).await?;
    let mut totals: BTreeMap<_, _> = totals.into_iter().map(|total| (total.feature.clone(), total)).collect();
    let asked = |feature: &FeatureState| wish.feature.as_ref().is_none_or(|asked| *asked == feature.feature);
    let features = state.features.into_iter().filter(asked).map(|mut state| {
        let total = totals.remove(&state.feature);
        let (usage, recorded_at) = total.map_or((0, 0), |total| (total.usage, total.recorded_at));
        // What the organization uses with its other accounts and customers is its administrators' to know.
        if !administers {
            state.usage = usage;
        }
        FeatureReading { state, usage, recorded_at }
    });
    let features = features.collect();
    let mut last_refresh = refresh::last(deps, &own).await?;
    if let Some(refresh) = &mut last_refresh {
        refresh.differences.retain(|difference| administers || difference.account_id == caller.account_id);
    }
    Ok(Reading { features, windows, last_refresh, next_page_token })
}

/// The windows of one page, and the token of the next.
async fn windows(deps: &Deps, account_id: AccountId, wish: &Wish) -> Result<(Vec<Window>, String)> {
    let refused = |member: &str, detail: &str| {
        Err(Error::new(Reason::UsageWindowInvalid).with("member", member).with("detail", detail))
    };
    let grain = match wish.grain.as_deref() {
        None | Some("") => Grain::Day,
        Some(name) => match Grain::parse(name) {
            Some(grain) => grain,
            None => return refused("grain", "must be HOUR, DAY or MONTH"),
        },
    };
    let page_size = wish.page_size.unwrap_or(PAGE_SIZE);
    if !(1..=PAGE_SIZE_MAX).contains(&page_size) {
        return refused("pageSize", "must be 1 to 1000");
    }
    let Some(start) = wish.start else {
        return if wish.end.is_some() {
            refused("startTime", "is required with endTime")
        } else {
            Ok(Default::default())
        };
    };
    let end = wish.end.unwrap_or_else(|| deps.clock.now() + 1);
    if end <= start {
        return refused("endTime", "must be after startTime");
    }
    let after = match wish.page_token.as_str() {
        "" => ("", 0),
        token => match token.split_once('.').map(|(start, feature)| (feature, start.parse())) {
            Some((feature, Ok(start))) if !feature.is_empty() => (feature, start),
            _ => return Err(Error::new(Reason::UsagePageInvalid).with("member", "pageToken")),
        },
    };
    let query = WindowQuery {
        account_id,
        grain,
        feature: wish.feature.as_deref(),
        // A window that holds the beginning is part of the answer, whole.
        start: grain.start(start),
        end,
        after,
        limit: i64::from(page_size) + 1,
    };
    let mut windows = store::usage::windows(&deps.db, &query).await?;
    let has_more = windows.len() > page_size as usize;
    windows.truncate(page_size as usize);
    let last = windows.last().filter(|_| has_more);
    let token = last.map(|window| format!("{}.{}", window.start, window.feature)).unwrap_or_default();
    Ok((windows, token))
}

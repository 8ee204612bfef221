use portolan_api::{
    Error, Reason,
    billing::v1::{CheckLimitRequest, check_limit_response::Verdict},
};
use portolan_authz::{BoxFuture, PlanLimits};
use portolan_ids::AccountId;

use crate::Peers;

impl Peers {
    /// Whether the plan of an account's organization allows `wanted` more of a feature; answers how much more it allows,
    /// -1 without limit.
    ///
    /// # Errors
    /// `FEATURE_NOT_IN_PLAN`, `FEATURE_LIMIT_EXCEEDED`; `UNAVAILABLE` or `BILLING_PROVIDER_UNAVAILABLE` when the plan is
    /// not known, which allows nothing.
    pub async fn check_limit(&self, account_id: AccountId, feature: &str, wanted: i64) -> Result<i64, Error> {
        self.judge(CheckLimitRequest {
            account_id: account_id.into(),
            feature: feature.to_owned(),
            wanted,
            usage: None,
        })
        .await
    }

    /// The same for who counts itself: `usage` is the organization's at this moment. Returns how much may be used in
    /// all, `None` without limit. Whoever compares it with a count in the transaction of its write never exceeds it.
    ///
    /// # Errors
    /// As [`Peers::check_limit`].
    pub async fn limit(
        &self,
        account_id: AccountId,
        feature: &str,
        wanted: i64,
        usage: i64,
    ) -> Result<Option<i64>, Error> {
        let request = CheckLimitRequest {
            account_id: account_id.into(),
            feature: feature.to_owned(),
            wanted,
            usage: Some(usage),
        };
        let room = self.judge(request).await?;
        Ok((room >= 0).then(|| usage.saturating_add(room)))
    }

    async fn judge(&self, request: CheckLimitRequest) -> Result<i64, Error> {
        let answer = self.metering().check_limit(request).await?.into_inner();
        match answer.verdict() {
            Verdict::Allowed => Ok(answer.room),
            Verdict::LimitExceeded => Err(Reason::FeatureLimitExceeded.into()),
            Verdict::NotInPlan | Verdict::Unspecified => Err(Reason::FeatureNotInPlan.into()),
        }
    }
}

/// Limits as a guard asks for them: from billing.
pub struct PeerLimits(pub Peers);

impl PlanLimits for PeerLimits {
    fn check<'a>(&'a self, account_id: AccountId, feature: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { self.0.check_limit(account_id, feature, 1).await.map(drop) })
    }
}

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use portolan_ids::{AccountId, CollectionId, ProfileId};

use super::profile::Profile;
use crate::model::edge::{AccessToken, Digest};

/// All profiles by what callers show.
#[derive(Default)]
pub struct Profiles {
    by_id: HashMap<ProfileId, Arc<Profile>>,
    by_digest: HashMap<Digest, Arc<Profile>>,
    access_tokens: HashMap<Digest, AccessToken>,
    /// Claims that profiles carry their key in, beside the usual ones, with how many do.
    claims: BTreeMap<String, usize>,
    /// Account and collection for which active profiles let preflight requests pass, with how many do.
    preflights: HashMap<(AccountId, CollectionId), usize>,
}

impl Profiles {
    /// Takes in the state of a profile, in place of an earlier one.
    pub fn put(&mut self, profile: Profile) {
        self.remove(profile.id);
        let profile = Arc::new(profile);
        if let Some(claim) = profile.claim() {
            *self.claims.entry(claim.to_owned()).or_default() += 1;
        }
        for key in preflights(&profile) {
            *self.preflights.entry(key).or_default() += 1;
        }
        if let Some(digest) = profile.digest {
            self.by_digest.insert(digest, profile.clone());
        }
        self.by_id.insert(profile.id, profile);
    }

    /// Forgets a profile.
    pub fn remove(&mut self, profile_id: ProfileId) {
        let Some(profile) = self.by_id.remove(&profile_id) else { return };
        if let Some(digest) = profile.digest
            // A digest may have moved on to another profile in the same batch.
            && self.by_digest.get(&digest).is_some_and(|holder| holder.id == profile_id)
        {
            self.by_digest.remove(&digest);
        }
        for key in preflights(&profile) {
            if let Some(count) = self.preflights.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.preflights.remove(&key);
                }
            }
        }
        if let Some(claim) = profile.claim()
            && let Some(count) = self.claims.get_mut(claim)
        {
            *count -= 1;
            if *count == 0 {
                self.claims.remove(claim);
            }
        }
    }

    /// Takes in an access token.
    pub fn put_access_token(&mut self, digest: Digest, token: AccessToken) {
        self.access_tokens.insert(digest, token);
    }

    /// Forgets access tokens that have ended.
    pub fn forget_expired(&mut self, now_s: i64) {
        self.access_tokens.retain(|_, token| token.expires_at > now_s);
    }

    /// The profile of a secret.
    pub fn by_digest(&self, digest: &Digest) -> Option<Arc<Profile>> {
        self.by_digest.get(digest).cloned()
    }

    /// The profile of an access token that is alive.
    pub fn by_access_token(&self, digest: &Digest, now_s: i64) -> Option<Arc<Profile>> {
        let token = self.access_tokens.get(digest).filter(|token| now_s < token.expires_at)?;
        let profile = self.by_id.get(&token.profile_id)?;
        (profile.grant_version == token.grant_version).then(|| profile.clone())
    }

    /// Whether some active profile of the account lets preflight requests for one of these collections pass.
    pub fn allow_preflight(&self, account_id: AccountId, collection_ids: &[CollectionId]) -> bool {
        !self.preflights.is_empty() && collection_ids.iter().any(|id| self.preflights.contains_key(&(account_id, *id)))
    }

    /// The claims that some profile carries its key in.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.claims.keys().map(String::as_str)
    }

    /// Every profile, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.by_id.values().map(|profile| &**profile)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn preflights(profile: &Profile) -> impl Iterator<Item = (AccountId, CollectionId)> {
    let ids: &[CollectionId] = if profile.active && profile.allow_preflight { &profile.collection_ids } else { &[] };
    ids.iter().map(|id| (profile.account_id, *id))
}

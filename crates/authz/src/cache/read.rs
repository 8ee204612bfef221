use std::{future::Future, sync::Arc};

use portolan_api::Error;
use serde::{Serialize, de::DeserializeOwned};

use super::{Cache, Lookup};
use crate::{near::Kept, weigh::Weigh};

impl<V: Serialize + DeserializeOwned + Weigh + Send + Sync + 'static> Cache<V> {
    /// Reads a value through the cache, from a copy where there are copies. `owner` reads it from where it is changed,
    /// `basis` tells the key that it rests on.
    ///
    /// What answers the question of another process must not come from here: its copy would rest on a copy.
    ///
    /// # Errors
    /// Those of the owner.
    pub async fn read<F>(
        &self,
        key: &str,
        owner: impl Fn() -> F,
        basis: impl Fn(&V) -> Option<String>,
    ) -> Result<Arc<V>, Error>
    where
        F: Future<Output = Result<V, Error>>,
    {
        let (owner, basis) = (&owner, &basis);
        let Self::Redis(shared) = self else { return self.read_strictly(key, owner, basis).await };
        let Some(near) = shared.copies() else { return self.read_strictly(key, owner, basis).await };
        let keep = || async {
            let value = self.read_strictly(key, owner, basis).await?;
            let names: Vec<_> = std::iter::once(key.to_owned()).chain(basis(&value)).collect();
            let bytes = value.bytes() + names.iter().map(String::len).sum::<usize>();
            Ok(Kept { value, bytes, names })
        };
        near.read(key, keep).await
    }
}

impl<V: Serialize + DeserializeOwned> Cache<V> {
    /// Reads a value through the cache, and never from a copy.
    ///
    /// # Errors
    /// Those of the owner.
    pub async fn read_strictly<F>(
        &self,
        key: &str,
        owner: impl Fn() -> F,
        basis: impl Fn(&V) -> Option<String>,
    ) -> Result<Arc<V>, Error>
    where
        F: Future<Output = Result<V, Error>>,
    {
        let lease = match self.get(key).await {
            Lookup::Hit(value) => return Ok(value),
            Lookup::Miss(lease) => lease,
        };
        let value = Arc::new(owner().await?);
        if let Some(lease) = lease {
            lease.fill_on(value.clone(), basis(&value).as_deref()).await;
        }
        Ok(value)
    }
}

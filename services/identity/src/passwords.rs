use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use portolan_api::{Error, Reason, Result};
use portolan_runtime::in_background;
use tokio::sync::Semaphore;

const CHARS_MIN: usize = 8;
const CHARS_MAX: usize = 128;
/// Passwords that are tried first by whoever guesses.
const COMMON: &str = include_str!("common_passwords.txt");
const MEMORY_KIB: u32 = 19 * 1024;
const ITERATIONS: u32 = 2;
const LANES: u32 = 1;

/// Argon2id on a bounded pool.
#[derive(Clone)]
pub(crate) struct Passwords {
    permits: Arc<Semaphore>,
    computed: Arc<AtomicU64>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(hashes_at_once())), computed: Arc::default() }
    }
}

/// Hashes under way at once. Each takes a core and 19 MiB, so a burst of logins must queue instead of starving the rest:
/// half of the cores stay free. Anyone can ask for one, so other requests have the core first.
fn hashes_at_once() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

/// Whether a new password may be used: 8 to 128 characters of any kind, and none that everybody tries.
///
/// # Errors
/// `PASSWORD_TOO_SHORT`, `PASSWORD_TOO_LONG`, `PASSWORD_COMMON`.
pub(crate) fn check(password: &str) -> Result<()> {
    let chars = password.chars().count();
    if chars < CHARS_MIN {
        return Err(Reason::PasswordTooShort.into());
    }
    if chars > CHARS_MAX {
        return Err(Reason::PasswordTooLong.into());
    }
    if is_common(password) { Err(Reason::PasswordCommon.into()) } else { Ok(()) }
}

/// Also when digits or signs were put at the end, and when one short piece is repeated.
fn is_common(password: &str) -> bool {
    let lower = password.to_lowercase();
    let word = lower.trim_end_matches(|c: char| !c.is_alphabetic());
    let listed = |text: &str| COMMON.lines().any(|common| common == text);
    let repeated = || {
        let letters: Vec<char> = lower.chars().collect();
        (1..=3).any(|period| letters.iter().zip(letters.iter().skip(period)).all(|(a, b)| a == b))
    };
    listed(&lower) || (word.len() >= CHARS_MIN && listed(word)) || repeated()
}

impl Passwords {
    /// A PHC string with a random salt.
    pub(crate) async fn hash(&self, password: String) -> Result<String> {
        self.run(move || {
            argon2().hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(Error::internal)
        })
        .await?
    }

    /// Whether the password is right. Takes the same time without a hash, so that an unknown login answers alike.
    pub(crate) async fn verify(&self, password: String, hash: Option<String>) -> Result<bool> {
        self.run(move || {
            // Who came by single sign-on has no password.
            let Some(hash) = hash.filter(|hash| !hash.is_empty()) else {
                // The work of a comparison that cannot succeed.
                let _ = argon2().hash_password(password.as_bytes());
                return false;
            };
            PasswordHash::new(&hash).is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
    }

    /// How many hashes were computed since the start.
    pub(crate) fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// One computation of a hash: everything here that costs time.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        self.computed.fetch_add(1, Ordering::Relaxed);
        let _permit = self.permits.acquire().await.map_err(Error::internal)?;
        in_background(work).await.map_err(Error::internal)
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, ITERATIONS, LANES, None).expect("the parameters are in Argon2's range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_enough_and_not_everybodys() {
        let reason = |password: &str| check(password).err().map(|error| error.reason());
        assert_eq!(reason("short7!"), Some(Reason::PasswordTooShort));
        assert_eq!(reason(&"ü".repeat(129)), Some(Reason::PasswordTooLong));
        for common in ["Password", "password2026!", "12345678", "abababab", "zzzzzzzzzz", "QWERTYUIOP"] {
            assert_eq!(reason(common), Some(Reason::PasswordCommon), "{common}");
        }
        for good in ["correct horse battery staple", "ünïcödé 語", "Tr0ub4dor&3", &"ab1".repeat(42)[..125]] {
            let expected = if good.starts_with("ab1") { Some(Reason::PasswordCommon) } else { None };
            assert_eq!(reason(good), expected, "{good}");
        }
    }

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let passwords = Passwords::default();
        let long = "ü".repeat(100);
        let hash = passwords.hash(long.clone()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify(long.clone(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(format!("{long}x"), Some(hash)).await.unwrap());
        assert!(!passwords.verify(long, None).await.unwrap());
    }
}

//! How often providers are asked, and how long their answers count. The clock of the tests stands still.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use portolan_jwks::{FetchFuture, Fetched, HttpGet, KeySetOptions, KeySets, Source};
use serde_json::{Value, json};
use tokio::time::advance;

/// A provider in memory: what it answers and how often it was asked.
#[derive(Default)]
struct Provider {
    asked: AtomicUsize,
    answer: Mutex<Option<(Value, &'static str)>>,
    takes: Mutex<Duration>,
}

impl Provider {
    fn publish(&self, kids: &[&str], cache_control: &'static str) {
        let key = |kid: &&str| json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        *self.answer.lock().unwrap() = Some((json!({"keys": kids.iter().map(key).collect::<Vec<_>>()}), cache_control));
    }

    fn fail(&self) {
        *self.answer.lock().unwrap() = None;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl HttpGet for Provider {
    fn get<'a>(&'a self, url: &'a str, _: usize) -> FetchFuture<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let takes = *self.takes.lock().unwrap();
            tokio::time::sleep(takes).await;
            let answer = self.answer.lock().unwrap().clone();
            let (keys, cache_control) = answer.ok_or("down")?;
            let body = match url {
                "https://idp.example/.well-known/openid-configuration" => {
                    json!({"issuer": "https://idp.example/", "jwks_uri": "https://idp.example/keys"})
                }
                "https://liar.example/.well-known/openid-configuration" => {
                    json!({"issuer": "https://idp.example", "jwks_uri": "https://liar.example/keys"})
                }
                _ => keys,
            };
            Ok(Fetched { body: body.to_string().into_bytes(), cache_control: cache_control.to_owned() })
        })
    }
}

const OPTIONS: KeySetOptions = KeySetOptions {
    lifetime_max: Duration::from_secs(300),
    refetch_min: Duration::from_secs(10),
    backoff_max: Duration::from_secs(60),
    outage_max: Duration::from_secs(3600),
    timeout: Duration::from_secs(5),
    bytes_max: 20_000,
};

fn start(kids: &[&str], cache_control: &'static str) -> (Arc<Provider>, KeySets, Source) {
    let provider = Arc::new(Provider::default());
    provider.publish(kids, cache_control);
    (provider.clone(), KeySets::new(provider, OPTIONS), Source::Jwks("https://idp.example/keys".to_owned()))
}

/// Whether the set that is used for this key name has it.
async fn knows(sets: &KeySets, source: &Source, kid: &str) -> bool {
    sets.keys(source, Some(kid)).await.is_ok_and(|keys| keys.knows(kid))
}

#[tokio::test(start_paused = true)]
async fn one_question_serves_many_at_once() {
    let (provider, sets, source) = start(&["a"], "");
    *provider.takes.lock().unwrap() = Duration::from_secs(1);
    let all = (0..200).map(|_| {
        let (sets, source) = (sets.clone(), source.clone());
        tokio::spawn(async move { knows(&sets, &source, "a").await })
    });
    for one in all.collect::<Vec<_>>() {
        assert!(one.await.unwrap());
    }
    assert_eq!(provider.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_does_not_stop_the_question() {
    let (provider, sets, source) = start(&["a"], "");
    *provider.takes.lock().unwrap() = Duration::from_secs(1);
    assert!(tokio::time::timeout(Duration::from_millis(10), knows(&sets, &source, "a")).await.is_err());
    assert!(knows(&sets, &source, "a").await);
    assert_eq!(provider.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_names_asks_once_per_interval() {
    let (provider, sets, source) = start(&["a"], "");
    assert!(knows(&sets, &source, "a").await);
    for second in 0..60 {
        for number in 0..50 {
            assert!(!knows(&sets, &source, &format!("{second}-{number}")).await);
        }
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!(provider.asked(), 6, "60 s, one question in 10 s");
    assert!(knows(&sets, &source, "a").await);
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_found_and_a_removed_one_stops() {
    let (provider, sets, source) = start(&["a"], "max-age=120");
    assert!(knows(&sets, &source, "a").await);
    advance(Duration::from_secs(10)).await;
    provider.publish(&["a", "b"], "max-age=120");
    assert!(knows(&sets, &source, "b").await, "an unknown name is worth a question");
    provider.publish(&["b"], "max-age=120");
    advance(Duration::from_secs(121)).await;
    assert!(!knows(&sets, &source, "a").await);
    assert!(knows(&sets, &source, "b").await);
}

#[tokio::test(start_paused = true)]
async fn no_set_outlives_the_longest_life() {
    let (provider, sets, source) = start(&["a"], "max-age=86400");
    assert!(knows(&sets, &source, "a").await);
    provider.publish(&["b"], "max-age=86400");
    advance(Duration::from_secs(301)).await;
    assert!(!knows(&sets, &source, "a").await);
}

#[tokio::test(start_paused = true)]
async fn a_set_is_renewed_before_its_end() {
    let (provider, sets, source) = start(&["a"], "");
    assert!(knows(&sets, &source, "a").await);
    advance(Duration::from_secs(230)).await;
    *provider.takes.lock().unwrap() = Duration::from_secs(2);
    let before = tokio::time::Instant::now();
    assert!(knows(&sets, &source, "a").await);
    assert_eq!(before.elapsed(), Duration::ZERO, "nobody waits for it");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(provider.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn old_keys_are_kept_through_an_outage_and_not_for_ever() {
    let (provider, sets, source) = start(&["a"], "");
    assert!(knows(&sets, &source, "a").await);
    provider.fail();
    for _ in 0..60 {
        advance(Duration::from_secs(60)).await;
        assert!(knows(&sets, &source, "a").await);
    }
    assert!((30..=80).contains(&provider.asked()), "{} questions in an hour", provider.asked());
    advance(Duration::from_secs(301)).await;
    assert!(!knows(&sets, &source, "a").await, "an hour after the end of its life a set is forgotten");
    provider.publish(&["a"], "");
    advance(Duration::from_secs(60)).await;
    assert!(knows(&sets, &source, "a").await, "it comes back by itself");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_never_answered_is_asked_ever_more_rarely() {
    let (provider, sets, source) = start(&[], "");
    provider.fail();
    for _ in 0..600 {
        assert!(sets.keys(&source, Some("a")).await.is_err());
        advance(Duration::from_secs(1)).await;
    }
    assert!((10..=14).contains(&provider.asked()), "{} questions in ten minutes", provider.asked());
}

#[tokio::test(start_paused = true)]
async fn a_slow_provider_is_given_up() {
    let (provider, sets, source) = start(&["a"], "");
    *provider.takes.lock().unwrap() = Duration::from_secs(3600);
    let before = tokio::time::Instant::now();
    assert!(sets.keys(&source, Some("a")).await.is_err());
    assert_eq!(before.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn discovery_takes_an_issuer_or_its_document() {
    let (_, sets, _) = start(&["a"], "");
    for name in ["https://idp.example", "https://idp.example/", "https://idp.example/.well-known/openid-configuration"]
    {
        assert!(knows(&sets, &Source::Issuer(name.to_owned()), "a").await, "{name}");
    }
    let liar = Source::Issuer("https://liar.example".to_owned());
    assert!(sets.keys(&liar, Some("a")).await.is_err(), "the document names another issuer");
}

#[tokio::test(start_paused = true)]
async fn of_more_than_there_is_room_for_the_largest_sets_give_way() {
    let (provider, sets, small) = start(&["a"], "");
    assert!(knows(&sets, &small, "a").await);
    let names: Vec<String> = (0..8).map(|at| format!("{at:0100}")).collect();
    provider.publish(&names.iter().map(String::as_str).collect::<Vec<_>>(), "");
    let large = |at: usize| Source::Jwks(format!("https://large.example/{at}"));
    for at in 0..5 {
        sets.keys(&large(at), None).await.ok();
    }
    let asked = provider.asked();
    assert!(knows(&sets, &small, "a").await);
    assert_eq!(provider.asked(), asked, "the small set is kept");
    let mut forgotten = 0;
    for at in 0..5 {
        forgotten += usize::from(sets.keys(&large(at), None).await.is_err());
    }
    assert!(forgotten > 0 && provider.asked() == asked, "no provider is asked again at once");
    advance(OPTIONS.refetch_min).await;
    for at in 0..5 {
        sets.keys(&large(at), None).await.ok();
    }
    assert_eq!(provider.asked(), asked + forgotten);
}

#[tokio::test(start_paused = true)]
async fn a_key_with_an_endless_name_is_none() {
    let endless = "a".repeat(100_000);
    let (_, sets, source) = start(&["a", &endless], "");
    assert_eq!(sets.keys(&source, None).await.unwrap().len(), 1);
}

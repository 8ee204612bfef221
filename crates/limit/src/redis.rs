use std::{sync::LazyLock, time::Duration};

use portolan_api::Result;
use portolan_authz::{LinkSession, Redis};
use redis::Script;

use crate::{Counter, Decision};

/// Counts one under every key, or under none.
/// KEYS: the counters. ARGV: for each its maximum and the milliseconds of its window.
/// Answers {1, left} or {0, milliseconds to wait}.
///
/// The race: two callers may both see room for one. The look and the count are one script, so one of them comes first.
const TAKE: &str = r"
local left, wait = -1, 0
for i, key in ipairs(KEYS) do
  local max = tonumber(ARGV[2 * i - 1])
  local taken = tonumber(redis.call('GET', key) or '0')
  if taken >= max then
    local ends = redis.call('PTTL', key)
    if ends < 1 then ends = tonumber(ARGV[2 * i]) end
    if ends > wait then wait = ends end
  elseif left < 0 or max - taken - 1 < left then
    left = max - taken - 1
  end
end
if wait > 0 then return {0, wait} end
for i, key in ipairs(KEYS) do
  if redis.call('INCR', key) == 1 and redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, ARGV[2 * i]) end
end
return {1, left}
";

/// Takes one count back where one was counted. KEYS: the counters.
const GIVE_BACK: &str = r"
for _, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end
end
return 0
";

/// Not bound to a run of the server: a counter that it reads back from its disk still holds.
fn key(session: &LinkSession, subject: &str) -> String {
    format!("portolan:{}:limit:{subject}", session.installation)
}

pub(crate) async fn take(redis: &Redis, counters: &[Counter]) -> Result<Decision> {
    static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(TAKE));
    let call = async |mut session: LinkSession| {
        let mut call = SCRIPT.prepare_invoke();
        for counter in counters {
            call.key(key(&session, &counter.subject));
            call.arg(counter.limit.max).arg(millis(counter.limit.window));
        }
        call.invoke_async::<(i64, u64)>(&mut session.connection).await
    };
    Ok(match redis.patient(call).await? {
        (1, left) => Decision::Allowed { left },
        (_, wait_ms) => Decision::Refused { retry_after: Duration::from_millis(wait_ms) },
    })
}

pub(crate) async fn give_back(redis: &Redis, counters: &[Counter]) -> Result<()> {
    static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(GIVE_BACK));
    let call = async |mut session: LinkSession| {
        let mut call = SCRIPT.prepare_invoke();
        for counter in counters {
            call.key(key(&session, &counter.subject));
        }
        call.invoke_async::<i64>(&mut session.connection).await
    };
    redis.patient(call).await.map(drop)
}

pub(crate) async fn forget(redis: &Redis, subject: &str) -> Result<()> {
    let call = async |mut session: LinkSession| {
        redis::cmd("DEL").arg(key(&session, subject)).query_async::<i64>(&mut session.connection).await
    };
    redis.patient(call).await.map(drop)
}

fn millis(window: Duration) -> u64 {
    u64::try_from(window.as_millis()).unwrap_or(u64::MAX).max(1)
}

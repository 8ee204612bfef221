//! The protocol of `slots.rs` as Redis scripts, which run one at a time and whole.
//!
//! What stands under a key, as text; numbers are 16 hexadecimal digits:
//! `V<stamp>|<basis key>|<generation>|<JSON>`, `L<nonce>|<basis key>|<generation>`, `G<generation>`,
//! `T<nonce>@<end in Unix milliseconds>,…`. The stamp of a value is the nonce of its lease, so equal stamps mean equal values.

/// Reads a key, or takes a lease.
/// KEYS: the key, and the expected basis when there is one. ARGV: nonce, prefix of all keys, basis without the prefix,
/// milliseconds of a lease, of a generation.
/// Returns the value; false for a plain miss; `L<generation>` for a lease.
///
/// The race: between a reader's plain look at the key and this script another may have filled, leased or buried it, so
/// everything is looked at again.
pub(super) const LEASE: &str = r"
local slot = redis.call('GET', KEYS[1])
if slot then
  local tag = string.sub(slot, 1, 1)
  if tag == 'T' or tag == 'L' then return false end
  if tag == 'V' then
    local basis, generation = string.match(slot, '^V%x+|([^|]*)|(%x*)|')
    if basis == '' or redis.call('GET', ARGV[2] .. basis) == 'G' .. generation then return slot end
  end
end
local generation = ''
if KEYS[2] then
  local basis = redis.call('GET', KEYS[2])
  if basis and string.sub(basis, 1, 1) == 'T' then return false end
  generation = ARGV[1]
  if basis and string.sub(basis, 1, 1) == 'G' then generation = string.sub(basis, 2) end
  redis.call('SET', KEYS[2], 'G' .. generation, 'PX', ARGV[5])
end
redis.call('SET', KEYS[1], 'L' .. ARGV[1] .. '|' .. ARGV[3] .. '|' .. generation, 'PX', ARGV[4])
return 'L' .. generation
";

/// Fills a lease that is still its own and whose basis has not changed.
/// KEYS: the key, and the basis when there is one. ARGV: the lease as it was left, the generation, the value,
/// milliseconds of a value. Answers 1 when filled.
///
/// The race: a change may have begun since the lease was taken, or begun and finished; both took the lease away.
pub(super) const FILL: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if KEYS[2] and redis.call('GET', KEYS[2]) ~= 'G' .. ARGV[2] then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return 1
";

/// Ends a lease that will not be filled. KEYS: the key. ARGV: the lease as it was left.
pub(super) const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
";

/// A change begins. KEYS: its keys. ARGV: nonce, milliseconds of a tombstone.
///
/// The race: another change of the same key may be under way; its nonce stays, so that the key is free only when both
/// have finished.
pub(super) const BEGIN: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, key in ipairs(KEYS) do
  local slot = redis.call('GET', key)
  local changes = 'T'
  if slot and string.sub(slot, 1, 1) == 'T' then
    for nonce, ends in string.gmatch(slot, '(%x+)@(%d+)') do
      if tonumber(ends) > now then changes = changes .. nonce .. '@' .. ends .. ',' end
    end
  end
  changes = changes .. ARGV[1] .. '@' .. string.format('%.0f', now + ARGV[2]) .. ','
  redis.call('SET', key, changes, 'PX', ARGV[2])
end
return 0
";

/// A change has committed. KEYS: its keys. ARGV: nonce.
///
/// The race: the tombstone may have expired or been lost, and a reader may have filled what it read before the commit;
/// so whatever stands there goes, except the tombstones of other changes.
pub(super) const FINISH: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, key in ipairs(KEYS) do
  local slot = redis.call('GET', key)
  if slot and string.sub(slot, 1, 1) == 'T' then
    local left, last = 'T', now
    for nonce, ends in string.gmatch(slot, '(%x+)@(%d+)') do
      if nonce ~= ARGV[1] and tonumber(ends) > now then
        left = left .. nonce .. '@' .. ends .. ','
        last = math.max(last, tonumber(ends))
      end
    end
    if left == 'T' then
      redis.call('DEL', key)
    else
      redis.call('SET', key, left, 'PX', string.format('%.0f', last - now))
    end
  elseif slot then
    redis.call('DEL', key)
  end
end
return 0
";

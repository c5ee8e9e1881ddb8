/*
 * The scripts that run inside Redis, each atomic there.  KEYS and ARGV are
 * said at each; ARGV[1] is always the run id of the server that the asking
 * connection knows.  The hash META has: epoch, run, seq, and under a slot's
 * number the last number raised on it.
 */
#ifndef CACHE_REMOTE_SCRIPTS_H
#define CACHE_REMOTE_SCRIPTS_H

#include "cache/redis.h"

enum remote_script { SCRIPT_EPOCH, SCRIPT_GET, SCRIPT_PUT, SCRIPT_RAISE };

_Static_assert(SCRIPT_RAISE + 1 == REDIS_SCRIPTS, "redis.h holds them all");

/* META; run, new epoch, "1" to renew whatever is there.  The epoch. */
static const char script_epoch[] =
    "local m = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'seq')\n"
    "if m[1] and m[3] and m[2] == ARGV[1] and ARGV[3] == '0' then return m[1] end\n"
    "redis.call('DEL', KEYS[1])\n"
    "redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'run', ARGV[1], 'seq', '0')\n"
    "return ARGV[2]\n";

/*
 * ENTRY, META, INDEX; run, new epoch, logical key.
 * A hit: 1, ttl in ms, slots, gzip, etag, body, checksum.
 * A miss: 0, epoch, seq; or 0 alone when nothing may be stored.
 */
static const char script_get[] =
    "local m = redis.call('HMGET', KEYS[2], 'epoch', 'seq')\n"
    "if not m[1] or not m[2] then\n"
    "  local set = redis.pcall('HSET', KEYS[2], 'epoch', ARGV[2], 'run', ARGV[1], 'seq', '0')\n"
    "  if type(set) == 'table' and set.err then return {0} end\n"
    "  m = {ARGV[2], '0'}\n"
    "end\n"
    "local e = redis.pcall('HMGET', KEYS[1], 'e', 'n', 's', 'g', 't', 'b', 'c')\n"
    "if not e.err and not e[1] then return {0, m[1], m[2]} end\n"
    "local good = not e.err and e[1] == m[1] and e[2] and e[3] and e[6] and e[7]\n"
    "if good then\n"
    "  local slots = {}\n"
    "  for s in string.gmatch(e[3], '%d+') do slots[#slots + 1] = s end\n"
    "  good = #slots > 0 and #slots <= 255 and tonumber(e[2])\n"
    "  local raised = good and redis.call('HMGET', KEYS[2], unpack(slots)) or {}\n"
    "  for i = 1, #slots do\n"
    "    if good and raised[i] and tonumber(raised[i]) > tonumber(e[2]) then good = false end\n"
    "  end\n"
    "end\n"
    "if not good then\n"
    "  redis.pcall('UNLINK', KEYS[1])\n"
    "  redis.pcall('ZREM', KEYS[3], ARGV[3])\n"
    "  return {0, m[1], m[2]}\n"
    "end\n"
    "return {1, redis.call('PTTL', KEYS[1]), e[3], e[4], e[5], e[6], e[7]}\n";

/*
 * ENTRY, META, INDEX; run, epoch, number, slots, ttl in ms, gzip, etag, body,
 * checksum, logical key or "".  1 stored, 0 refused.  The first write is the
 * one that a full Redis refuses: after one that went through, it would let the
 * others pass.
 */
static const char script_put[] =
    "if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[2] then return 0 end\n"
    "local slots = {}\n"
    "for s in string.gmatch(ARGV[4], '%d+') do slots[#slots + 1] = s end\n"
    "local raised = redis.call('HMGET', KEYS[2], unpack(slots))\n"
    "for i = 1, #slots do\n"
    "  if raised[i] and tonumber(raised[i]) > tonumber(ARGV[3]) then return 0 end\n"
    "end\n"
    "local function set()\n"
    "  return redis.pcall('HSET', KEYS[1], 'e', ARGV[2], 'n', ARGV[3], 's', ARGV[4],\n"
    "    'g', ARGV[6], 't', ARGV[7], 'b', ARGV[8], 'c', ARGV[9])\n"
    "end\n"
    "local done = set()\n"
    "if type(done) == 'table' and done.err then\n"
    "  if not string.find(done.err, 'WRONGTYPE') then return done end\n"
    "  redis.call('DEL', KEYS[1])\n"
    "  set()\n"
    "end\n"
    "redis.call('PEXPIRE', KEYS[1], ARGV[5])\n"
    "if ARGV[10] ~= '' then\n"
    "  local t = redis.call('TIME')\n"
    "  local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
    "  redis.call('ZADD', KEYS[3], now + ARGV[5], ARGV[10])\n"
    "  local old = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 10)\n"
    "  if #old > 0 then redis.call('ZREM', KEYS[3], unpack(old)) end\n"
    "end\n"
    "return 1\n";

/* META; run, new epoch, slots.  The number. */
static const char script_raise[] =
    "local m = redis.call('HMGET', KEYS[1], 'epoch', 'seq')\n"
    "if not m[1] or not m[2] then\n"
    "  redis.call('DEL', KEYS[1])\n"
    "  redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'run', ARGV[1], 'seq', '0')\n"
    "end\n"
    "local n = redis.call('HINCRBY', KEYS[1], 'seq', 1)\n"
    "for s in string.gmatch(ARGV[3], '%d+') do redis.call('HSET', KEYS[1], s, n) end\n"
    "return n\n";

#endif

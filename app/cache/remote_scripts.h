/*
 * The scripts that run inside Redis, each atomic there.  KEYS and ARGV are
 * said at each; ARGV[1] is always the run id of the server that the asking
 * connection knows.
 *
 * The hash META has: epoch, run (of the process that it was made in), seq, by
 * and demand (which object had it renewed, and at which demand of its own),
 * and under a slot's number the last number raised on it, with '!' behind it
 * while a transaction that touches it is pending.  A hash that is not whole, or
 * of another run, is no hash: so a server that turned into a replica under an
 * open connection gives nothing away.
 * Further: pending ("id:ms:slots;..."), seen (",id,id,": raised of late), and
 * bookmark (of remote_note).
 *
 * What others may have put under our names (wrong types, wrong values) is
 * deleted when it is in the way.
 */
#ifndef CACHE_REMOTE_SCRIPTS_H
#define CACHE_REMOTE_SCRIPTS_H

#include "cache/redis.h"

enum remote_script {
	SCRIPT_EPOCH,
	SCRIPT_GET,
	SCRIPT_PUT,
	SCRIPT_RAISE,
	SCRIPT_PEND,
	SCRIPT_CHECK,
	SCRIPT_NOTE,
	SCRIPT_SURVEY,
	SCRIPT_SIZES
};

_Static_assert(SCRIPT_SIZES + 1 == REDIS_SCRIPTS, "redis.h holds them all");

/* A new epoch: every entry is a miss, so none is listed any more.  Deleting
 * comes first, so a full Redis takes it all. */
#define LUA_RENEW \
	"local function renew(meta, index, run, epoch, by, demand)\n" \
	"  redis.call('DEL', meta)\n" \
	"  redis.call('UNLINK', index)\n" \
	"  redis.call('HSET', meta, 'epoch', epoch, 'run', run, 'seq', '0',\n" \
	"    'by', by, 'demand', demand)\n" \
	"  return {epoch, '0', run}\n" \
	"end\n"

/* {epoch, seq} that are current, made if there are none. */
#define LUA_CURRENT \
	LUA_RENEW \
	"local function current(meta, index, run, epoch)\n" \
	"  local m = redis.pcall('HMGET', meta, 'epoch', 'seq', 'run')\n" \
	"  if not m.err and m[1] and m[2] and m[3] == run then return m end\n" \
	"  return renew(meta, index, run, epoch, '', '0')\n" \
	"end\n"

/* Has one of SLOTS ("1,2,3") a number later than N, or something pending? */
#define LUA_LATER \
	"local function later(meta, text, n)\n" \
	"  local slots = {}\n" \
	"  for s in string.gmatch(text, '%d+') do slots[#slots + 1] = s end\n" \
	"  if #slots == 0 or #slots > 255 or not n then return true end\n" \
	"  local raised = redis.call('HMGET', meta, unpack(slots))\n" \
	"  for i = 1, #slots do\n" \
	"    if raised[i] and (tonumber(raised[i]) or math.huge) > n then return true end\n" \
	"  end\n" \
	"  return false\n" \
	"end\n"

/* META, INDEX; run, new epoch, object or "", its demand.  The epoch: a new
 * one if there is none, or none made for this demand. */
static const char script_epoch[] = LUA_RENEW
    "local m = redis.pcall('HMGET', KEYS[1], 'epoch', 'seq', 'run', 'by', 'demand')\n"
    "if not m.err and m[1] and m[2] and m[3] == ARGV[1] and (ARGV[3] == '' or\n"
    "    (m[4] == ARGV[3] and (tonumber(m[5]) or 0) >= tonumber(ARGV[4]))) then return m[1] end\n"
    "return renew(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4])[1]\n";

/*
 * ENTRY, META, INDEX; run, new epoch, logical key.
 * A miss: 0, epoch, seq; or 0 alone when nothing may be stored.
 * A hit: 1, epoch, seq, ttl in ms, number, slots, gzip, etag, body, checksum.
 */
static const char script_get[] = LUA_CURRENT LUA_LATER
    "local fine, m = pcall(current, KEYS[2], KEYS[3], ARGV[1], ARGV[2])\n"
    "if not fine then return {0} end\n"
    "local e = redis.pcall('HMGET', KEYS[1], 'e', 'n', 's', 'g', 't', 'b', 'c')\n"
    "if not e.err and not e[1] and not e[6] then return {0, m[1], m[2]} end\n"
    "local whole = not e.err and e[1] == m[1]\n"
    "for i = 2, 7 do whole = whole and e[i] end\n"
    "if not whole or later(KEYS[2], e[3], tonumber(e[2])) then\n"
    "  redis.pcall('UNLINK', KEYS[1])\n"
    "  redis.pcall('ZREM', KEYS[3], ARGV[3])\n"
    "  return {0, m[1], m[2]}\n"
    "end\n"
    "return {1, m[1], m[2], redis.call('PTTL', KEYS[1]), unpack(e, 2, 7)}\n";

/*
 * ENTRY, META, INDEX; run, epoch, number, slots, ttl in ms, gzip, etag, body,
 * checksum, logical key or "".  1 stored, 0 refused.  The first write is the
 * one that a full Redis refuses: after one that went through, it would let the
 * others pass.
 */
static const char script_put[] =
    LUA_LATER "local m = redis.call('HMGET', KEYS[2], 'epoch', 'run')\n"
	      "if m[1] ~= ARGV[2] or m[2] ~= ARGV[1] then return 0 end\n"
	      "if later(KEYS[2], ARGV[4], tonumber(ARGV[3])) then return 0 end\n"
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
	      "  local added = redis.pcall('ZADD', KEYS[3], now + ARGV[5], ARGV[10])\n"
	      "  if type(added) == 'table' then\n"
	      "    redis.call('UNLINK', KEYS[3])\n"
	      "    redis.call('ZADD', KEYS[3], now + ARGV[5], ARGV[10])\n"
	      "  end\n"
	      "  local old = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 10)\n"
	      "  if #old > 0 then redis.call('ZREM', KEYS[3], unpack(old)) end\n"
	      "end\n"
	      "return 1\n";

/* The pending ones but that of ID, as they are written, and the set of their
 * slots; whether that of ID was among them. */
#define LUA_OTHERS \
	"local function others(meta, id)\n" \
	"  local kept, slots, found = {}, {}, false\n" \
	"  local all = redis.call('HGET', meta, 'pending') or ''\n" \
	"  for item in string.gmatch(all, '[^;]+') do\n" \
	"    local x, list = string.match(item, '^(%d+):%d+:([%d,]+)$')\n" \
	"    if x == id then found = true\n" \
	"    elseif x then\n" \
	"      kept[#kept + 1] = item\n" \
	"      for s in string.gmatch(list, '%d+') do slots[s] = true end\n" \
	"    end\n" \
	"  end\n" \
	"  return table.concat(kept, ';'), slots, found\n" \
	"end\n"

#define LUA_WRITE \
	"local function write(meta, text, value)\n" \
	"  local words = {}\n" \
	"  for s in string.gmatch(text, '%d+') do\n" \
	"    words[#words + 1] = s\n" \
	"    words[#words + 1] = value(s)\n" \
	"    if #words == 200 then\n" \
	"      redis.call('HSET', meta, unpack(words))\n" \
	"      words = {}\n" \
	"    end\n" \
	"  end\n" \
	"  if #words > 0 then redis.call('HSET', meta, unpack(words)) end\n" \
	"end\n"

/* META, INDEX; run, new epoch, slots, id ("0": nobody's).  The number, or 0
 * if that id has been raised before. */
static const char script_raise[] = LUA_CURRENT LUA_OTHERS LUA_WRITE
    "current(KEYS[1], KEYS[2], ARGV[1], ARGV[2])\n"
    "local id = ARGV[4]\n"
    "local kept, held, found = others(KEYS[1], id)\n"
    "if id ~= '0' then\n"
    "  local seen = redis.call('HGET', KEYS[1], 'seen') or ','\n"
    "  if not found and string.find(seen, ',' .. id .. ',', 1, true) then return 0 end\n"
    "  if #seen > 2000 then seen = string.match(seen, ',.*', 1000) end\n"
    "  redis.call('HSET', KEYS[1], 'seen', seen .. id .. ',', 'pending', kept)\n"
    "end\n"
    "local n = redis.call('HINCRBY', KEYS[1], 'seq', 1)\n"
    "write(KEYS[1], ARGV[3], function(s) return held[s] and n .. '!' or n end)\n"
    "return n\n";

/* META, INDEX; run, new epoch, slots, id.  1; 0 when there are too many. */
static const char script_pend[] = LUA_CURRENT LUA_OTHERS LUA_WRITE
    "current(KEYS[1], KEYS[2], ARGV[1], ARGV[2])\n"
    "local kept = others(KEYS[1], ARGV[4])\n"
    "if #kept > 100000 then return 0 end\n"
    "local t = redis.call('TIME')\n"
    "local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))\n"
    "local mine = ARGV[4] .. ':' .. now .. ':' .. ARGV[3]\n"
    "redis.call('HSET', KEYS[1], 'pending', kept == '' and mine or kept .. ';' .. mine)\n"
    "write(KEYS[1], ARGV[3], function(s)\n"
    "  local had = string.match(redis.call('HGET', KEYS[1], s) or '', '^%d+')\n"
    "  return (had or '0') .. '!'\n"
    "end)\n"
    "return 1\n";

/* META; run, epoch, number, slots.  1 good, 0 not; 2 of another epoch, so that
 * nobody knows. */
static const char script_check[] =
    LUA_LATER "local m = redis.call('HMGET', KEYS[1], 'epoch', 'run')\n"
	      "if m[1] ~= ARGV[2] or m[2] ~= ARGV[1] then return 2 end\n"
	      "return later(KEYS[1], ARGV[4], tonumber(ARGV[3])) and 0 or 1\n";

/* META; run, bookmark or "".  Notes it, if there is a hash to note it in;
 * {bookmark or "", pending, ms}. */
static const char script_note[] =
    "local m = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'bookmark', 'pending')\n"
    "local t = redis.call('TIME')\n"
    "local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))\n"
    "if not m[1] or m[2] ~= ARGV[1] then return {'', '', now} end\n"
    "if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'bookmark', ARGV[2]) end\n"
    "return {m[3] or '', m[4] or '', now}\n";

/* INDEX; run.  Forgets some expired ones.  How many are listed, and up to 20
 * of them. */
static const char script_survey[] =
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
    "local old = redis.pcall('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1000)\n"
    "if old.err then\n"
    "  redis.call('UNLINK', KEYS[1])\n"
    "  return {0, {}}\n"
    "end\n"
    "if #old > 0 then redis.call('ZREM', KEYS[1], unpack(old)) end\n"
    "return {redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf'),\n"
    "  redis.call('ZRANDMEMBER', KEYS[1], 20)}\n";

/* Entries; run.  Bytes of each body; 0 where there is none. */
static const char script_sizes[] = "local sizes = {}\n"
				   "for i, key in ipairs(KEYS) do\n"
				   "  local n = redis.pcall('HSTRLEN', key, 'b')\n"
				   "  sizes[i] = type(n) == 'number' and n or 0\n"
				   "end\n"
				   "return sizes\n";

#endif

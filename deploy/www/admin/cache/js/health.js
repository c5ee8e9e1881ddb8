/* What is wrong, in words: the first things to look at when it is slow; and each
 * part in a sentence, whether or not anything is wrong with it. */
import { say, pair, seconds, percent, rate, day, size } from './words.js';
import { LAST_MS, LATELY_MS } from './numbers.js';

const CHURN_A_SECOND = 0.5; /* loads of one key, however often it is read in between */
const CHURN_LEAST = 6;
const CHURN_STEPS = 3; /* all the time, and not in one go */
const CHURN_FEW_READS = 3; /* a load */
const SLOW_S = 0.5;
const SLOW_LOADS = 3;
const SLOW_ASKING_S = 0.1; /* on average, when there are too few connections as well */
const FEW = 20;
const CLEARS = 3;
const WAITING = 0.05; /* callers, on average */
const WAITING_MS = 30000;
const SETTLED_MS = 180000; /* after a start or a clear everything is loaded once */

const total = (counts) => counts.reduce((a, b) => a + b, 0);
const KINDS = ['bad', 'warn', 'good', 'note']; /* the worst first */
const finding = (kind, name, values) => ({ kind, name, text: say(name, values) });
const whose = (k) => (k.cause ? `${say('causes')[k.cause] ?? k.cause}${k.what ? ` (${k.what})` : ''}` : say('unknown'));

/* ---- keys that are loaded again and again ---- */

/* How often a key was loaded and read in the last MS, or since it was first seen
 * among those that are loaded most: of what it had before, nobody knows when. */
function spell(totals, k, ms) {
	const now = totals.at(-1);
	const seen = totals.filter((t) => now.ms - t.ms <= ms && t.detail.loads.has(k.key));
	const counts = seen.map((t) => t.detail.loads.get(k.key));
	const steps = counts.filter((c, i) => i && c.loads > counts[i - 1].loads).length;

	return { loads: k.loads - (counts[0]?.loads ?? k.loads), reads: k.reads - (counts[0]?.reads ?? k.reads), steps,
		s: seen.length ? (now.ms - seen[0].ms) / 1000 : 0 };
}

const always = (c, least) => c.steps >= CHURN_STEPS && c.loads >= Math.max(least, c.s * CHURN_A_SECOND);
const hardlyRead = (c) => c.steps > CHURN_STEPS && c.loads >= 10 && c.reads <= CHURN_FEW_READS * c.loads;

/* One change ends all the keys that have its tag: they are one finding, by the
 * key that is read most. */
function churn(history) {
	const { data, minuteTotals } = history;
	const found = new Map();

	for (const k of data.loaded) {
		const minute = spell(minuteTotals, k, Infinity);
		const lately = spell(minuteTotals, k, LATELY_MS);
		if (lately.steps === 0 || !(always(lately, CHURN_LEAST) || always(minute, 30) || hardlyRead(minute)))
			continue;
		const name = k.cause ? `${k.cause} ${k.what} ${k.tag}` : '';
		const c = { k, ...minute, reads: Math.max(0, minute.reads) };
		found.set(name, [...(found.get(name) ?? []), c].sort((a, b) => b.reads - a.reads));
	}
	return [...found.values()].sort((a, b) => b[0].reads - a[0].reads).slice(0, 3).map(([c, ...others]) =>
		({ key: c.k.key, ...finding('warn', c.k.cause ? 'churn' : 'reloaded', { key: c.k.key, loads: c.loads, reads: c.reads, s: seconds(c.s), cause: whose(c.k),
			tag: c.k.tag ?? say('unknown'), others: others.length ? ` ${say('churnOthers', { n: others.length })}` : '',
			advice: say('churnAdvice')[c.k.cause] ?? '' }) }));
}

/* ---- prefixes that hit less than they load ---- */

const settled = (history) => history.data.wallMs - Math.max(Date.parse(history.data.startedAt), ...history.data.invalidations
	.filter((i) => i.cause === 'clear').map((i) => Date.parse(i.at))) > SETTLED_MS;

/* Why its keys had to be loaded: the most of what ended some, or that they are new. */
function reason(p, was) {
	const n = (name) => p[name] - was[name];
	const ends = [['changed', n('invalidated')], ['evicted', n('evictions')], ['expired', n('expiries')], ['fresh', n('entries')]];
	return ends.reduce((a, b) => (b[1] > a[1] ? b : a))[0];
}

/* What is loaded again is as if new: it is in no list of keys. */
function cleared(history) {
	const { invalidations, wallMs } = history.data;
	const n = invalidations.filter((i) => i.cause === 'clear' && wallMs - Date.parse(i.at) < LAST_MS).length;

	return n >= CLEARS ? [finding('warn', 'cleared', { n })] : [];
}

const loadsOf = (p, was) => p.misses - was.misses;
const hitsOf = (p, was) => p.memoryHits + p.redisHits + p.collapsed - was.memoryHits - was.redisHits - was.collapsed;

/* KEYS are told already. */
function uneven(history, keys) {
	const { then, now, recent } = history;

	return [...now.detail.prefixes].flatMap(([prefix, p]) => {
		const [was, late] = [then, recent].map((t) => t.detail.prefixes.get(prefix));
		if (!was || p.internal || loadsOf(p, late) <= hitsOf(p, late))
			return [];
		const [loads, hits, why] = [loadsOf(p, was), hitsOf(p, was), reason(p, was)];
		if (loads < FEW || loads <= hits || (why === 'changed' ? keys.some((k) => k.startsWith(`${prefix}:`)) : history.seconds < 50 || !settled(history)))
			return [];
		return [finding('warn', 'uneven', { prefix, loads, hits, s: seconds(history.seconds), why: say('unevenWhy')[why] })];
	});
}

/* ---- the database ---- */

/* Seconds in loads in the last minute, by prefix. */
function spentBy(history) {
	const { then, now } = history;

	return new Map([...now.detail.spent].map(([name, s]) => [name, s - (then.detail.spent.get(name) ?? 0)]));
}

/* How long a load asks PostgreSQL, without what it waits for a connection: its
 * times are of both, and a pool that is too small makes all of them long. */
function asking(history) {
	const { then, now } = history;
	const loads = history.times('load').reduce((n, [, counts]) => n + total(counts), 0);
	const spent = total([...spentBy(history).values()]);

	return loads ? (spent - (now.waitSeconds - then.waitSeconds)) / loads : 0;
}

function slow(history) {
	const { bounds } = history.data.latency;
	const over = (counts) => counts.reduce((n, m, i) => n + (i > 0 && bounds[i - 1] >= SLOW_S ? m : 0), 0);
	const found = history.times('load').filter(([, counts]) => over(counts) >= SLOW_LOADS && over(counts) >= total(counts) / 100)
		.sort((a, b) => over(b[1]) - over(a[1]));

	if (!found.length || (poolIsShort(history) && asking(history) < SLOW_ASKING_S))
		return [];
	const counts = found.map((f) => f[1]).reduce((a, b) => a.map((n, i) => n + b[i]));
	return [finding('warn', 'slowLoads', { n: over(counts), of: total(counts), limit: seconds(SLOW_S), s: seconds(history.seconds),
		p99: seconds(history.quantile(0.99, counts)), count: found.length, prefix: found.map((f) => f[0]).join(', ') })];
}

/* The prefix on whose loads most time was spent, in the last minute. */
const busiest = (history) => [...spentBy(history)].reduce((a, b) => (b[1] > a[1] ? b : a), ['–', 0]);

/* One burst makes some wait in any pool. */
const shortOf = (history) => history.when(WAITING_MS, (s) => s.waiting > WAITING || s.timeouts > 0);
const poolIsShort = (history) => shortOf(history).length >= 2 || history.lately?.timeouts > 0;

function pool(history, isSlow) {
	const { size: connections, waiting } = history.data.health.postgres.pool;
	const waited = shortOf(history).map((s) => s.waiting);
	const [prefix, spent] = busiest(history);

	return !poolIsShort(history) ? []
		: [finding('warn', isSlow ? 'poolHeld' : 'pool', { size: connections, n: Math.ceil(Math.max(...waited, 0) - 0.01), waiting, prefix,
			share: percent(spent / Math.max(spent, total([...spentBy(history).values()]))) })];
}

/* ---- the others ---- */

function redisFindings(history) {
	const { redis } = history.data.health;
	const { minute, lately } = history;
	const found = [];

	if (redis.state === 'down' || redis.state === 'open')
		found.push(finding('bad', 'redisDown', { since: day(redis.since) }));
	else if (redis.state === 'none')
		found.push(finding('note', 'redisNone'));
	else if (lately && lately.evictedKeys > 0 && redis.usedBytes >= redis.maxBytes / 2)
		found.push(finding('warn', 'redisFull', { n: Math.round(minute.evictedKeys * history.seconds), s: seconds(history.seconds),
			used: size(redis.usedBytes), max: redis.maxBytes ? size(redis.maxBytes) : say('noBound') }));
	if (redis.maxBytes > 0 && /^(allkeys|noeviction)/.test(redis.policy))
		found.push(finding('warn', 'redisPolicy', { policy: redis.policy }));
	return found;
}

function failing(history) {
	const { lately, then, now } = history;

	if (!lately || lately.errors * (LATELY_MS / 1000) < 5 || lately.errors <= lately.requests / 100)
		return [];
	const routes = [...now.detail.failures].map(([name, n]) => [name, n - (then.detail.failures.get(name) ?? 0)]).sort((a, b) => b[1] - a[1]);
	return [finding('bad', 'failing', { share: percent(lately.errors / lately.requests), rate: rate(lately.errors), route: routes[0][0] })];
}

function dependencies(history) {
	const { postgres, listener, workers } = history.data.health;
	const { lately, minute } = history;
	const found = [];

	if (postgres.state !== 'up')
		found.push(finding('bad', 'pgDown', { since: day(postgres.since) }));
	found.push(...redisFindings(history));
	if (!listener.trusted && postgres.state === 'up')
		found.push(finding('bad', 'listener', { s: silence(listener) }));
	if (minute && minute.lost > 0)
		found.push(finding('warn', 'lost'));
	if (workers.queue > workers.queueLimit / 2 || (lately && lately.refused > 0))
		found.push(finding('warn', 'queue', { n: workers.queue, limit: workers.queueLimit, refused: rate(lately ? lately.refused : 0) }));
	return [...found, ...failing(history)];
}

/* With how much it would hit nearly as much as it ever could. */
function memory(history) {
	const { curve } = history.data;
	const { lately, minute } = history;
	const same = curve?.points.find((p) => p.factor === 1);
	const best = curve?.points.at(-1);

	if (!lately || lately.evictions * 60 < 10 || curve?.state !== 'ready' || best.hitRatio - same.hitRatio < 0.01)
		return [];
	const enough = curve.points.find((p) => p.factor > 1 && best.hitRatio - p.hitRatio < 0.005);
	return [finding('warn', 'small', { n: Math.round(minute.evictions * history.seconds), s: seconds(history.seconds), now: percent(same.hitRatio),
		ratio: percent(enough.hitRatio), factor: enough.factor, bytes: String(Math.round(history.data.cache.capacityBytes * enough.factor)) })];
}

function problems(history) {
	const slowOnes = slow(history);
	const churned = churn(history);

	return [...dependencies(history), ...slowOnes, ...pool(history, slowOnes.length > 0), ...churned, ...cleared(history), ...memory(history), ...uneven(history, churned.map((f) => f.key))];
}

/* What is the matter with others than the one that is shown, and not with it, too. */
export function findings(history, others = new Map()) {
	const own = problems(history);
	const names = new Set(own.map((f) => f.name));
	const theirs = [...others].flatMap(([name, h]) => problems(h).filter((f) => f.kind !== 'note' && !names.has(f.name))
		.map((f) => ({ ...f, text: pair(name, f.text) })));
	const all = [...own, ...theirs];

	if (!all.some((f) => f.kind !== 'note'))
		all.unshift(finding('good', 'allWell'));
	return all.sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
}

/* ---- each part ---- */

const part = (name, state, text) => ({ name, state, text });
const silence = (listener) => (listener.silentMs < 0 ? say('ever') : seconds(listener.silentMs / 1000));

function ofPostgres(history) {
	const { postgres } = history.data.health;
	const m = history.minute;

	return part('postgres', postgres.state === 'up' ? 'good' : 'bad', say(postgres.state === 'up' ? 'ofPostgres' : 'ofPostgresDown',
		{ since: day(postgres.since), reads: m ? rate(m.reads) : '–', commits: m ? rate(m.commits) : '–', failures: postgres.pool.failures }));
}

function ofPool(history) {
	const { pool: p } = history.data.health.postgres;
	const m = history.minute;

	return part('poolName', poolIsShort(history) ? 'warn' : 'good',
		say('ofPool', { busy: p.busy, size: p.size, waiting: p.waiting, n: m ? rate(Math.round(m.waiting * 100) / 100) : '–', timeouts: p.timeouts }));
}

function ofRedis(redis) {
	if (redis.state === 'none')
		return part('redis', 'note', say('ofNoRedis'));
	if (redis.state !== 'up')
		return part('redis', 'bad', say(redis.state === 'open' ? 'ofRedisOpen' : 'ofRedisDown', { since: day(redis.since) }));
	return part('redis', 'good', say('ofRedis', { since: day(redis.since), keys: redis.keys, bytes: size(redis.bytes), used: size(redis.usedBytes),
		max: redis.maxBytes ? size(redis.maxBytes) : say('noBound'), policy: redis.policy, evicted: redis.evictedKeys, last: seconds(redis.lastUs / 1e6) }));
}

function ofListener(history) {
	const { listener, postgres } = history.data.health;
	const n = total(history.delays);
	const heard = say(n ? 'heardSome' : 'heardNone', { n, p50: seconds(history.quantile(0.5, history.delays)), p99: seconds(history.quantile(0.99, history.delays)) });
	const text = postgres.state !== 'up' ? 'ofListenerDown' : listener.trusted ? 'ofListener' : 'ofListenerSilent';

	return part('listenerName', postgres.state === 'up' && listener.trusted ? 'good' : 'bad', say(text,
		{ silent: silence(listener), heard, rows: listener.outboxRows, lost: listener.lost }));
}

function ofWorkers(history) {
	const { workers: w } = history.data.health;
	const short = w.queue > w.queueLimit / 2 || (history.lately && history.lately.refused > 0);

	return part('workersName', short ? 'warn' : 'good', say('ofWorkers',
		{ busy: w.busy, threads: w.threads, queue: w.queue, limit: w.queueLimit, refused: w.refused }));
}

export const parts = (history) => [ofPostgres(history), ofPool(history), ofRedis(history.data.health.redis), ofListener(history), ofWorkers(history)];

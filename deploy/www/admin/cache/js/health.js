/* What is wrong, in words: the first things to look at when it is slow; and each
 * part in a sentence, whether or not anything is wrong with it. */
import { say, seconds, percent, rate, day, whole, size } from './words.js';

const CHURN_LOADS = 5; /* of one key in a minute: its life is longer than that */
const CHURN_ALWAYS = 30; /* however often it is read in between */
const SLOW_S = 0.5;
const FEW = 20;

const finding = (kind, name, values) => ({ kind, name, text: say(name, values) });
const whose = (k) => (k.cause ? `${say('causes')[k.cause] ?? k.cause}${k.what ? ` (${k.what})` : ''}` : say('unknown'));

/* Keys that end by changes; nothing else ends them so soon. */
function churn(history) {
	const { then, now, data } = history;

	if (now === then)
		return [];
	return data.loaded.flatMap((k) => {
		const before = then.detail.loads.get(k.key) ?? { loads: Math.min(k.loads, 1), reads: 0 };
		const loads = k.loads - before.loads;
		const reads = Math.max(0, k.reads - before.reads);

		return loads >= CHURN_ALWAYS || (loads >= CHURN_LOADS && reads <= 3 * loads)
			? [{ loads, finding: finding('warn', 'churn', { key: k.key, loads: whole(loads), reads: whole(reads), s: seconds(history.seconds),
				cause: whose(k), tag: k.tag ?? say('unknown') }) }] : [];
	}).sort((a, b) => b.loads - a.loads).slice(0, 3).map((f) => f.finding);
}

function uneven(history) {
	const { then, now } = history;

	return [...now.detail.prefixes].flatMap(([prefix, p]) => {
		const was = then.detail.prefixes.get(prefix);
		if (!was || p.internal)
			return [];
		const loads = p.misses - was.misses;
		const hits = p.memoryHits + p.redisHits + p.collapsed - was.memoryHits - was.redisHits - was.collapsed;
		return loads >= FEW && loads > hits
			? [finding('warn', 'uneven', { prefix, loads: whole(loads), hits: whole(hits), s: seconds(history.seconds) })] : [];
	});
}

function slow(history) {
	return history.times('load').flatMap(([prefix, counts]) => {
		const p99 = history.quantile(0.99, counts);
		return p99 > SLOW_S ? [finding('warn', 'slowLoads', { prefix, p99: seconds(p99) })] : [];
	});
}

function redisFindings(history) {
	const { redis } = history.data.health;
	const minute = history.minute;
	const found = [];

	if (redis.state === 'down' || redis.state === 'open')
		found.push(finding('bad', 'redisDown', { since: day(redis.since) }));
	else if (redis.state === 'none')
		found.push(finding('note', 'redisNone'));
	else if (minute && minute.evictedKeys > 0)
		found.push(finding('warn', 'redisFull', { n: whole(minute.evictedKeys * 60), used: size(redis.usedBytes) }));
	if (redis.maxBytes > 0 && /^(allkeys|noeviction)/.test(redis.policy))
		found.push(finding('warn', 'redisPolicy', { policy: redis.policy }));
	return found;
}

function dependencies(history) {
	const { postgres, listener, workers } = history.data.health;
	const minute = history.minute;
	const found = [];

	if (postgres.state !== 'up')
		found.push(finding('bad', 'pgDown', { since: day(postgres.since) }));
	found.push(...redisFindings(history));
	if (!listener.trusted && postgres.state === 'up')
		found.push(finding('bad', 'listener', { s: listener.silentMs < 0 ? say('ever') : seconds(listener.silentMs / 1000) }));
	if (minute && minute.lost > 0)
		found.push(finding('warn', 'lost'));
	if (minute && (minute.waiting > 0.05 || minute.timeouts > 0 || postgres.pool.waiting > 1))
		found.push(finding('warn', 'pool', { size: postgres.pool.size, s: seconds(minute.waiting),
			waiting: whole(postgres.pool.waiting) }));
	if (workers.queue > workers.queueLimit / 2 || (minute && minute.refused > 0))
		found.push(finding('warn', 'queue', { n: whole(workers.queue), limit: whole(workers.queueLimit),
			refused: rate(minute ? minute.refused : 0) }));
	if (minute && minute.errors * history.seconds >= 5 && minute.errors > minute.requests / 100)
		found.push(finding('bad', 'failing', { share: percent(minute.errors / minute.requests), rate: rate(minute.errors) }));
	return found;
}

function memory(history) {
	const { curve } = history.data;
	const minute = history.minute;
	const double = curve?.points.find((p) => p.factor === 2);
	const same = curve?.points.find((p) => p.factor === 1);

	if (!minute || minute.evictions * 60 < 10 || curve?.state !== 'ready' || double.hitRatio - same.hitRatio < 0.01)
		return [];
	return [finding('warn', 'small', { n: whole(minute.evictions * 60), now: percent(same.hitRatio), ratio: percent(double.hitRatio) })];
}

export function findings(history) {
	const all = [...dependencies(history), ...churn(history), ...memory(history), ...uneven(history), ...slow(history)];

	if (!all.some((f) => f.kind !== 'note'))
		all.unshift(finding('good', 'allWell'));
	return all;
}

/* ---- each part ---- */

const part = (name, state, text) => ({ name, state, text });

function ofRedis(redis) {
	if (redis.state === 'none')
		return part('redis', 'note', say('ofNoRedis'));
	if (redis.state !== 'up')
		return part('redis', 'bad', say(redis.state === 'open' ? 'ofRedisOpen' : 'ofRedisDown', { since: day(redis.since) }));
	return part('redis', 'good', say('ofRedis', { since: day(redis.since), keys: whole(redis.keys), bytes: size(redis.bytes), used: size(redis.usedBytes),
		max: redis.maxBytes ? size(redis.maxBytes) : say('noBound'), policy: redis.policy, evicted: whole(redis.evictedKeys), last: seconds(redis.lastUs / 1e6) }));
}

function ofListener(history) {
	const { listener } = history.data.health;
	const silent = listener.silentMs < 0 ? say('ever') : seconds(listener.silentMs / 1000);

	return part('listenerName', listener.trusted ? 'good' : 'bad', say(listener.trusted ? 'ofListener' : 'ofListenerSilent', { silent,
		p50: seconds(history.quantile(0.5, history.delays)), p99: seconds(history.quantile(0.99, history.delays)),
		n: whole(history.delays.reduce((a, b) => a + b, 0)), rows: whole(listener.outboxRows), lost: whole(listener.lost) }));
}

export function parts(history) {
	const { postgres, redis, workers } = history.data.health;
	const m = history.minute;
	const { pool } = postgres;

	return [
		part('postgres', postgres.state === 'up' ? 'good' : 'bad', say(postgres.state === 'up' ? 'ofPostgres' : 'ofPostgresDown',
			{ since: day(postgres.since), reads: m ? rate(m.reads) : '–', commits: m ? rate(m.commits) : '–', failures: whole(pool.failures) })),
		part('poolName', m && (m.waiting > 0.05 || m.timeouts > 0 || pool.waiting > 1) ? 'warn' : 'good',
			say('ofPool', { busy: whole(pool.busy), size: whole(pool.size), waiting: whole(pool.waiting), s: m ? seconds(m.waiting) : '–', timeouts: whole(pool.timeouts) })),
		ofRedis(redis), ofListener(history),
		part('workersName', workers.queue > workers.queueLimit / 2 || (m && m.refused > 0) ? 'warn' : 'good', say('ofWorkers',
			{ busy: whole(workers.busy), threads: whole(workers.threads), queue: whole(workers.queue), limit: whole(workers.queueLimit), refused: whole(workers.refused) })),
	];
}

/* What is wrong, in words: the first things to look at when it is slow. */
import { say, seconds, percent, rate, day, whole } from './words.js';

const CHURN_LOADS = 5; /* in a minute */

const finding = (kind, name, values) => ({ kind, name, text: say(name, values) });

function churn(history) {
	const { then, now, data } = history;
	const latest = data.invalidations[0];
	const cause = latest ? `${say('causes')[latest.cause] ?? latest.cause}${latest.what ? ` (${latest.what})` : ''}`
		: say('unknown');

	return data.loaded.flatMap((k) => {
		const before = then.loads.get(k.key) ?? { loads: Math.min(k.loads, 1), reads: 0 };
		const loads = k.loads - before.loads;
		const reads = Math.max(0, k.reads - before.reads);

		return loads >= CHURN_LOADS && reads <= 3 * loads && now !== then
			? [finding('warn', 'churn', { key: k.key, loads: whole(loads), reads: whole(reads), cause })] : [];
	}).slice(0, 3);
}

function uneven(history) {
	const { then, now } = history;

	return [...now.prefixes].flatMap(([prefix, p]) => {
		const was = then.prefixes.get(prefix);
		if (!was || p.internal)
			return [];
		const loads = p.misses - was.misses;
		const hits = p.memoryHits + p.redisHits + p.collapsed - was.memoryHits - was.redisHits - was.collapsed;
		return loads >= 20 && loads > hits
			? [finding('warn', 'uneven', { prefix, loads: whole(loads), hits: whole(hits) })] : [];
	});
}

function dependencies(history) {
	const { postgres, redis, listener, workers } = history.data.health;
	const minute = history.minute;
	const found = [];

	if (postgres.state !== 'up')
		found.push(finding('bad', 'pgDown', { since: day(postgres.since) }));
	if (redis.state === 'down' || redis.state === 'open')
		found.push(finding('bad', 'redisDown', { since: day(redis.since) }));
	if (!listener.trusted && postgres.state === 'up')
		found.push(finding('bad', 'listener', { s: seconds(listener.silentMs / 1000) }));
	if (minute && (minute.waiting > 0.05 || minute.timeouts > 0 || postgres.pool.waiting > 1))
		found.push(finding('warn', 'pool', { size: postgres.pool.size, s: seconds(minute.waiting),
			waiting: whole(postgres.pool.waiting) }));
	if (workers.queue > workers.queueLimit / 2 || (minute && minute.refused > 0))
		found.push(finding('warn', 'queue', { n: whole(workers.queue), limit: whole(workers.queueLimit),
			refused: rate(minute ? minute.refused : 0) }));
	if (redis.state === 'none')
		found.push(finding('note', 'redisNone'));
	return found;
}

function memory(history) {
	const { curve } = history.data;
	const minute = history.minute;
	const double = curve?.points.find((p) => p.factor === 2);
	const same = curve?.points.find((p) => p.factor === 1);

	if (!minute || minute.evictions * 60 < 10 || curve?.state !== 'ready' || double.hitRatio - same.hitRatio < 0.01)
		return [];
	return [finding('warn', 'small', { n: whole(minute.evictions * 60), ratio: percent(double.hitRatio) })];
}

export function findings(history) {
	const all = [...dependencies(history), ...churn(history), ...memory(history), ...uneven(history)];

	if (!all.some((f) => f.kind !== 'note'))
		all.unshift(finding('good', 'allWell'));
	return all;
}

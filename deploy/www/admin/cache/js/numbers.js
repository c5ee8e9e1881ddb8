/* From totals to rates: what lies between two answers of action=overview. */

export const LAST_MS = 60000;
const KEPT = 300;

const sum = (list, of) => list.reduce((all, one) => all + (of(one) || 0), 0);

export function totals(data) {
	const p = data.cache.prefixes;
	const statuses = data.requests.flatMap((r) => Object.entries(r.statuses));
	const counts = new Array(data.latency.bounds.length + 1).fill(0);
	for (const h of Object.values(data.latency.request))
		h.counts.forEach((n, i) => { counts[i] += n; });
	return {
		ms: data.nowMs,
		at: Date.now(),
		requests: sum(statuses, (s) => s[1]),
		errors: sum(statuses.filter((s) => s[0] >= '500'), (s) => s[1]),
		memoryHits: sum(p, (x) => x.memoryHits),
		redisHits: sum(p, (x) => x.redisHits),
		misses: sum(p, (x) => x.misses),
		collapsed: sum(p, (x) => x.collapsed),
		stale: sum(p, (x) => x.stale),
		evictions: sum(p, (x) => x.evictions),
		invalidated: sum(p, (x) => x.invalidated),
		expiries: sum(p, (x) => x.expiries),
		waitSeconds: data.health.postgres.pool.waitSeconds,
		timeouts: data.health.postgres.pool.timeouts,
		refused: data.health.workers.refused,
		lost: data.health.listener.lost,
		memoryBytes: data.cache.bytes,
		redisBytes: data.health.redis.bytes,
		counts,
		prefixes: new Map(p.map((x) => [x.prefix, x])),
		loads: new Map(data.loaded.map((k) => [k.key, { loads: k.loads, reads: k.reads }])),
	};
}

/* The Q quantile in seconds, by straight lines within the buckets; NaN of none. */
export function quantile(q, bounds, counts) {
	const all = counts.reduce((a, b) => a + b, 0);
	let below = 0;

	if (all === 0)
		return NaN;
	for (let i = 0; i < counts.length; i++) {
		if (below + counts[i] >= q * all) {
			const from = i === 0 ? 0 : bounds[i - 1];
			const to = i < bounds.length ? bounds[i] : bounds[bounds.length - 1];
			return from + (to - from) * ((q * all - below) / counts[i]);
		}
		below += counts[i];
	}
	return bounds[bounds.length - 1];
}

export function ratio(a, b) {
	const hits = b.memoryHits - a.memoryHits + b.redisHits - a.redisHits + b.collapsed - a.collapsed;
	const all = hits + b.misses - a.misses;
	return all > 0 ? hits / all : NaN;
}

/* What happened between two totals, in a second. */
export function between(a, b, bounds) {
	const s = (b.ms - a.ms) / 1000;
	const rate = (name) => Math.max(0, (b[name] - a[name]) / s);
	const counts = b.counts.map((n, i) => n - a.counts[i]);

	return {
		at: b.at,
		requests: rate('requests'), errors: rate('errors'),
		memoryHits: rate('memoryHits'), redisHits: rate('redisHits'), misses: rate('misses'),
		stale: rate('stale'), evictions: rate('evictions'), invalidated: rate('invalidated'),
		expiries: rate('expiries'), waiting: rate('waitSeconds'), timeouts: rate('timeouts'),
		refused: rate('refused'),
		ratio: ratio(a, b),
		p50: quantile(0.5, bounds, counts), p95: quantile(0.95, bounds, counts),
		p99: quantile(0.99, bounds, counts),
		memoryBytes: b.memoryBytes, redisBytes: b.redisBytes,
	};
}

/* Of one process. */
export class History {
	constructor() {
		this.totals = [];
		this.steps = [];
		this.data = null;
	}

	add(data) {
		const now = totals(data);
		const last = this.totals.at(-1);

		this.data = data;
		if (last && now.ms <= last.ms)
			return;
		this.totals.push(now);
		if (last)
			this.steps.push(between(last, now, data.latency.bounds));
		if (this.totals.length > KEPT) {
			this.totals.shift();
			this.steps.shift();
		}
	}

	get now() { return this.totals.at(-1); }

	/* The totals of a minute ago, or of the first answer. */
	get then() {
		const now = this.now;
		return this.totals.find((t) => now.ms - t.ms <= LAST_MS);
	}

	/* Over the last minute; null before there are two answers. */
	get minute() {
		return this.totals.length > 1 ? between(this.then, this.now, this.data.latency.bounds) : null;
	}
}

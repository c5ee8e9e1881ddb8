/* From totals to rates: what lies between two answers of action=overview. */

export const LAST_MS = 60000;
/* What is the matter now; of a minute it would still be told long after its end. */
export const LATELY_MS = 16000;
const KEPT = 300;

const sum = (list, of) => list.reduce((all, one) => all + (of(one) || 0), 0);
const byName = (histograms) => new Map(Object.entries(histograms).map(([name, h]) => [name, h.counts]));

/* What is 5xx of each route, by its code: 'GET /api/x: 503'. */
function failures(requests) {
	return new Map(requests.flatMap((r) => Object.entries(r.statuses).filter(([code]) => code >= '500')
		.map(([code, n]) => [`${r.method} ${r.route}: ${code}`, n])));
}

export function totals(data) {
	/* Of answers: of sessions and guards there are two more look-ups a request,
	 * which nearly always hit and would hide what the others do. */
	const p = data.cache.prefixes.filter((x) => !x.internal);
	const every = data.cache.prefixes;
	const statuses = data.requests.flatMap((r) => Object.entries(r.statuses));
	const none = new Array(data.latency.bounds.length + 1).fill(0);
	const counts = [...none];

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
		stale: sum(p, (x) => x.stale + x.grace),
		evictions: sum(every, (x) => x.evictions),
		invalidated: sum(every, (x) => x.invalidated),
		expiries: sum(every, (x) => x.expiries),
		reads: data.health.postgres.pool.reads,
		commits: data.health.postgres.pool.commits,
		waitSeconds: data.health.postgres.pool.waitSeconds,
		timeouts: data.health.postgres.pool.timeouts,
		refused: data.health.workers.refused,
		lost: data.health.listener.lost,
		evictedKeys: data.health.redis.evictedKeys,
		memoryBytes: data.cache.bytes,
		redisBytes: data.health.redis.bytes,
		counts,
		/* Of the last minute alone, see History. */
		detail: {
			prefixes: new Map(every.map((x) => [x.prefix, x])),
			loads: new Map(data.loaded.map((k) => [k.key, { loads: k.loads, reads: k.reads }])),
			failures: failures(data.requests),
			spent: new Map(Object.entries(data.latency.load).map(([name, h]) => [name, h.sum])),
			request: byName(data.latency.request), hit: byName(data.latency.hit),
			redis: byName(data.latency.redis), load: byName(data.latency.load),
			listener: data.latency.listener?.counts ?? none,
		},
	};
}

/* The Q quantile in seconds, by straight lines within the buckets; NaN of none. */
export function quantile(q, bounds, counts) {
	const all = counts.reduce((a, b) => a + b, 0);
	let below = 0;

	if (all === 0)
		return NaN;
	for (let i = 0; i < counts.length; i++) {
		if (counts[i] > 0 && below + counts[i] >= q * all) {
			const from = i === 0 ? 0 : bounds[i - 1];
			const to = i < bounds.length ? bounds[i] : bounds[bounds.length - 1];
			return from + (to - from) * ((q * all - below) / counts[i]);
		}
		below += counts[i];
	}
	return bounds[bounds.length - 1];
}

/* What was counted between; WAS may be missing. */
export const more = (now, was) => now.map((n, i) => n - (was?.[i] ?? 0));

export function ratio(a, b) {
	const hits = b.memoryHits - a.memoryHits + b.redisHits - a.redisHits + b.collapsed - a.collapsed;
	const all = hits + b.misses - a.misses;
	return all > 0 ? hits / all : NaN;
}

/* What happened between two totals, in a second. */
export function between(a, b, bounds) {
	const s = (b.ms - a.ms) / 1000;
	const rate = (name) => Math.max(0, (b[name] - a[name]) / s);
	const counts = more(b.counts, a.counts);

	return {
		at: b.at,
		requests: rate('requests'), errors: rate('errors'),
		memoryHits: rate('memoryHits'), redisHits: rate('redisHits'), misses: rate('misses'), collapsed: rate('collapsed'),
		stale: rate('stale'), evictions: rate('evictions'), invalidated: rate('invalidated'),
		expiries: rate('expiries'), waiting: rate('waitSeconds'), timeouts: rate('timeouts'),
		refused: rate('refused'), lost: rate('lost'), reads: rate('reads'), commits: rate('commits'), evictedKeys: rate('evictedKeys'),
		ratio: ratio(a, b),
		p50: quantile(0.5, bounds, counts), p95: quantile(0.95, bounds, counts),
		p99: quantile(0.99, bounds, counts),
		memoryBytes: b.memoryBytes, redisBytes: b.redisBytes,
	};
}

/* Of one process. */
export class History {
	/* STEPS: those of the process in whose place it came. */
	constructor(steps = []) {
		this.totals = [];
		this.steps = [...steps];
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
		this.totals.splice(0, this.totals.length - KEPT);
		this.steps.splice(0, this.steps.length - KEPT);
		for (const t of this.totals) {
			if (now.ms - t.ms > 2 * LAST_MS)
				t.detail = null;
		}
	}

	get now() { return this.totals.at(-1); }

	/* The totals of a minute ago, or of the first answer. */
	get then() {
		const now = this.now;
		return this.totals.find((t) => now.ms - t.ms <= LAST_MS);
	}

	get recent() {
		const now = this.now;
		return this.totals.find((t) => now.ms - t.ms <= LATELY_MS);
	}

	/* Over the last seconds; null before there are two answers. */
	get lately() {
		const { now, recent: then } = this;
		return then === now ? null : between(then, now, this.data.latency.bounds);
	}

	/* The totals of the last minute, the oldest first. */
	get minuteTotals() { return this.totals.slice(this.totals.indexOf(this.then)); }

	/* Those of the latest steps in which something held. */
	when(ms, holds) { return this.steps.filter((s) => this.now.at - s.at < ms && holds(s)); }

	get seconds() { return (this.now.ms - this.then.ms) / 1000; }

	/* Over the last minute; null before there are two answers. */
	get minute() {
		return this.then === this.now ? null : between(this.then, this.now, this.data.latency.bounds);
	}

	/* Counts by bucket of the last minute: KIND is request, hit, redis or load. */
	times(kind) {
		const then = this.then.detail[kind];
		return [...this.now.detail[kind]].map(([name, counts]) => [name, more(counts, then.get(name))])
			.filter(([, counts]) => counts.some((n) => n > 0));
	}

	get delays() { return more(this.now.detail.listener, this.then.detail.listener); }

	quantile(q, counts) { return quantile(q, this.data.latency.bounds, counts); }
}

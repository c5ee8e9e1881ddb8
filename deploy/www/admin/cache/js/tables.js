/* Tiles and tables. */
import { $, el, fill, fit, plain, put } from './dom.js';
import { findings, parts } from './health.js';
import { say, pair, whole, rate, percent, points, seconds, size, day } from './words.js';

let sinceStart = false;
let spoken = '';

export function wireTables(redraw) {
	$('span').addEventListener('change', (e) => { sinceStart = e.target.value === 'start'; redraw(); });
}

function tiles(history) {
	const { data } = history;
	const m = history.minute;
	const all = [['tRequests', m ? rate(m.requests) : '–'], ['tRatio', m ? percent(m.ratio) : '–'],
		['tP50', m && Number.isFinite(m.p50) ? seconds(m.p50) : '–'],
		['tP99', m && Number.isFinite(m.p99) ? seconds(m.p99) : '–'], ['tEntries', whole(data.cache.entries)],
		['tMemory', say('of', { a: size(data.cache.bytes), b: size(data.cache.capacityBytes) })], ['tFlights', whole(data.flights)]];

	fit($('tiles'), all.length, () => el('div', {}, el('dt'), el('dd'))).forEach((tile, i) => {
		tile.dataset.tile = all[i][0];
		put(tile.children[0], say(all[i][0]));
		put(tile.children[1], all[i][1]);
	});
}

/* The numbers in the words change all the time; what is said aloud is only that
 * something else is the matter. */
function health(history, others) {
	const list = findings(history, others);
	const names = list.map((f) => f.name).join();

	fit($('findings'), list.length, () => el('li', {}, el('strong'), ' ', el('span'))).forEach((li, i) => {
		li.className = list[i].kind;
		li.dataset.finding = list[i].name;
		put(li.children[0], list[i].kind === 'note' ? '' : say(list[i].kind));
		put(li.children[1], plain(list[i].text));
	});
	if (names !== spoken) {
		spoken = names;
		$('spoken').textContent = plain(list.map((f) => f.text).join(' '));
	}
	const all = parts(history);
	fit($('parts'), all.length, () => el('div', {}, el('dt'), el('dd', {}, el('strong'), ' ', el('span')))).forEach((div, i) => {
		div.className = all[i].state;
		div.dataset.part = all[i].name;
		put(div.children[0], say(all[i].name));
		put(div.children[1].children[0], say(`state_${all[i].state}`));
		put(div.children[1].children[1], all[i].text);
	});
}

const NOTHING = { memoryHits: 0, redisHits: 0, misses: 0, collapsed: 0, stale: 0, grace: 0, negative: 0, stores: 0, redisStores: 0, refused: 0,
	redisRefused: 0, errors: 0, busy: 0, warmed: 0, redisErrors: 0, evictions: 0, expiries: 0, invalidated: 0 };

function prefixes(history) {
	const { then, now } = history;
	const rows = [...now.detail.prefixes.values()].map((p) => {
		const was = sinceStart ? NOTHING : then.detail.prefixes.get(p.prefix) ?? p;
		const n = (name) => Math.max(0, p[name] - was[name]);
		const hits = n('memoryHits') + n('redisHits') + n('collapsed');
		const all = hits + n('misses');

		return { p, n, hits, all, ratio: all ? hits / all : NaN };
	}).filter((r) => r.p.entries || r.p.misses || r.p.memoryHits || r.p.redisHits);
	const column = (name, ...counters) => ({ name: say(name), of: (r) => whole(counters.reduce((all, c) => all + r.n(c), 0)) });

	rows.sort((a, b) => b.all - a.all || (a.p.prefix < b.p.prefix ? -1 : 1));
	$('prefixes-note').textContent = say(sinceStart ? 'prefixesNoteStart' : 'prefixesNote', { s: seconds(history.seconds) });
	fill($('prefixes'), say('prefixes'), [
		{ name: say('prefix'), of: (r) => r.p.prefix },
		{ name: say('hitRatio'), of: (r) => percent(r.ratio) },
		column('hits', 'memoryHits'), column('redisHits', 'redisHits'), column('collapsed', 'collapsed'), column('misses', 'misses'),
		column('stale', 'stale', 'grace'), column('negative', 'negative'), column('invalidated', 'invalidated'),
		column('evictions', 'evictions'), column('expiries', 'expiries'), column('stores', 'stores', 'redisStores'),
		column('refused', 'refused', 'redisRefused'), column('failures', 'errors', 'busy', 'redisErrors'),
		{ name: say('entries'), of: (r) => whole(r.p.entries) },
		{ name: say('bytes'), of: (r) => size(r.p.bytes) },
		{ name: say('life'), of: (r) => seconds(r.p.ttlS * r.p.ttlFactor) + (r.p.ttlFactor === 1 ? '' : ` (× ${rate(r.p.ttlFactor)})`) },
		column('loadedAhead', 'warmed'),
	], rows, (r) => r.n('misses') > r.hits && r.n('misses') >= 5);
}

/* Of requests by route, of Redis and loads by prefix. */
function latency(history) {
	const p = (q, counts) => (counts ? seconds(history.quantile(q, counts)) : '–');
	const count = (counts) => (counts ?? []).reduce((a, b) => a + b, 0);
	const join = (a, b) => {
		const [x, y] = [new Map(a), new Map(b)];
		return [...new Set([...x.keys(), ...y.keys()])].map((name) => ({ name, a: x.get(name), b: y.get(name) }))
			.sort((r, s) => count(s.a) - count(r.a) || (r.name < s.name ? -1 : 1));
	};
	const four = [{ name: 'p50', of: (r) => p(0.5, r.a) }, { name: 'p95', of: (r) => p(0.95, r.a) }, { name: 'p99', of: (r) => p(0.99, r.a) }];

	fill($('by-route'), say('byRoute'), [{ name: say('routeName'), of: (r) => (r.name === 'any none' ? say('noRoute') : r.name), class: 'text' }, { name: say('requests'), of: (r) => whole(count(r.a)) }, ...four,
		{ name: say('fromMemory'), of: (r) => whole(count(r.b)) }, { name: say('hitP50'), of: (r) => p(0.5, r.b) }, { name: say('hitP99'), of: (r) => p(0.99, r.b) }],
	join(history.times('request'), history.times('hit')));
	fill($('by-level'), say('byLevel'), [{ name: say('prefix'), of: (r) => r.name }, { name: say('misses'), of: (r) => whole(count(r.a)) }, ...four,
		{ name: say('lookups'), of: (r) => whole(count(r.b)) }, { name: say('redisP50'), of: (r) => p(0.5, r.b) }, { name: say('redisP99'), of: (r) => p(0.99, r.b) }],
	join(history.times('load'), history.times('redis')));
}

const whose = (cause, what) => (!cause ? '–' : what ? pair(say('causes')[cause] ?? cause, what) : say('causes')[cause] ?? cause);

function keys(data) {
	const key = { name: say('key'), of: (k) => k.key, class: 'key' };
	const column = (name, of) => ({ name: say(name), of });
	const reads = column('reads', (k) => whole(k.reads));
	const loads = column('loads', (k) => whole(k.loads));

	fill($('hottest'), say('hottest'), [key, column('recentReads', (k) => whole(k.recentReads)), reads, loads], data.hottest.slice(0, 10));
	fill($('loaded'), say('loaded'), [key, column('recentLoads', (k) => whole(k.recentLoads)), loads, reads,
		{ name: say('latestCause'), of: (k) => whose(k.cause, k.what), class: 'text' },
		{ name: say('tag1'), of: (k) => k.tag ?? '–', class: 'key' }], data.loaded.slice(0, 10), (k) => k.loads > k.reads);
	fill($('biggest'), say('biggest'), [key, column('bytes', (k) => size(k.bytes)), reads], data.biggest.slice(0, 10));
	fill($('invalidations'), say('invalidations'), [
		{ name: say('time'), of: (i) => day(i.at) },
		{ name: say('cause'), of: (i) => say('causes')[i.cause] ?? i.cause, class: 'text' },
		{ name: say('by'), of: (i) => i.what, class: 'text' },
		{ name: say('tags'), of: (i) => i.tags.join(', ') + (i.count > i.tags.length ? ', …' : ''), class: 'key' },
	], data.invalidations.slice(0, 20));
}

function models(data) {
	const { curve, strategies } = data;

	$('h-memory').parentElement.hidden = !curve;
	if (!curve)
		return;
	const at = (factor) => curve.points.find((p) => p.factor === factor).hitRatio;
	const strategy = say('strategyNames');

	$('curve-note').textContent = curve.state === 'ready'
		? say('curveReady', { share: percent(curve.sampleRate), n: curve.samples, now: percent(at(1)), half: percent(at(0.5)), twice: percent(at(2)), four: percent(at(4)) })
		: say('curveWarming', { n: curve.samples });
	fill($('curve'), say('curve'), [
		{ name: say('factor'), of: (p) => `× ${p.factor}` },
		{ name: say('bytes'), of: (p) => size(p.bytes) },
		{ name: say('hitRatio'), of: (p) => percent(p.hitRatio) },
		{ name: say('difference'), of: (p) => points(p.hitRatio - at(1)) }], curve.points);
	fill($('strategies'), say('strategies'), [
		{ name: say('strategy'), of: (s) => strategy[s.name] ?? s.name },
		{ name: say('hitRatio'), of: (s) => percent(s.hitRatio) },
		{ name: say('difference'), of: (s) => points(s.hitRatio - strategies[0].hitRatio) }], strategies);
}

function warming(w) {
	$('warming').textContent = w.state === 'running' ? say('warming', { done: w.done, total: w.total })
		: w.lastAt ? say('warmed', { at: day(w.lastAt), total: w.total, cause: say('warmCauses')[w.cause] ?? w.cause }) : '';
}

export function show(history, others) {
	const { data } = history;

	$('who').textContent = say('who', { instance: `${data.instance} (${data.process})`, version: data.version, mode: data.mode,
		since: day(data.startedAt) });
	health(history, others);
	tiles(history);
	prefixes(history);
	latency(history);
	keys(data);
	models(data);
	warming(data.warming);
}

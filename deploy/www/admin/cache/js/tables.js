/* Tiles and tables. */
import { $, el, fill } from './dom.js';
import { findings } from './health.js';
import { say, whole, rate, percent, seconds, size, day } from './words.js';

function tiles(history) {
	const { data } = history;
	const m = history.minute;
	const all = [['tRequests', m ? rate(m.requests) : '–'], ['tRatio', m ? percent(m.ratio) : '–'],
		['tP99', m && Number.isFinite(m.p99) ? seconds(m.p99) : '–'], ['tEntries', whole(data.cache.entries)],
		['tMemory', `${size(data.cache.bytes)} / ${size(data.cache.capacityBytes)}`], ['tFlights', whole(data.flights)]];

	$('tiles').replaceChildren(...all.map(([name, value]) => el('div', { 'data-tile': name },
		el('dt', { text: say(name) }), el('dd', { text: value }))));
}

function health(history) {
	const list = findings(history);
	const text = list.map((f) => f.kind + f.text).join('\n');

	if ($('findings').dataset.text === text)
		return;
	$('findings').dataset.text = text;
	$('findings').replaceChildren(...list.map((f) => el('li', { class: f.kind, 'data-finding': f.name },
		...(f.kind === 'note' ? [] : [el('strong', { text: say(f.kind) })]), f.text)));
}

function prefixes(history) {
	const { then, now } = history;
	const minutes = Math.max(1 / 60, (now.ms - then.ms) / 60000);
	const rows = [...now.prefixes.values()].map((p) => {
		const was = then.prefixes.get(p.prefix) ?? p;
		const per = (name) => Math.max(0, p[name] - was[name]) / minutes;
		const hits = per('memoryHits') + per('collapsed');
		const all = hits + per('redisHits') + per('misses');

		return { p, per, hits, ratio: all ? (all - per('misses')) / all : NaN };
	}).filter((r) => r.p.entries || r.p.misses || r.p.memoryHits);

	rows.sort((a, b) => b.hits + b.per('misses') - a.hits - a.per('misses'));
	fill($('prefixes'), say('prefixes'), [
		{ name: say('prefix'), of: (r) => r.p.prefix },
		{ name: say('hitRatio'), of: (r) => percent(r.ratio) },
		{ name: say('hits'), of: (r) => rate(r.hits) },
		{ name: say('redisHits'), of: (r) => rate(r.per('redisHits')) },
		{ name: say('misses'), of: (r) => rate(r.per('misses')) },
		{ name: say('stale'), of: (r) => rate(r.per('stale') + r.per('grace')) },
		{ name: say('invalidated'), of: (r) => rate(r.per('invalidated')) },
		{ name: say('evictions'), of: (r) => rate(r.per('evictions')) },
		{ name: say('refused'), of: (r) => rate(r.per('refused')) },
		{ name: say('entries'), of: (r) => whole(r.p.entries) },
		{ name: say('bytes'), of: (r) => size(r.p.bytes) },
		{ name: say('life'), of: (r) => seconds(r.p.ttlS * r.p.ttlFactor) + (r.p.ttlFactor === 1 ? '' : ` (× ${r.p.ttlFactor})`) },
	], rows, (r) => r.per('misses') > r.hits + r.per('redisHits') && r.per('misses') >= 1);
}

function keys(data) {
	const key = { name: say('key'), of: (k) => k.key, class: 'key' };
	const reads = { name: say('reads'), of: (k) => whole(k.reads) };
	const loads = { name: say('loads'), of: (k) => whole(k.loads) };
	const bytes = { name: say('bytes'), of: (k) => size(k.bytes) };

	fill($('hottest'), say('hottest'), [key, reads, loads], data.hottest.slice(0, 10));
	fill($('loaded'), say('loaded'), [key, loads, reads], data.loaded.slice(0, 10), (k) => k.loads > k.reads);
	fill($('biggest'), say('biggest'), [key, bytes], data.biggest.slice(0, 10));
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
	$('curve-note').textContent = curve.state === 'ready'
		? say('curveReady', { share: percent(curve.sampleRate), n: whole(curve.samples) })
		: say('curveWarming', { n: whole(curve.samples) });
	fill($('curve'), say('curve'), [
		{ name: say('factor'), of: (p) => `× ${p.factor}` },
		{ name: say('bytes'), of: (p) => size(p.bytes) },
		{ name: say('hitRatio'), of: (p) => percent(p.hitRatio) }], curve.points);
	fill($('strategies'), say('strategies'), [
		{ name: say('strategy'), of: (s) => s.name },
		{ name: say('hitRatio'), of: (s) => percent(s.hitRatio) }], strategies);
}

function warming(w) {
	$('warming').textContent = w.state === 'running' ? say('warming', { done: whole(w.done), total: whole(w.total) })
		: w.lastAt ? say('warmed', { at: day(w.lastAt), total: whole(w.total), cause: w.cause }) : '';
}

export function show(history) {
	const { data } = history;

	$('who').textContent = say('who', { instance: `${data.instance} (${data.process})`, version: data.version, mode: data.mode,
		since: day(data.startedAt) });
	health(history);
	tiles(history);
	prefixes(history);
	keys(data);
	models(data);
	warming(data.warming);
}

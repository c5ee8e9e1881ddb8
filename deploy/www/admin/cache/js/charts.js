/* Five lines over time, each with its table. */
import uPlot from '../vendor/uPlot.esm.js';
import { el, fill, $ } from './dom.js';
import { say, pair, clock, percent, rate } from './words.js';

export const CHART_HEIGHT = 170;
const ROWS = 12;
const ms = (x) => x * 1000;
const mb = (x) => x / 1048576;

const charts = [
	{ name: 'chartRatio', format: percent, max: 1, lines: [['tRatio', (s) => s.ratio]] },
	{ name: 'chartRequests', format: rate, lines: [['memoryHits', (s) => s.memoryHits], ['fromRedis', (s) => s.redisHits],
		['loadedNow', (s) => s.misses], ['sharedNow', (s) => s.collapsed], ['staleNow', (s) => s.stale], ['errors', (s) => s.errors]] },
	{ name: 'chartLatency', format: rate, lines: [['p50', (s) => ms(s.p50)], ['p95', (s) => ms(s.p95)], ['p99', (s) => ms(s.p99)]] },
	{ name: 'chartMemory', format: rate, lines: [['memory', (s) => mb(s.memoryBytes)], ['redis', (s) => mb(s.redisBytes)]] },
	{ name: 'chartEnds', format: rate, lines: [['evicted', (s) => s.evictions], ['changed', (s) => s.invalidated],
		['expired', (s) => s.expiries]] },
];

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
/* Told apart without colours too. */
const dashes = [[], [6, 4], [2, 3], [10, 3, 2, 3], [1, 4], [12, 6]];

export const axis = () => ({ stroke: colour('--soft'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line') } });

function options(chart, width) {
	return {
		width, height: CHART_HEIGHT, legend: { show: false }, cursor: { show: false },
		scales: { x: { time: true }, y: { range: (u, low, high) => [0, chart.max ?? (high > 0 ? high * 1.1 : 1)] } },
		axes: [{ ...axis(), space: 90, values: (u, at) => at.map((s) => clock(s * 1000)) },
			{ ...axis(), size: 58, values: (u, at) => at.map((x) => chart.format(x)) }],
		series: [{}, ...chart.lines.map((l, i) => ({ stroke: colour(`--s${i + 1}`), width: 2, dash: dashes[i], points: { show: false } }))],
	};
}

export class Charts {
	constructor(root) {
		this.root = root;
		this.views = [];
		new ResizeObserver(() => this.resize()).observe(root);
	}

	/* Anew: the language or the colours have changed. */
	build() {
		for (const v of this.views)
			v.plot?.destroy();
		this.views = charts.map((chart) => {
			const plot = el('div', { class: 'plot', role: 'img', 'aria-label': say(chart.name) });
			const table = el('table');
			const details = el('details', {}, el('summary', { text: pair(say('asTable'), say(chart.name)) }),
				el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': pair(say('asTable'), say(chart.name)) }, table));
			const legend = el('ul', { class: 'legend' }, ...chart.lines.map((l, i) => el('li', {}, el('span', { class: `c${i + 1}` }), say(l[0]))));
			const box = el('div', { class: 'chart' }, el('h3', { text: say(chart.name) }), plot, chart.lines.length > 1 ? legend : '', details);

			return { chart, box, place: plot, table };
		});
		this.root.replaceChildren(...this.views.map((v) => v.box));
		for (const v of this.views)
			v.plot = new uPlot(options(v.chart, v.place.clientWidth || 300), [[], ...v.chart.lines.map(() => [])], v.place);
	}

	resize() {
		for (const v of this.views) {
			if (v.plot && v.place.clientWidth && v.plot.width !== v.place.clientWidth)
				v.plot.setSize({ width: v.place.clientWidth, height: CHART_HEIGHT });
		}
	}

	show(steps) {
		const finite = (x) => (Number.isFinite(x) ? x : null);

		for (const v of this.views) {
			const last = steps.at(-1);
			const words = last ? v.chart.lines.map((l) => `${say(l[0])} ${v.chart.format(l[1](last))}`).join(', ') : say('empty');

			v.plot.setData([steps.map((s) => s.at / 1000), ...v.chart.lines.map((l) => steps.map((s) => finite(l[1](s))))]);
			v.place.setAttribute('aria-label', pair(say(v.chart.name), words));
			fill(v.table, say(v.chart.name), [{ name: say('time'), of: (s) => clock(s.at) },
				...v.chart.lines.map((l) => ({ name: say(l[0]), of: (s) => v.chart.format(l[1](s)) }))], steps.slice(-ROWS).reverse());
		}
	}
}

export const makeCharts = () => new Charts($('charts'));

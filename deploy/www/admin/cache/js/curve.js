/* The hit ratio by the size of memory; its table stands beside it. */
import uPlot from '../vendor/uPlot.esm.js';
import { $ } from './dom.js';
import { say, pair, percent } from './words.js';
import { axis, colour, CHART_HEIGHT } from './charts.js';

class Curve {
	constructor(place) {
		this.place = place;
		new ResizeObserver(() => this.resize()).observe(place);
	}

	options() {
		const factors = this.points.map((p) => p.factor);

		return {
			width: this.place.clientWidth || 300, height: CHART_HEIGHT, legend: { show: false }, cursor: { show: false },
			scales: { x: { time: false, range: () => [-0.2, factors.length - 0.8] }, y: { range: () => [0, 1] } },
			axes: [{ ...axis(), splits: () => factors.map((_, i) => i), values: () => factors.map((f) => `× ${f}`) },
				{ ...axis(), size: 58, values: (u, at) => at.map(percent) }],
			series: [{}, { stroke: colour('--s1'), width: 2, points: { show: true, size: 8, fill: colour('--s1') } }],
		};
	}

	/* Anew: the language or the colours have changed. */
	build() {
		this.plot?.destroy();
		this.plot = null;
		this.show(this.now);
	}

	resize() {
		if (this.plot && this.place.clientWidth && this.plot.width !== this.place.clientWidth)
			this.plot.setSize({ width: this.place.clientWidth, height: CHART_HEIGHT });
	}

	show(curve) {
		this.now = curve;
		if (!curve)
			return;
		this.points = curve.points;
		const data = [this.points.map((_, i) => i), this.points.map((p) => p.hitRatio)];

		if (this.plot)
			this.plot.setData(data);
		else
			this.plot = new uPlot(this.options(), data, this.place);
		this.place.setAttribute('aria-label', pair(say('chartCurve'), this.points.map((p) => `× ${p.factor} ${percent(p.hitRatio)}`).join(', ')));
	}
}

export const makeCurve = () => new Curve($('curve-plot'));

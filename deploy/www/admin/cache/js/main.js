/* Asks every two seconds, keeps what was answered by each instance, shows one. */
import { $, el } from './dom.js';
import { History } from './numbers.js';
import { languages, language, setLanguage, say, seconds } from './words.js';
import { makeCharts } from './charts.js';
import { makeCurve } from './curve.js';
import { show, wireTables } from './tables.js';
import { wireActions } from './actions.js';

const EVERY_MS = 2000;
const OLD_MS = 6000;
const PATIENCE_MS = 5000;
const GONE = 8; /* answers of each other instance, and none of the chosen one's */

const histories = new Map();
let chosen = null;
let others = 0; /* answers since the chosen one's last */
let answeredAt = Date.now();
let ended = null; /* why nothing is asked any more */
let paused = false;
let timer = 0;
let charts;
let curve;

const dark = matchMedia('(prefers-color-scheme: dark)');
/* A browser may refuse to keep anything. */
const kept = {
	get: (name) => { try { return localStorage.getItem(name); } catch { return null; } },
	set: (name, value) => { try { localStorage.setItem(name, value); } catch { /* for this visit only */ } },
};

function banner() {
	const age = Date.now() - answeredAt;
	const text = ended ? say(ended) : paused ? say('paused') : age > OLD_MS ? say('oldData', { s: seconds(Math.round(age / 1000)) }) : '';

	document.body.classList.toggle('old', text !== '');
	$('banner').classList.toggle('calm', paused && !ended);
	$('banner').hidden = text === '';
	if ($('banner').dataset.text === text)
		return;
	$('banner').dataset.text = text;
	$('banner').replaceChildren(text, ...(ended ? [' ', el('a', { href: '.', text: say('signIn') })] : []));
}

function render() {
	const history = histories.get(chosen);

	if (!history)
		return;
	show(history);
	charts.show(history.steps);
	curve.show(history.data.curve);
}

function listInstances() {
	const select = $('instance');

	$('instances').hidden = histories.size < 2;
	if (select.options.length !== histories.size) {
		select.replaceChildren(...[...histories.keys()].map((name) => el('option', { value: name, text: name })));
		select.value = chosen;
	}
}

function take(data) {
	const name = `${data.instance} ${data.process}`;

	/* In a container the process after a restart has the number of the one before. */
	if (histories.get(name)?.data.startedAt !== data.startedAt)
		histories.set(name, new History());
	histories.get(name).add(data);
	others = name === chosen ? 0 : others + 1;
	/* One that was restarted does not answer any more; that nobody was asked for a
	 * while says nothing. */
	if (!chosen || others > GONE * histories.size) {
		if (chosen)
			histories.delete(chosen);
		chosen = name;
		others = 0;
	}
	listInstances();
	if (name === chosen)
		render();
}

async function poll() {
	try {
		const answer = await fetch('/api/test/cache?action=overview', { signal: AbortSignal.timeout(PATIENCE_MS), cache: 'no-store' });

		if (answer.status === 401 || answer.status === 403)
			ended = answer.status === 401 ? 'ended' : 'forbidden';
		if (answer.ok) {
			take((await answer.json()).data);
			answeredAt = Date.now();
		}
	} catch {
		/* The banner says how old it is. */
	}
	banner();
	clearTimeout(timer); /* of another that was under way */
	if (!ended && !paused)
		timer = setTimeout(poll, EVERY_MS);
}

function pause() {
	paused = !paused;
	$('pause').setAttribute('aria-pressed', String(paused));
	clearTimeout(timer);
	if (paused)
		banner();
	else
		poll();
}

function speak() {
	for (const node of document.querySelectorAll('[data-say]'))
		node.textContent = say(node.dataset.say);
	for (const node of document.querySelectorAll('[data-label]'))
		node.setAttribute('aria-label', say(node.dataset.label));
	document.title = say('title');
	charts.build();
	curve.build();
	render();
	banner();
}

function paint() {
	const theme = $('theme').value;

	document.documentElement.classList.toggle('dark', theme === 'dark' || (theme === 'auto' && dark.matches));
}

function wire() {
	const wished = kept.get('language') ?? navigator.languages.map((l) => l.slice(0, 2)).find((l) => l in languages);

	setLanguage(wished ?? 'en');
	$('language').value = language();
	$('theme').value = kept.get('theme') ?? 'auto';
	$('language').addEventListener('change', (e) => { setLanguage(e.target.value); kept.set('language', language()); speak(); });
	$('theme').addEventListener('change', (e) => { kept.set('theme', e.target.value); paint(); speak(); });
	$('instance').addEventListener('change', (e) => { chosen = e.target.value; others = 0; render(); });
	dark.addEventListener('change', () => { paint(); speak(); });
	$('pause').addEventListener('click', pause);
	wireTables(render);
	wireActions(() => histories.get(chosen)?.data.warming.ratePerS ?? 0);
}

charts = makeCharts();
curve = makeCurve();
wire();
paint();
speak();
setInterval(banner, 1000);
poll();

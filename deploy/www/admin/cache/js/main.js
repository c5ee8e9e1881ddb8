/* Asks every two seconds, keeps what was answered by each instance, shows one. */
import { $, el } from './dom.js';
import { History } from './numbers.js';
import { languages, language, setLanguage, say, day } from './words.js';
import { makeCharts } from './charts.js';
import { makeCurve } from './curve.js';
import { show, wireTables } from './tables.js';
import { hint, wireActions } from './actions.js';

const EVERY_MS = 2000; /* each instance: they take turns */
const OLD_MS = 6000;
const PATIENCE_MS = 5000;
const GONE = 8; /* answers of each other instance, and none of its own */

const histories = new Map();
let chosen = null;
let polls = 0; /* that were answered */
let answeredAt = Date.now();
let refusal = 0; /* the status of the latest answer that was none */
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

/* No text in it changes while it stands: it is read aloud each time. */
function trouble() {
	if (ended)
		return say(ended);
	if (paused)
		return say('paused', { at: day(answeredAt) });
	if (Date.now() - answeredAt <= OLD_MS)
		return '';
	return `${say('oldData', { at: day(answeredAt) })} ${refusal ? say('oldRefused', { status: refusal }) : say('oldSilent')}`;
}

function banner() {
	const text = trouble();

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
	show(history, new Map([...histories].filter(([name]) => name !== chosen)));
	charts.show(history.steps);
	curve.show(history.data.curve);
}

function listInstances() {
	const select = $('instance');
	const names = [...histories.keys()];

	$('instances').hidden = histories.size < 2;
	if ([...select.options].map((o) => o.value).join('\n') !== names.join('\n'))
		select.replaceChildren(...names.map((name) => el('option', { value: name, text: name })));
	if (select.value !== chosen)
		select.value = chosen;
}

/* Others have answered several times since, and it has not; time says nothing,
 * because nobody asks in a pause. */
const isGone = (history) => polls - history.poll > GONE * histories.size;

/* One that began after the chosen one was last heard is in its place: that was
 * restarted. */
function succeeds(name, data, isNew) {
	const before = histories.get(chosen);

	return !before || isGone(before) || (isNew && name !== chosen && Date.parse(data.startedAt) > before.data.wallMs);
}

function forget() {
	for (const [name, history] of histories) {
		if (name !== chosen && isGone(history))
			histories.delete(name);
	}
}

function take(data) {
	const name = `${data.instance} ${data.process}`;
	const known = histories.get(name);
	/* In a container the process after a restart has the number of the one before. */
	const isNew = known?.data.startedAt !== data.startedAt;
	const inPlace = succeeds(name, data, isNew);

	polls++;
	/* The lines of the one before go on in those of the one after. */
	if (isNew)
		histories.set(name, new History((known ?? (inPlace ? histories.get(chosen) : undefined))?.steps));
	if (inPlace && name !== chosen) {
		histories.delete(chosen);
		chosen = name;
	}
	histories.get(name).add(data);
	histories.get(name).poll = polls;
	forget();
	listInstances();
	if (name === chosen)
		render();
}

async function poll() {
	try {
		const answer = await fetch('/api/test/cache?action=overview', { signal: AbortSignal.timeout(PATIENCE_MS), cache: 'no-store' });

		if (answer.status === 401 || answer.status === 403)
			ended = answer.status === 401 ? 'ended' : 'forbidden';
		refusal = answer.ok ? 0 : answer.status;
		if (answer.ok) {
			/* The clock of the server, which may not be ours. */
			const wallMs = Date.parse(answer.headers.get('Date')) || Date.now();
			take({ ...(await answer.json()).data, wallMs });
			answeredAt = Date.now();
		}
	} catch {
		refusal = 0;
	}
	banner();
	clearTimeout(timer); /* of another that was under way */
	if (!ended && !paused)
		timer = setTimeout(poll, EVERY_MS / Math.max(1, histories.size));
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
	explain();
	hint();
	document.title = say('title');
	charts.build();
	curve.build();
	render();
	banner();
}

function explain() {
	$('words').replaceChildren(...say('glossary').flatMap(([word, text]) => [el('dt', { text: word }), el('dd', { text })]));
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
	$('instance').addEventListener('change', (e) => { chosen = e.target.value; render(); });
	dark.addEventListener('change', () => { paint(); speak(); });
	$('pause').addEventListener('click', pause);
	wireTables(render);
	wireActions(() => histories.get(chosen)?.data.warming.ratePerS ?? 0);
}

$('loading').remove();
charts = makeCharts();
curve = makeCurve();
wire();
paint();
speak();
setInterval(banner, 1000);
poll();

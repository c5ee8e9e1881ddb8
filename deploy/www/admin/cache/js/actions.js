/* Preview, confirmation, deed, result. */
import { $ } from './dom.js';
import { pair, say } from './words.js';

async function ask(action, params) {
	const query = new URLSearchParams({ action, ...params });
	const answer = await fetch(`/api/test/cache?${query}`, { method: 'POST', headers: { Accept: 'application/json' } });
	const body = await answer.json().catch(() => ({}));

	if (!answer.ok)
		throw new Error(body.error ?? body.detail ?? body.title ?? `HTTP ${answer.status}`);
	return body;
}

function result(text) {
	$('result').textContent = text;
}

/* Resolves to whether he is sure. */
function confirmed(text) {
	const dialog = $('sure');

	$('sure-text').textContent = text;
	dialog.returnValue = '';
	dialog.showModal();
	$('sure-no').focus();
	return new Promise((done) => {
		dialog.addEventListener('close', () => done(dialog.returnValue === 'yes'), { once: true });
	});
}

async function act(preview, deed) {
	result('');
	try {
		const text = await preview();
		if (text === null)
			result(say('nothing'));
		else if (await confirmed(text))
			result(await deed());
	} catch (e) {
		result(say('failed', { why: e.message }));
	}
}

/* What a tag touches elsewhere, nobody knows; of a pattern nothing is left to do. */
function sure(data, kind, what) {
	if (data.touched === 0)
		return kind === 'pattern' ? null : say('sureUnknown', { what });
	return say(data.complete ? 'sureInvalidate' : 'sureAtLeast', { n: data.touched, what });
}

const done = ({ data }) => say('done', { n: data.touched });

function invalidate(event) {
	const form = event.target;
	const kind = form.kind.value;
	const value = form.value.value.trim();

	event.preventDefault();
	return act(async () => sure((await ask('invalidate', { [kind]: value, dryRun: 1 })).data, kind, pair(say(kind), value)),
		async () => done(await ask('invalidate', { [kind]: value })));
}

const clear = () => act(
	async () => {
		const { touched } = (await ask('clear', { dryRun: 1 })).data;
		return say('sureClear', { n: touched });
	},
	async () => { await ask('clear', {}); return say('doneClear'); });

const warm = (rate) => act(
	async () => {
		const { data } = await ask('warm', { dryRun: 1 });
		return data.keys ? say('sureWarm', { n: data.keys, rate: rate() }) : null;
	},
	async () => { await ask('warm', {}); return say('doneWarm'); });

/* What is to be written there. */
export function hint() {
	const form = $('invalidate');

	$('hint').textContent = say('hints')[form.kind.value];
}

export function wireActions(rate) {
	$('invalidate').kind.addEventListener('change', hint);
	$('invalidate').addEventListener('submit', invalidate);
	$('clear').addEventListener('click', clear);
	$('warm').addEventListener('click', () => warm(rate));
	$('sure-no').addEventListener('click', () => $('sure').close(''));
	$('sure-yes').addEventListener('click', () => $('sure').close('yes'));
}

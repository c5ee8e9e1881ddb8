/* Preview, confirmation, deed, result. */
import { $ } from './dom.js';
import { say, whole } from './words.js';

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

function invalidate(event) {
	const form = event.target;
	const what = { [form.kind.value]: form.value.value.trim() };

	event.preventDefault();
	return act(async () => {
		const { data } = await ask('invalidate', { ...what, dryRun: 1 });
		return data.touched ? say('sureInvalidate', { n: whole(data.touched), what: `${say(form.kind.value)}: ${form.value.value.trim()}` }) : null;
	}, async () => say('done', { n: whole((await ask('invalidate', what)).data.touched) }));
}

const clear = () => act(
	async () => say('sureClear', { n: whole((await ask('clear', { dryRun: 1 })).data.touched) }),
	async () => { await ask('clear', {}); return say('doneClear'); });

const warm = (rate) => act(
	async () => {
		const { data } = await ask('warm', { dryRun: 1 });
		return data.keys ? say('sureWarm', { n: whole(data.keys), rate: whole(rate()) }) : null;
	},
	async () => { await ask('warm', {}); return say('doneWarm'); });

export function wireActions(rate) {
	$('invalidate').addEventListener('submit', invalidate);
	$('clear').addEventListener('click', clear);
	$('warm').addEventListener('click', () => warm(rate));
	$('sure-no').addEventListener('click', () => $('sure').close(''));
	$('sure-yes').addEventListener('click', () => $('sure').close('yes'));
}

/* The page, as an admin uses it.  Each test gets a browser context of its own. */
import { createRequire } from 'node:module';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import assert from 'node:assert/strict';

const require = createRequire(`${process.cwd()}/.build/page/`);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const { PORT, ADMIN, STUDENT } = process.env;
const base = `http://127.0.0.1:${PORT}`;
const shots = '.build/page/shots';
const wanted = process.argv.slice(2);
const tests = [];
const test = (name, run) => tests.push({ name, run });
const rest = (ms) => new Promise((done) => setTimeout(done, ms));
const stack = (...words) => execFileSync('deploy/stack', words, { stdio: ['ignore', 'pipe', 'pipe'], env: process.env }).toString();
const sql = (text) => execFileSync('psql', ['-h', `${process.env.RUN_DIR}/pg`, '-U', 'pupitre', '-d', 'pupitre', '-qc', text], { stdio: ['ignore', 'pipe', 'pipe'] });
let browser;

/* ---- helpers ---- */

async function ask(path, { token = ADMIN, method = 'GET', body } = {}) {
	return fetch(base + path, { method, headers: { ...(token ? { Authorization: `Bearer ${token}` } : {}),
		...(body ? { 'Content-Type': 'application/json' } : {}) }, body: body && JSON.stringify(body) });
}

const overview = async () => (await (await ask('/api/test/cache?action=overview')).json()).data;

async function until(what, holds, ms = 12000) {
	const end = Date.now() + ms;

	for (;;) {
		if (await holds())
			return;
		if (Date.now() > end)
			throw new Error(`in vain: ${what}`);
		await rest(100);
	}
}

async function open(options = {}, token = ADMIN) {
	const context = await browser.newContext({ locale: 'en-GB', timezoneId: 'UTC', ...options });
	const page = await context.newPage();

	page.faults = [];
	page.on('pageerror', (e) => page.faults.push(e.message));
	page.on('console', (m) => { if (m.type() === 'error') page.faults.push(m.text()); });
	if (token)
		await context.addCookies([{ name: 'pupitre.session-token', value: token, url: base }]);
	page.answer = await page.goto(`${base}/admin/cache/`);
	if (token === ADMIN)
		await page.locator('#tiles dd').first().waitFor();
	return page;
}

/* A strict policy lets no script in from outside, so axe comes by the debugger. */
async function clean(page, what) {
	await page.evaluate(axe);
	const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
	const words = found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join('; ')}`);

	assert.deepEqual(words, [], what);
}

const shoot = (page, name, fullPage = true) => page.screenshot({ path: `${shots}/${name}.png`, fullPage });
const finding = (page, name) => page.locator(`[data-finding=${name}]`);
const tile = (page, name) => page.locator(`[data-tile=${name}] dd`).innerText();
const number = (text) => Number(text.replace(/[^0-9.]/g, ''));

/* ---- who may see it ---- */

test('an admin sees it, without a fault, and only its own files', async () => {
	const urls = [];
	const context = await browser.newContext();
	const page = await context.newPage();
	const faults = [];

	page.on('request', (r) => urls.push(r.url()));
	page.on('console', (m) => { if (m.type() === 'error') faults.push(m.text()); });
	page.on('pageerror', (e) => faults.push(e.message));
	await context.addCookies([{ name: 'pupitre.session-token', value: ADMIN, url: base }]);
	const answer = await page.goto(`${base}/admin/cache/`);
	await page.locator('#tiles dd').first().waitFor();
	await rest(2500);
	assert.equal(answer.status(), 200);
	assert.match(answer.headers()['content-security-policy'], /default-src 'none'; script-src 'self'; style-src 'self';/);
	assert.ok(urls.every((u) => u.startsWith(base) || u.startsWith('data:')), urls.join(' '));
	assert.deepEqual(faults, []);
});

test('nobody else does, not even a file of it', async () => {
	for (const [token, status] of [[null, 401], ['nonsense', 401], [STUDENT, 403]]) {
		for (const path of ['/admin/cache/', '/admin/cache/js/main.js', '/admin/cache/vendor/uPlot.esm.js'])
			assert.equal((await ask(path, { token })).status, status, path);
	}
	assert.equal((await ask('/_pupitre/admin')).status, 404);
	const page = await open({}, STUDENT);
	assert.equal(page.answer.status(), 403);
	await clean(page, 'the page for who is no admin');
});

test('who is not signed in may do so there', async () => {
	const page = await open({}, null);

	assert.equal(page.answer.status(), 401);
	await clean(page, 'the page to sign in');
	await shoot(page, 'signin');
	await page.getByLabel(/Email/).fill('admin@example.org');
	await page.getByLabel(/Password/).fill('wrong-password');
	await page.getByRole('button').click();
	await until('a word of refusal', async () => (await page.locator('#word').innerText()).length > 3);
	await page.getByLabel(/Password/).fill('pupitre-demo');
	await page.getByRole('button').click();
	await page.locator('#tiles dd').first().waitFor();
});

/* ---- numbers ---- */

test('its numbers are those of what was sent', async () => {
	await ask('/api/test/cache?action=clear', { method: 'POST' });
	await until('the end of warming', async () => (await overview()).warming.state === 'idle');
	const page = await open();
	await rest(2500);
	for (let i = 0; i < 30; i++) {
		for (let j = 0; j < 3; j++)
			assert.equal((await ask(`/api/user/courses?search=page-${i}`, { token: STUDENT })).status, 200);
	}
	const row = page.locator('#prefixes tbody tr', { has: page.locator('th', { hasText: /^user:courses$/ }) });
	const cells = async () => (await row.locator('td').allInnerTexts()).map(number);

	await until('the last answer', async () => await row.count() && (await cells())[10] >= 60);
	const [ratio, hits, redis, shared, loads, , , , , , stores, refused, errors, entries] = await cells();
	assert.deepEqual({ ratio, hits, redis, shared, loads, stores, refused, errors, entries },
		{ ratio: 66.7, hits: 60, redis: 0, shared: 0, loads: 30, stores: 60, refused: 0, errors: 0, entries: 30 });
	const line = page.locator('#by-route tbody tr', { has: page.locator('th', { hasText: /^GET \/api\/user\/courses$/ }) });
	const [requests, , , , fromMemory] = (await line.locator('td').allInnerTexts()).map(number);
	assert.deepEqual([requests, fromMemory], [90, 60]);
	const level = page.locator('#by-level tbody tr', { has: page.locator('th', { hasText: /^user:courses$/ }) });
	const [loaded, , , , lookups] = (await level.locator('td').allInnerTexts()).map(number);
	assert.deepEqual([loaded, lookups], [30, 30]);
	await page.locator('#span').selectOption('start');
	await until('the totals', async () => {
		const p = (await overview()).cache.prefixes.find((x) => x.prefix === 'user:courses');
		return (await cells())[1] === p.memoryHits && (await cells())[4] === p.misses;
	});
	const now = await overview();
	await rest(2500);
	assert.equal(number(await tile(page, 'tEntries')), now.cache.entries);
	assert.ok((await page.locator('#hottest tbody tr').count()) > 0);
	assert.ok((await page.locator('#biggest tbody tr').count()) > 0);
	assert.deepEqual(page.faults, []);
});

test('every chart has its table, and its line', async () => {
	const page = await open();

	await rest(4500);
	assert.equal(await page.locator('#charts .chart').count(), 5);
	assert.match(await page.locator('#curve-plot').getAttribute('aria-label'), /× 0.25 \d.*× 8 \d/);
	assert.equal(await page.locator('#curve-plot canvas').count(), 1);
	assert.equal(await page.locator('#curve tbody tr').count(), 6);
	for (const chart of await page.locator('#charts .chart').all()) {
		assert.equal(await chart.locator('canvas').count(), 1);
		assert.match(await chart.locator('.plot').getAttribute('aria-label'), /: .+ /);
		await chart.locator('summary').click();
		assert.ok((await chart.locator('tbody tr').count()) >= 1);
	}
	await clean(page, 'with all tables open');
});

/* ---- what a newcomer finds ---- */

test('a hot key that is invalidated all the time is named, with its cause', async () => {
	const made = await (await ask('/api/admin/courses', { method: 'POST', body: { name: 'Busy course',
		presentation: 'About it.', image: 'https://images.example.org/a.jpg', state: 'PUBLISHED' } })).json();
	const id = made.id ?? made.course?.id ?? made.data?.id;
	const page = await open();

	assert.ok(id, JSON.stringify(made));
	await rest(2500);
	let stop = false;
	const load = (async () => {
		for (let i = 0; !stop; i++) {
			await ask(`/api/admin/courses/${id}`);
			await ask(`/api/admin/courses/${id}`, { method: 'PATCH', body: { name: `Busy course ${i}` } });
			await rest(150);
		}
	})();
	try {
		await finding(page, 'churn').first().waitFor({ timeout: 20000 });
		const text = await finding(page, 'churn').first().innerText();
		assert.ok(text.includes(id) && text.includes('PATCH /api/admin/courses/:courseId'), text);
		await clean(page, 'with findings');
		await shoot(page, 'churn');
	} finally {
		stop = true;
		await load;
	}
	assert.match(await page.locator('#invalidations tbody tr').first().innerText(), /route/);
});

test('a hot key that somebody else invalidates is named, however often it is read in between', async () => {
	const page = await open();
	const id = 'demo-course-2';
	let stop = false;

	/* The latest change of all is another one. */
	const change = (async () => {
		for (let i = 0; !stop; i++) {
			sql(`update "Course" set presentation = 'Changed ${i}' where id = '${id}'; update "Lesson" set name = 'Lesson ${i}'
				where id = (select min(id) from "Lesson" where "courseId" <> '${id}')`);
			await rest(400);
		}
	})();
	const read = (async () => {
		while (!stop)
			await ask(`/api/user/courses/${id}`, { token: STUDENT });
	})();
	try {
		await until('the finding', async () => (await finding(page, 'churn').allInnerTexts()).some((t) => t.includes(`courseId:${id} is`)), 40000);
		const text = (await finding(page, 'churn').allInnerTexts()).find((t) => t.includes(`courseId:${id} is`));
		const [, loads, reads] = text.match(/loaded ([\d,]+) times for ([\d,]+) reads/).map(number);
		assert.ok(reads > 3 * loads, text);
		assert.match(text, new RegExp(`Latest cause: database \\(.+\\), by the tag course:${id}\\.`));
	} finally {
		stop = true;
		await Promise.all([change, read]);
	}
});

test('each part is told in a sentence, well or not', async () => {
	const page = await open();
	const part = (name) => page.locator(`[data-part=${name}]`).innerText();

	await rest(2500);
	assert.match(await part('postgres'), /Well\. Reachable since/);
	assert.match(await part('poolName'), /Well\. \d of 8 (is|are) busy, 0 callers wait/);
	assert.match(await part('redis'), /Well\. Reachable since .* circuit is closed.*volatile-lru/s);
	assert.match(await part('listenerName'), /Well\. Last heard .* ago/);
	assert.match(await part('workersName'), /Well\. \d+ of 16 (is|are) busy; 0 jobs wait of 256/);
});

test('a Redis that was stopped is named, and its return is seen', async () => {
	const page = await open();

	stack('stop', 'redis');
	try {
		await finding(page, 'redisDown').waitFor({ timeout: 12000 });
		assert.match(await page.locator('[data-part=redis]').innerText(), /Broken\. Not reachable since/);
		assert.match(await page.locator('#spoken').textContent(), /Redis cannot be reached/);
		assert.match(await finding(page, 'redisDown').innerText(), /Redis cannot be reached since .*\d\d:\d\d/);
		await shoot(page, 'redis-down', false);
		assert.equal((await ask('/api/user/courses', { token: STUDENT })).status, 200);
	} finally {
		stack('start', 'redis');
	}
	await finding(page, 'redisDown').waitFor({ state: 'detached', timeout: 15000 });
});

test('a pool that is too small is named', async () => {
	stack('stop', 'app');
	execFileSync('deploy/stack', ['start', 'app'], { env: { ...process.env, PUPITRE_DB_POOL: '1' } });
	await until('the app', async () => (await ask('/readyz')).status === 200);
	const page = await open();
	let stop = false;
	let n = 0;
	const load = Promise.all(Array.from({ length: 12 }, async () => {
		while (!stop)
			await ask(`/api/public/lessons?limit=100&search=${'abcdefghij'[n % 10]}&page=${1 + n++}`, { token: null });
	}));
	try {
		await finding(page, 'pool').waitFor({ timeout: 25000 });
		assert.match(await finding(page, 'pool').innerText(), /pool of 1 .*PUPITRE_DB_POOL/);
		await shoot(page, 'pool', false);
	} finally {
		stop = true;
		await load;
		stack('stop', 'app');
		stack('start', 'app');
		await until('the app', async () => (await ask('/readyz')).status === 200);
	}
});

/* Findings of what is made up: each of STEPS changes a copy of a real answer, two
 * seconds after the one before. */
function findingsOf(page, steps) {
	return page.evaluate(async ([real, list]) => {
		const [{ History }, { findings }] = await Promise.all([import('./js/numbers.js'), import('./js/health.js')]);
		const history = new History();
		const data = { ...structuredClone(real), loaded: [], invalidations: [], curve: null, wallMs: Date.parse(real.startedAt) + 3600000 };
		const was = Date.now;

		list.forEach((change, i) => {
			Date.now = () => was() + i * 2000;
			data.nowMs += 2000;
			data.loaded = change.loaded ?? data.loaded;
			data.health.postgres.pool.waitSeconds += change.waited ?? 0;
			for (const [bucket, n] of change.loads ?? []) {
				const h = data.latency.load['user:courses'] ??= { counts: data.latency.bounds.concat(0).map(() => 0), sum: 0 };
				h.counts[bucket] += n;
				h.sum += n * data.latency.bounds[bucket];
			}
			for (const [name, n] of Object.entries(change.prefix ?? {}))
				data.cache.prefixes.find((p) => p.prefix === 'user:courses')[name] += n;
			history.add(structuredClone(data));
		});
		const found = findings(history).map((f) => `${f.name}: ${f.text}`);
		Date.now = was;
		return found;
	}, [page.real, steps]);
}

const key = (loads, reads, cause = { cause: 'database', what: 'psql', tag: 'course:x' }, name = 'k') =>
	({ key: name, prefix: 'user:courses', loads, reads, bytes: 1, recentLoads: 1, recentReads: 1, ...cause });
const steady = (n, of) => Array.from({ length: n }, (_, i) => of(i));

test('no alarm is false', async () => {
	const page = await open();
	const well = async (what, steps) => assert.deepEqual((await findingsOf(page, steps)).map((f) => f.split(':')[0]).filter((n) => n !== 'redisNone'), ['allWell'], what);

	page.real = await overview();
	await well('nothing happens', steady(10, () => ({})));
	await well('a key that was loaded often long ago', [...steady(10, () => ({})), { loaded: [key(300, 900)] }, { loaded: [key(301, 910)] }, { loaded: [key(301, 920)] }]);
	await well('a key that is loaded often in one go', [{ loaded: [key(2, 9)] }, {}, { loaded: [key(20, 30)] }, {}, {}]);
	await well('a key that somebody edits', steady(25, (i) => ({ loaded: [key(i >> 2, i)] })));
	await well('one burst waits', [...steady(5, () => ({})), { waited: 9 }, {}, {}]);
	await well('one slow load', [{}, { loads: [[18, 1]] }, {}]);
	await well('new keys for some seconds', steady(10, () => ({ prefix: { misses: 30, entries: 30, memoryHits: 5 } })));
});

test('what is true is said, and why', async () => {
	const page = await open();

	page.real = await overview();
	const first = async (steps) => (await findingsOf(page, steps))[0];
	const often = (i) => key(7 * i, 700 * i, undefined, 'hot');
	assert.match(await first(steady(5, (i) => ({ loaded: [key(8 * i, 8 * i), often(i)] }))), /^churn: .*The key hot .*28 times for 2,800 reads.*So is 1 other key.*application_name/);
	assert.match(await first(steady(6, () => ({ waited: 4 }))), /^pool: .*up to 2 callers/);
	const slow = await findingsOf(page, steady(6, () => ({ waited: 1, loads: [[19, 2], [5, 8]] })));
	assert.match(slow[0], /^slowLoads: .*10 of 50 loads .* user:courses/);
	assert.match(slow[1], /^poolHeld: /);
	/* They are slow because they wait. */
	assert.match(await first(steady(6, () => ({ waited: 19.5, loads: [[18, 20]] }))), /^pool: /);
	const both = await findingsOf(page, steady(12, (i) => ({ loaded: [key(8 * i, 8 * i, undefined, 'user:courses:x')], prefix: { misses: 8, invalidated: 8 } })));
	assert.deepEqual(both.map((f) => f.split(':')[0]), ['churn'], 'one fault is told once');
	const over = await findingsOf(page, [...steady(12, () => ({ prefix: { misses: 8, invalidated: 8 } })), ...steady(9, () => ({ prefix: { memoryHits: 1 } }))]);
	assert.deepEqual(over.map((f) => f.split(':')[0]), ['allWell'], 'and not when it is over');
	for (const [name, why] of [['entries', 'Nearly each key is new'], ['evictions', 'evicted before'], ['expiries', 'life may be too short'], ['invalidated', 'by what']])
		assert.match(await first(steady(30, () => ({ prefix: { misses: 3, [name]: 3 } }))), new RegExp(`^uneven: .*87 loads and 0 hits.*${why}`));
});

test('a key that turns text round, or is HTML, is shown as it is', async () => {
	const page = await open();

	for (let i = 0; i < 150; i++) {
		for (const word of ['<img/src=x/onerror=alert(1)>', 'a\u202egnirts'])
			await ask(`/api/user/courses?search=${encodeURIComponent(word)}`, { token: STUDENT });
	}
	await until('both', async () => {
		const text = await page.locator('#hottest').innerText();
		return text.includes('search:<img/src=x/onerror=alert(1)>') && text.includes('search:a\\u{202E}gnirts');
	});
	assert.equal(await page.locator('main img').count(), 0);
});

test('one that is started again is shown at once, and its lines go on', async () => {
	const page = await open();
	const lines = () => page.locator('.chart').first().evaluate((box) => box.querySelectorAll('tbody tr').length);

	await rest(6500);
	const before = await page.locator('#who').innerText();
	const steps = await lines();
	stack('stop', 'app');
	try {
		await until('the banner', async () => /nginx answers 50\d: look whether pupitre runs/.test(await page.locator('#banner').innerText()));
		const text = await page.locator('#banner').innerText();
		await rest(3000);
		assert.equal(await page.locator('#banner').innerText(), text, 'an alert that changes is read aloud each time');
	} finally {
		stack('start', 'app');
	}
	await until('the other process', async () => await page.locator('#who').innerText() !== before, 6000);
	await page.locator('#banner').waitFor({ state: 'hidden', timeout: 3000 });
	await until('its lines', async () => await lines() > steps);
	assert.equal(await page.locator('#instances').isVisible(), false);
});

/* ---- actions ---- */

async function preview(page, kind, value) {
	await page.locator('[name=kind]').selectOption(kind);
	await page.locator('[name=value]').fill(value);
	await page.locator('[name=value]').press('Enter');
}

test('an action says what it touches, and is done only when confirmed', async () => {
	const path = '/api/user/courses?search=action';
	const hit = async () => (await ask(path, { token: STUDENT })).headers.get('cache-status').includes('hit');
	const page = await open();

	await hit();
	assert.ok(await hit());
	await preview(page, 'pattern', 'user:courses:*search:action*');
	await page.locator('#sure[open]').waitFor();
	assert.match(await page.locator('#sure-text').innerText(), /invalidates [\d,]+ entr/);
	await clean(page, 'the dialog');
	await shoot(page, 'dialog', false);
	assert.equal(await page.evaluate(() => document.activeElement.id), 'sure-no');
	await page.keyboard.press('Escape');
	assert.ok(await hit());
	await preview(page, 'pattern', 'user:courses:*search:action*');
	await page.locator('#sure-yes').click();
	await until('the result', async () => /Done: [\d,]+/.test(await page.locator('#result').innerText()));
	assert.ok(!await hit());
	/* What others have in memory alone, nobody knows: it can be done all the same. */
	await preview(page, 'tag', 'no-such-tag-at-all:1');
	await page.locator('#sure[open]').waitFor();
	assert.match(await page.locator('#sure-text').innerText(), /Nothing that this instance knows of/);
	await page.locator('#sure-no').click();
	await preview(page, 'pattern', 'no:such:key*');
	await until('the word', async () => /Nothing matches/.test(await page.locator('#result').innerText()));
	await preview(page, 'course', 'not an id!');
	await until('the refusal', async () => /did not work: .+id of a course/.test(await page.locator('#result').innerText()));
});

test('clear and warm', async () => {
	const page = await open();

	for (let i = 0; i < 5; i++)
		await ask('/api/user/courses?search=hot', { token: STUDENT });
	await page.locator('#clear').click();
	await page.locator('#sure[open]').waitFor();
	assert.match(await page.locator('#sure-text').innerText(), /drops all [\d,]+ entries/);
	await page.locator('#sure-yes').click();
	await until('the result', async () => /cleared/.test(await page.locator('#result').innerText()));
	await until('the cause', async () => /clear/.test(await page.locator('#invalidations tbody tr').first().innerText()));
	await page.locator('#warm').click();
	await page.locator('#sure-yes').click();
	await until('the result', async () => /begun/.test(await page.locator('#result').innerText()));
	await until('its end', async () => /operator/.test(await page.locator('#warming').innerText()));
});

/* ---- for everybody ---- */

test('French and English, dark and light, small screens, each clean', async () => {
	for (const [name, options] of Object.entries({
		'light-en': {}, 'dark-en': { colorScheme: 'dark' }, 'light-fr': { locale: 'fr-FR' },
		'small-dark-fr': { locale: 'fr-FR', colorScheme: 'dark', viewport: { width: 360, height: 740 } } })) {
		const page = await open(options);
		await rest(4500);
		const fr = options.locale === 'fr-FR';
		assert.equal(await page.evaluate(() => document.documentElement.lang), fr ? 'fr' : 'en');
		assert.equal(await page.locator('#h-health').innerText(), fr ? 'Santé' : 'Health');
		assert.equal(await page.locator('summary').first().innerText(), fr ? 'En tableau\u00a0: Taux de succès' : 'As a table: Hit ratio');
		const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
		assert.ok(wide <= 0, `${name}: ${wide} pixels too wide`);
		await clean(page, name);
		await shoot(page, name);
		assert.deepEqual(page.faults, []);
		await page.context().close();
	}
});

test('the switches are kept, and every word is there in both languages', async () => {
	const page = await open();

	await page.locator('#language').selectOption('fr');
	await page.locator('#theme').selectOption('dark');
	await page.reload();
	await page.locator('#tiles dd').first().waitFor();
	assert.equal(await page.locator('#h-actions').innerText(), 'Actions');
	assert.equal(await page.locator('#h-keys').innerText(), 'Clés');
	assert.ok(await page.evaluate(() => document.documentElement.classList.contains('dark')));
	const missing = await page.evaluate(async () => {
		const { languages } = await import('./js/words.js');
		const [a, b] = Object.values(languages).map((l) => Object.keys(l));
		return [...a.filter((x) => !b.includes(x)), ...b.filter((x) => !a.includes(x))];
	});
	assert.deepEqual(missing, []);
});

test('what is filled in is the same in both languages, and words fit their numbers', async () => {
	const page = await open();
	const said = await page.evaluate(async () => {
		const { languages, say, setLanguage } = await import('./js/words.js');
		const flat = (x) => (typeof x === 'string' ? x : Object.values(x).map(flat).join(' '));
		const names = (text) => [...new Set([...flat(text).matchAll(/\{(\w+)[:}]/g)].map((m) => m[1]))].sort().join();
		const differ = Object.keys(languages.en).filter((x) => names(languages.en[x]) !== names(languages.fr[x]));
		const of = (language, n) => { setLanguage(language); return [say('done', { n }), say('sureClear', { n }).split(/[,.]/)[0]]; };
		return { differ, en: [0, 1, 2].map((n) => of('en', n)), fr: [0, 1, 2].map((n) => of('fr', n)) };
	});

	assert.deepEqual(said, { differ: [], en: [['Done: 0 entries.', 'This drops all 0 entries'], ['Done: 1 entry.', 'This drops 1 entry'], ['Done: 2 entries.', 'This drops all 2 entries']],
		fr: [['Fait\u00a0: 0 entrée.', 'Ceci supprime 0 entrée'], ['Fait\u00a0: 1 entrée.', 'Ceci supprime 1 entrée'], ['Fait\u00a0: 2 entrées.', 'Ceci supprime les 2 entrées']] });
});

test('it fits where it is magnified, and keeps the focus while numbers change', async () => {
	const page = await open({ viewport: { width: 320, height: 256 }, reducedMotion: 'reduce', forcedColors: 'active' });

	await rest(2500);
	assert.ok(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth) <= 0);
	await page.locator('#charts summary').first().focus();
	await rest(4500);
	assert.equal(await page.evaluate(() => document.activeElement.tagName), 'SUMMARY');
	await clean(page, 'magnified');
	await shoot(page, 'magnified');
});

test('the keyboard reaches everything', async () => {
	const page = await open();
	const seen = new Set();

	await page.keyboard.press('Tab');
	assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
	for (let i = 0; i < 40; i++) {
		seen.add(await page.evaluate(() => document.activeElement.id || document.activeElement.name || document.activeElement.tagName));
		await page.keyboard.press('Tab');
	}
	for (const id of ['pause', 'span', 'language', 'theme', 'SUMMARY', 'kind', 'value', 'warm', 'clear'])
		assert.ok(seen.has(id), `${id} of ${[...seen]}`);
});

/* ---- when it cannot know ---- */

test('it says that a part of it is missing', async () => {
	const context = await browser.newContext();
	const page = await context.newPage();

	await context.addCookies([{ name: 'pupitre.session-token', value: ADMIN, url: base }]);
	await page.route('**/words.js', (route) => route.fulfill({ status: 503 }));
	await page.goto(`${base}/admin/cache/`);
	assert.match(await page.locator('#loading').innerText(), /load it again.*rechargez-la/s);
	await page.unroute('**/words.js');
	await page.reload();
	await page.locator('#tiles dd').first().waitFor();
	assert.equal(await page.locator('#loading').count(), 0);
});

test('it says that its data is old', async () => {
	const page = await open();

	await page.route('**/api/test/cache**', (route) => route.abort());
	await until('the banner', async () => /No answer since .*\d\d:\d\d.*nginx runs/s.test(await page.locator('#banner').innerText()));
	await clean(page, 'old');
	await shoot(page, 'old', false);
	await page.unroute('**/api/test/cache**');
	await page.locator('#banner').waitFor({ state: 'hidden', timeout: 10000 });
});

test('it can be paused, and what is selected stays so', async () => {
	const page = await open();
	let asked = 0;

	for (let i = 0; i < 300; i++) /* so that it stays the first */
		await ask('/api/user/courses?search=paused', { token: STUDENT });
	await until('the first key', async () => /search:paused/.test(await page.locator('#hottest tbody th').first().innerText()));
	await page.locator('#hottest tbody th').first().waitFor();
	const name = await page.locator('#hottest tbody th').first().evaluate((th) => {
		getSelection().selectAllChildren(th);
		return th.textContent;
	});
	await rest(4500);
	assert.equal(await page.evaluate(() => String(getSelection()).trim()), name);
	await page.locator('#pause').click();
	await until('the word', async () => /Paused/.test(await page.locator('#banner').innerText()));
	page.on('request', () => asked++);
	await rest(4500);
	assert.equal(asked, 0);
	await clean(page, 'paused');
	await page.locator('#pause').click();
	await page.locator('#banner').waitFor({ state: 'hidden', timeout: 5000 });
	assert.ok(asked > 0);
});

/* Answers of a second instance, of one that was restarted, and none at all. */
test('instances are told apart, and none is forgotten while nobody asks', async () => {
	const page = await open();
	let answers = 0;
	let as = {};

	await page.route('**/api/test/cache?action=overview', async (route) => {
		const answer = await route.fetch();
		const body = await answer.json();

		answers++;
		Object.assign(body.data, as);
		await route.fulfill({ response: answer, json: body });
	});
	await until('a rate', async () => answers > 1 && await tile(page, 'tRequests') !== '–');
	as = { startedAt: '2040-01-01T00:00:00.000Z' };
	await until('the restart', async () => /2040/.test(await page.locator('#who').innerText()));
	assert.equal(await tile(page, 'tRequests'), '–');
	await page.locator('#pause').click();
	await page.evaluate(() => { const now = Date.now; Date.now = () => now() + 60000; });
	as = { instance: 'another' };
	await page.locator('#pause').click();
	await page.locator('#instance').waitFor();
	assert.equal(await page.locator('#instance option').count(), 2);
	assert.match(await page.locator('#who').innerText(), /2040/);
});

test('a pause while it asks does not have it ask twice as often', async () => {
	const page = await open();
	let asked = 0;

	await page.route('**/api/test/cache?action=overview', async (route) => { await rest(800); await route.continue(); });
	for (let i = 0; i < 6; i++) {
		await page.waitForRequest('**/api/test/cache?action=overview');
		await page.locator('#pause').click();
		await page.locator('#pause').click();
	}
	await rest(3000);
	page.on('request', () => asked++);
	await rest(6000);
	assert.ok(asked <= 3, asked);
});

test('it says that the session has ended, and asks no more', async () => {
	const token = stack('app', 'session', 'create', '--user', 'admin@example.org').trim();
	const context = await browser.newContext();
	const page = await context.newPage();
	let asked = 0;

	await context.addCookies([{ name: 'pupitre.session-token', value: token, url: base }]);
	await page.goto(`${base}/admin/cache/`);
	await page.locator('#tiles dd').first().waitFor();
	assert.ok((await ask('/api/auth/logout', { token, method: 'POST' })).ok);
	await until('the banner', async () => /session has ended/.test(await page.locator('#banner').innerText()));
	page.on('request', () => asked++);
	await rest(4500);
	assert.equal(asked, 0);
	assert.equal(await page.locator('#banner a').getAttribute('href'), '.');
});

/* ---- all of it ---- */

mkdirSync(shots, { recursive: true });
browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
	'--disable-background-networking', '--disable-component-update', '--disable-sync'] });
let passed = 0;
let failed = 0;
for (const { name, run } of tests.filter((t) => !wanted.length || wanted.some((w) => t.name.includes(w)))) {
	try {
		await run();
		passed++;
		console.log(`  ok      ${name}`);
	} catch (e) {
		failed++;
		console.log(`  FAILED  ${name}\n${String(e.stack ?? e).split('\n').slice(0, 12).map((l) => `          ${l}`).join('\n')}`);
	}
	for (const c of browser.contexts())
		await c.close();
}
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);

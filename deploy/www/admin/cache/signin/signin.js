/* Signs in with pupitre's own login, and shows the page that was asked for. */
document.querySelector('form').addEventListener('submit', async (event) => {
	const form = event.target;
	const word = document.getElementById('word');

	event.preventDefault();
	word.textContent = '…';
	try {
		const answer = await fetch('/api/auth/login', { method: 'POST', headers: { 'Content-Type': 'application/json' },
			body: JSON.stringify({ email: form.email.value, password: form.password.value }) });

		if (answer.ok)
			location.replace('/admin/cache/');
		else
			word.textContent = (await answer.json()).detail ?? `HTTP ${answer.status}`;
	} catch (e) {
		word.textContent = String(e.message);
	}
});

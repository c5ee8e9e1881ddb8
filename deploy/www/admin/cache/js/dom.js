/* Text only ever becomes text: keys and tags come from strangers. */

export const $ = (id) => document.getElementById(id);

export function el(name, options = {}, ...children) {
	const node = document.createElement(name);

	for (const [key, value] of Object.entries(options)) {
		if (key === 'text')
			node.textContent = value;
		else if (value !== undefined && value !== false)
			node.setAttribute(key, value === true ? '' : value);
	}
	node.append(...children);
	return node;
}

/* COLUMNS: { name, of(row), class }; the first is the row's header. */
export function fill(table, title, columns, rows, flag = () => false) {
	const head = el('tr', {}, ...columns.map((c) => el('th', { scope: 'col', text: c.name, class: c.class === 'key' ? 'text' : c.class })));
	const body = el('tbody');

	for (const row of rows) {
		body.append(el('tr', { class: flag(row) ? 'flag' : undefined }, ...columns.map((c, i) => (i === 0
			? el('th', { scope: 'row', text: c.of(row), class: c.class }) : el('td', { text: c.of(row), class: c.class })))));
	}
	table.replaceChildren(el('caption', { text: title }), el('thead', {}, head), body);
}

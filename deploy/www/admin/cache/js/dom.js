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

/* What is as it was is left alone, so that what somebody has selected stays so. */
export function put(node, text, cls = '') {
	if (node.textContent !== String(text))
		node.textContent = text;
	if (node.className !== cls)
		node.className = cls;
}

/* As many children as there are rows; MAKE() is a new one. */
export function fit(parent, count, make) {
	while (parent.children.length > count)
		parent.lastElementChild.remove();
	while (parent.children.length < count)
		parent.append(make());
	return [...parent.children];
}

function head(table, title, columns) {
	if (!table.tHead) {
		table.append(el('caption'), el('thead', {}, el('tr')), el('tbody'));
		if (table.dataset.titled !== undefined)
			table.caption.className = 'quiet';
	}
	put(table.caption, title, table.caption.className);
	fit(table.tHead.rows[0], columns.length, () => el('th', { scope: 'col' }))
		.forEach((th, i) => put(th, columns[i].name, columns[i].class === 'key' ? 'text' : columns[i].class ?? ''));
}

/* COLUMNS: { name, of(row), class }; the first is the row's header. */
export function fill(table, title, columns, rows, flag = () => false) {
	head(table, title, columns);
	fit(table.tBodies[0], rows.length, () => el('tr', {}, ...columns.map((c, i) => el(i ? 'td' : 'th', i ? {} : { scope: 'row' }))))
		.forEach((tr, i) => {
			tr.className = flag(rows[i]) ? 'flag' : '';
			columns.forEach((c, j) => put(tr.cells[j], c.of(rows[i]), c.class ?? ''));
		});
}

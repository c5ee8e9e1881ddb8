/* Text only ever becomes text: keys and tags come from strangers. */
import { pair, say } from './words.js';

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

/* A key may have characters that are not seen, or that turn what stands beside
 * them round: they are written as numbers. */
export const plain = (text) => String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0).toString(16).toUpperCase()}}`);

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

/* A table without rows says so in its caption, and has no head. */
function head(table, title, columns, empty) {
	if (!table.tHead) {
		table.append(el('caption'), el('thead', {}, el('tr')), el('tbody'));
	}
	table.tHead.hidden = empty;
	put(table.caption, empty ? pair(title, say('empty')) : title, table.dataset.titled !== undefined && !empty ? 'quiet' : '');
	fit(table.tHead.rows[0], columns.length, () => el('th', { scope: 'col' }))
		.forEach((th, i) => put(th, columns[i].name, columns[i].class === 'key' ? 'text' : columns[i].class ?? ''));
}

/* COLUMNS: { name, of(row), class }; the first is the row's header. */
export function fill(table, title, columns, rows, flag = () => false) {
	head(table, title, columns, rows.length === 0);
	fit(table.tBodies[0], rows.length, () => el('tr', {}, ...columns.map((c, i) => el(i ? 'td' : 'th', i ? {} : { scope: 'row' }))))
		.forEach((tr, i) => {
			tr.className = flag(rows[i]) ? 'flag' : '';
			columns.forEach((c, j) => put(tr.cells[j], plain(c.of(rows[i])), c.class ?? ''));
		});
}

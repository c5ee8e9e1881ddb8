#include "cache/entry.h"

#include <stdlib.h>

#define MOST_BYTES 99999999 /* ENTRY_DIGITS */

static char *
text_of(const struct entry *e)
{
	return (char *)(uintptr_t)&e->slots[e->slot_count];
}

static char *
put(char *to, struct span s)
{
	if (s.len)
		memcpy(to, s.at, s.len);
	return to + s.len;
}

static uint8_t
put_digits(char to[ENTRY_DIGITS], size_t n)
{
	char digits[ENTRY_DIGITS];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	memcpy(to, digits + at, sizeof(digits) - at);
	return (uint8_t)(sizeof(digits) - at);
}

struct entry *
entry_make(const struct entry_parts *p)
{
	size_t text = p->key.len + p->etag.len + p->body.len;
	struct entry *e;
	char *at;

	if (p->key.len > UINT16_MAX || p->etag.len > UINT8_MAX || p->body.len > MOST_BYTES)
		return NULL;
	e = calloc(1, sizeof(*e) + p->slot_count * sizeof(p->slots[0]) + text);
	if (!e)
		return NULL;
	atomic_store(&e->refs, 1);
	e->gzip = p->gzip;
	e->policy = p->policy;
	e->slot_count = (uint16_t)p->slot_count;
	e->key_len = (uint16_t)p->key.len;
	e->etag_len = (uint8_t)p->etag.len;
	e->digit_count = put_digits(e->digits, p->body.len);
	e->body_len = (uint32_t)p->body.len;
	e->loaded = p->loaded;
	e->made_ms = p->made_ms;
	e->expires_ms = p->expires_ms;
	e->gone_ms = p->expires_ms + p->keep_ms;
	e->absent = p->absent;
	e->loads = p->was_loaded;
	atomic_store_explicit(&e->reads, 1, memory_order_relaxed);
	e->epoch = p->epoch;
	e->number = p->number;
	if (p->slot_count)
		memcpy(e->slots, p->slots, p->slot_count * sizeof(p->slots[0]));
	at = put(text_of(e), p->key);
	at = put(at, p->etag);
	put(at, p->body);
	return e;
}

struct entry *
entry_hold(struct entry *e)
{
	atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
	return e;
}

void
entry_release(struct entry *e)
{
	if (!e)
		return;
	if (atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1)
		free(e);
}

static uint32_t
read_now(const _Atomic uint32_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

uint32_t
entry_recent_reads(const struct entry *e)
{
	return read_now(&e->reads_weight) + read_now(&e->reads) - read_now(&e->reads_aged);
}

uint32_t
entry_recent_loads(const struct entry *e)
{
	return read_now(&e->loads_weight) + e->loads - read_now(&e->loads_aged);
}

struct span
entry_key(const struct entry *e)
{
	return span_make(text_of(e), e->key_len);
}

struct span
entry_etag(const struct entry *e)
{
	return span_make(text_of(e) + e->key_len, e->etag_len);
}

struct span
entry_body(const struct entry *e)
{
	return span_make(text_of(e) + e->key_len + e->etag_len, e->body_len);
}

struct span
entry_digits(const struct entry *e)
{
	return span_make(e->digits, e->digit_count);
}

size_t
entry_bytes(const struct entry *e)
{
	return sizeof(*e) + e->slot_count * sizeof(e->slots[0]) + e->key_len + e->etag_len +
	    e->body_len;
}

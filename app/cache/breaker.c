#include "cache/breaker.h"

void
breaker_init(struct breaker *b, int limit, int wait_ms)
{
	b->limit = limit;
	b->wait_ms = wait_ms;
	atomic_store(&b->failures, 0);
	atomic_store(&b->open_until_ms, 0);
	atomic_store(&b->probing, false);
}

bool
breaker_allow(struct breaker *b, int64_t now_ms)
{
	int64_t until = atomic_load(&b->open_until_ms);
	bool idle = false;

	if (until == 0)
		return true;
	if (now_ms < until)
		return false;
	/* Half open: one probe at a time. */
	return atomic_compare_exchange_strong(&b->probing, &idle, true);
}

void
breaker_success(struct breaker *b)
{
	atomic_store(&b->failures, 0);
	atomic_store(&b->open_until_ms, 0);
	atomic_store(&b->probing, false);
}

void
breaker_failure(struct breaker *b, int64_t now_ms)
{
	int failures = atomic_fetch_add(&b->failures, 1) + 1;

	if (failures >= b->limit)
		atomic_store(&b->open_until_ms, now_ms + b->wait_ms);
	atomic_store(&b->probing, false);
}

enum breaker_state
breaker_state(const struct breaker *b, int64_t now_ms)
{
	int64_t until = atomic_load(&b->open_until_ms);

	if (until == 0)
		return BREAKER_CLOSED;
	return now_ms < until ? BREAKER_OPEN : BREAKER_HALF_OPEN;
}

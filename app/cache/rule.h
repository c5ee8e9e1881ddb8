/*
 * The decisions that make stale answers impossible, as functions of numbers
 * and nothing else; tests/unit/test_model.c tries them in every order of
 * events.  The scripts of remote_scripts.h decide the same inside Redis.
 */
#ifndef CACHE_RULE_H
#define CACHE_RULE_H

#include <stdbool.h>
#include <stdint.h>

/* May what was loaded under the number LOADED be stored, or given, as far as
 * a slot goes on which RAISED is the last number? */
static inline bool
rule_good(uint64_t loaded, uint64_t raised)
{
	return raised <= loaded;
}

/* What a raise with NUMBER leaves on a slot that has HAD: two writers may
 * come in any order, so it only grows. */
static inline uint64_t
rule_raised(uint64_t had, uint64_t number)
{
	return number > had ? number : had;
}

/* In Redis a slot may be pending besides: a transaction that touches it is
 * between its last statement and its raise. */
static inline bool
rule_shared_good(uint64_t loaded, uint64_t raised, bool pending)
{
	return !pending && rule_good(loaded, raised);
}

/*
 * May who asked when BEGAN was the current number have what was loaded under
 * LOADED?  Yes if nothing was raised in between, or if it is GOOD still, found
 * out when nobody could join any more.
 */
static inline bool
rule_may_share(uint64_t began, uint64_t loaded, bool good)
{
	return began <= loaded || good;
}

/* A flight counts its steps.  May who joined it in step JOINED have what was
 * found good (by Redis, or by beginning a load) after the flight had made
 * step VERIFIED?  Only if he was there before. */
static inline bool
rule_was_there(uint32_t joined, uint32_t verified)
{
	return joined < verified;
}

/* All that was committed before HEARD_MS has been applied (0: not known).  Is
 * that close enough to now? */
static inline bool
rule_trusted(int64_t heard_ms, int64_t now_ms, int64_t bound_ms)
{
	return heard_ms != 0 && now_ms - heard_ms <= bound_ms;
}

enum serve {
	SERVE_NO, /* ask again */
	SERVE_FRESH,
	SERVE_REFRESH, /* give it, and have it loaded again meanwhile */
	SERVE_GRACE, /* likewise, its life has ended */
	SERVE_STALE, /* give it as stale: the source is down */
};

struct rule_life {
	int64_t made_ms;
	int64_t expires_ms;
	int64_t grace_ms;
	int64_t stale_ms;
};

/* Of an entry whose tags are good: TRUSTED as above, DOWN: the source of truth
 * cannot be reached.  In the last tenth of its life it is refreshed early. */
static inline enum serve
rule_serve(const struct rule_life *l, int64_t now_ms, bool trusted, bool down)
{
	if (trusted && now_ms < l->expires_ms - (l->expires_ms - l->made_ms) / 10)
		return SERVE_FRESH;
	if (trusted && now_ms < l->expires_ms)
		return SERVE_REFRESH;
	if (trusted && now_ms < l->expires_ms + l->grace_ms)
		return SERVE_GRACE;
	if (down && now_ms < l->expires_ms + l->stale_ms)
		return SERVE_STALE;
	return SERVE_NO;
}

#endif

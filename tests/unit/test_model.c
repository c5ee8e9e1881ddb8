/*
 * Every interleaving of a writer, two readers, a listener, and what may happen
 * to them (a crash at any step, a Redis that forgets everything at any step, a
 * raise that does not reach Redis), over two processes and one Redis that are
 * made of numbers here.  Whatever is decided is decided by cache/rule.h.
 *
 * There is one key, which depends on one slot; the source of truth says 0, and
 * 1 once the writer has committed.  The rule on trial:
 *
 *   one process    a read that began after the acknowledgement gives 1
 *   bounded        likewise where the write was made; elsewhere, a read that
 *                  began after the listener of that process had told it
 *   strict         a read that began anywhere after the acknowledgement, or
 *                  (unless Redis has forgotten what is pending) after any
 *                  read that gave 1 already
 *
 * But in strict mode what is stored in Redis is on its way there while the
 * flight goes on: it arrives at any later step, or after the end of its process.
 *
 * States that were seen before are not walked again, but the ways through them
 * are counted.
 */
#include "cache/rule.h"

#include "unit.h"

enum mode { ONE, BOUNDED, STRICT };

struct scene {
	enum mode mode;
	int at[2]; /* the process of each reader; the writer's is 0 */
	bool warm_redis, warm_memory[2];
	bool crash; /* process 0 may die */
	bool flush; /* Redis may forget */
	bool unheard; /* the writer's raise does not reach Redis */
};

/* Redis, one entry and one slot. */
struct redis {
	uint8_t epoch, seq, raised, pending, seen;
	uint8_t has, version, number;
};

struct memory {
	uint8_t seq, raised;
	uint8_t owed; /* a raise that Redis has not confirmed */
	uint8_t has, version, loaded, epoch, number;
};

/* A reader leads a flight or follows another's. */
struct reader {
	uint8_t pc;
	uint8_t must; /* it began after what it must see */
	uint8_t began, joined, follows;
	/* The flight that it leads. */
	uint8_t in_table, step, verified, loaded, token, epoch, has, version, from_memory, number;
};

/* A put that was sent. */
struct sent {
	uint8_t has, version, token, epoch;
};

struct state {
	uint8_t writer, listener, crashed, flushed;
	uint8_t truth, acknowledged, told, seen;
	struct redis redis;
	struct memory memory[2];
	struct reader reader[2];
	struct sent sent[2]; /* of each reader's flight; it leads one that loads at most */
};

enum { ASK, BEGIN, CHECK, GET, STEP, LOAD, STEP_AGAIN, PUT, KEEP, LEAVE, LAND, FOLLOW, DONE };
enum { W_PEND, W_COMMIT, W_REDIS, W_MEMORY, W_ACK, W_END };
enum { L_READ, L_REDIS, L_MEMORY, L_END };

static unsigned long violations;

/* ---- what happens to Redis and to memory ---- */

static bool
shared_good(const struct state *s, uint8_t epoch, uint8_t number)
{
	return epoch == s->redis.epoch &&
	    rule_shared_good(number, s->redis.raised, s->redis.pending);
}

static void
raise_redis(struct state *s)
{
	if (s->redis.seen && !s->redis.pending)
		return;
	s->redis.seen = 1;
	s->redis.pending = 0;
	s->redis.seq++;
	s->redis.raised = (uint8_t)rule_raised(s->redis.raised, s->redis.seq);
}

/* As settle() of remote_pool.c: paid by whoever speaks next. */
static void
pay(struct state *s, int process)
{
	if (!s->memory[process].owed)
		return;
	s->memory[process].owed = 0;
	s->redis.seq++;
	s->redis.raised = (uint8_t)rule_raised(s->redis.raised, s->redis.seq);
}

static void
raise_memory(struct memory *m)
{
	m->seq++;
	m->raised = (uint8_t)rule_raised(m->raised, m->seq);
}

/* ---- the writer, on process 0 ---- */

static bool
step_writer(const struct scene *sc, struct state *s)
{
	if (s->crashed || s->writer == W_END)
		return false;
	switch (s->writer++) {
	case W_PEND:
		if (sc->mode == STRICT)
			s->redis.pending = 1;
		break;
	case W_COMMIT:
		s->truth = 1;
		break;
	case W_REDIS:
		if (sc->unheard)
			s->memory[0].owed = 1;
		else
			raise_redis(s);
		break;
	case W_MEMORY:
		raise_memory(&s->memory[0]);
		break;
	case W_ACK:
		/* Strict: unconfirmed is unacknowledged. */
		s->acknowledged = sc->mode != STRICT || !sc->unheard;
		break;
	}
	return true;
}

/* ---- the listener of process 1 ---- */

static bool
step_listener(const struct scene *sc, struct state *s)
{
	if (sc->mode == ONE || !s->truth || s->listener == L_END)
		return false;
	switch (s->listener++) {
	case L_READ:
		break;
	case L_REDIS:
		pay(s, 1);
		raise_redis(s);
		break;
	case L_MEMORY:
		raise_memory(&s->memory[1]);
		s->told = 1;
		break;
	}
	return true;
}

/* ---- readers ---- */

static uint8_t
must_see(const struct scene *sc, const struct state *s, int process)
{
	if (sc->mode == BOUNDED && process == 1)
		return s->told;
	return s->acknowledged || (sc->mode == STRICT && !sc->flush && s->seen);
}

static void
answered(struct state *s, struct reader *r, uint8_t version)
{
	if (r->must && version == 0)
		violations++;
	memset(r, 0, sizeof(*r)); /* what it was is of no matter now */
	r->pc = DONE;
	s->seen |= version;
}

static void
ask(const struct scene *sc, struct state *s, int i)
{
	struct reader *r = &s->reader[i];
	struct reader *other = &s->reader[1 - i];
	struct memory *m = &s->memory[sc->at[i]];

	if (!r->follows)
		r->must = must_see(sc, s, sc->at[i]);
	r->follows = 0;
	if (sc->mode != STRICT && m->has && rule_good(m->loaded, m->raised)) {
		answered(s, r, m->version);
		return;
	}
	r->began = m->seq;
	if (sc->at[0] == sc->at[1] && other->in_table) {
		r->joined = other->step;
		r->follows = 1;
		r->pc = FOLLOW;
		return;
	}
	r->in_table = 1;
	r->joined = r->step = 0;
	r->has = 0;
	r->pc = BEGIN;
}

static bool
may_have(const struct scene *sc, const struct reader *w, const struct reader *flight, bool good)
{
	if (sc->mode == STRICT && !rule_was_there(w->joined, flight->verified))
		return false;
	return rule_may_share(w->began, flight->loaded, good);
}

/* To itself and to who follows; who may not have it asks again. */
static void
land(const struct scene *sc, struct state *s, int i)
{
	struct reader flight = s->reader[i];
	bool good = rule_good(flight.loaded, s->memory[sc->at[i]].raised);

	for (int j = 0; j < 2; j++) {
		struct reader *w = &s->reader[j];

		if (j != i && w->pc != FOLLOW)
			continue;
		if (may_have(sc, w, &flight, good)) {
			answered(s, w, flight.version);
			continue;
		}
		w->pc = ASK;
		w->follows = 1; /* .must stays as it was */
		w->in_table = 0;
	}
}

static void
look_at_redis(struct state *s, struct reader *r, int process)
{
	pay(s, process);
	r->token = s->redis.seq;
	r->epoch = s->redis.epoch;
	if (s->redis.has && shared_good(s, s->redis.epoch, s->redis.number)) {
		r->has = 1;
		r->version = s->redis.version;
		r->number = s->redis.number;
	}
}

static bool
arrive(struct state *s, const struct sent *put)
{
	if (!shared_good(s, put->epoch, put->token))
		return false;
	s->redis.has = 1;
	s->redis.version = put->version;
	s->redis.number = put->token;
	return true;
}

/* Strict: its answer is waited for. */
static void
put(const struct scene *sc, struct state *s, struct reader *r, int process)
{
	struct sent put = { 1, r->version, r->token, r->epoch };
	struct sent *on_its_way = &s->sent[r - s->reader];

	pay(s, process);
	if (sc->mode != STRICT) {
		assert_false(on_its_way->has);
		*on_its_way = put;
	} else if (arrive(s, &put)) {
		r->verified = r->step;
	}
}

static bool
step_sent(struct state *s, int i)
{
	struct sent put = s->sent[i];

	if (!put.has)
		return false;
	memset(&s->sent[i], 0, sizeof(s->sent[i]));
	(void)arrive(s, &put);
	return true;
}

static void
keep(struct memory *m, const struct reader *r)
{
	if (r->from_memory || !rule_good(r->loaded, m->raised))
		return;
	m->has = 1;
	m->version = r->version;
	m->loaded = r->loaded;
	m->epoch = r->epoch;
	m->number = r->number;
}

static bool
step_reader(const struct scene *sc, struct state *s, int i)
{
	struct reader *r = &s->reader[i];
	struct memory *m = &s->memory[sc->at[i]];

	switch (r->pc) {
	case FOLLOW:
	case DONE:
		return false;
	case ASK:
		ask(sc, s, i);
		return true;
	case BEGIN:
		r->loaded = m->seq;
		break;
	case CHECK:
		if (sc->mode != STRICT)
			break;
		r->verified = ++r->step;
		pay(s, sc->at[i]);
		if (m->has && shared_good(s, m->epoch, m->number)) {
			r->has = r->from_memory = 1;
			r->version = m->version;
		}
		break;
	case GET:
		if (!r->has)
			look_at_redis(s, r, sc->at[i]);
		if (r->has)
			r->pc = PUT; /* and past it: there is nothing to load or to store there */
		break;
	case STEP:
		if (sc->mode == STRICT)
			r->verified = ++r->step;
		break;
	case LOAD:
		r->version = s->truth;
		r->number = r->token;
		break;
	case STEP_AGAIN:
		if (sc->mode == STRICT)
			r->step++;
		break;
	case PUT:
		put(sc, s, r, sc->at[i]);
		break;
	case KEEP:
		keep(m, r);
		break;
	case LEAVE:
		r->in_table = 0;
		break;
	case LAND:
		land(sc, s, i);
		return true;
	}
	r->pc++;
	return true;
}

/* ---- what happens to them ---- */

#define ACTORS 8

static bool
step_crash(const struct scene *sc, struct state *s)
{
	if (!sc->crash || s->crashed || s->writer == W_END)
		return false;
	s->crashed = 1;
	memset(&s->memory[0], 0, sizeof(s->memory[0]));
	for (int i = 0; i < 2; i++) {
		if (sc->at[i] == 0) {
			memset(&s->reader[i], 0, sizeof(s->reader[i]));
			s->reader[i].pc = DONE;
		}
	}
	return true;
}

static bool
step_flush(const struct scene *sc, struct state *s)
{
	uint8_t epoch = s->redis.epoch;

	if (!sc->flush || s->flushed)
		return false;
	s->flushed = 1;
	memset(&s->redis, 0, sizeof(s->redis));
	s->redis.epoch = (uint8_t)(epoch + 1);
	return true;
}

static bool
step(const struct scene *sc, struct state *s, int who)
{
	switch (who) {
	case 0:
		return step_writer(sc, s);
	case 1:
		return step_listener(sc, s);
	case 2:
		return step_reader(sc, s, 0);
	case 3:
		return step_reader(sc, s, 1);
	case 4:
		return step_crash(sc, s);
	case 5:
		return step_flush(sc, s);
	default:
		return step_sent(s, who - 6);
	}
}

/* ---- every way through ---- */

#define PLACES (1u << 20)

struct seen {
	struct state state;
	double ways;
	unsigned scene; /* that it was seen in; 0: never */
};

static struct seen *table;
static unsigned scene;
static unsigned long states;

static struct seen *
place_of(const struct state *s)
{
	const unsigned char *bytes = (const unsigned char *)s;
	uint64_t hash = 1469598103934665603u; /* FNV-1a */

	for (size_t i = 0; i < sizeof(*s); i++)
		hash = (hash ^ bytes[i]) * 1099511628211u;
	for (size_t i = hash % PLACES;; i = (i + 1) % PLACES) {
		if (table[i].scene != scene || memcmp(&table[i].state, s, sizeof(*s)) == 0)
			return &table[i];
	}
}

static double
ways_from(const struct scene *sc, const struct state *s)
{
	struct seen *known = place_of(s);
	double ways = 0;

	if (known->scene == scene)
		return known->ways;
	for (int who = 0; who < ACTORS; who++) {
		struct state next = *s;

		if (step(sc, &next, who))
			ways += ways_from(sc, &next);
	}
	if (ways < 1)
		ways = 1; /* the end of one */
	known = place_of(s);
	known->scene = scene;
	known->state = *s;
	known->ways = ways;
	assert_true(++states < PLACES * 3 / 4);
	return ways;
}

static double
walk(const struct scene *sc)
{
	struct state s;

	memset(&s, 0, sizeof(s));
	s.redis.epoch = 1;
	if (sc->warm_redis)
		s.redis.has = 1;
	for (int i = 0; i < 2; i++) {
		s.memory[i].has = sc->warm_memory[i];
		s.memory[i].epoch = 1;
	}
	states = 0;
	scene++;
	return ways_from(sc, &s);
}

/* ---- all scenes of a mode ---- */

/* Two readers are as good as two others; a memory that nobody reads is as good
 * as none. */
static bool
is_the_same_as_another(const struct scene *sc)
{
	return (sc->at[0] == 1 && sc->at[1] == 0) ||
	    (sc->warm_memory[1] && sc->at[0] == 0 && sc->at[1] == 0) ||
	    (sc->warm_memory[0] && sc->at[0] == 1 && sc->at[1] == 1);
}

static void
try_mode(enum mode mode, const char *name)
{
	double ways = 0;
	double all_states = 0;
	int scenes = 0;

	violations = 0;
	for (int bits = 0; bits < 256; bits++) {
		struct scene sc = {
			.mode = mode,
			.at = { bits & 1, bits >> 1 & 1 },
			.warm_redis = bits >> 2 & 1,
			.warm_memory = { bits >> 3 & 1, bits >> 4 & 1 },
			.crash = bits >> 5 & 1,
			.flush = bits >> 6 & 1,
			.unheard = bits >> 7 & 1,
		};

		if (mode == ONE && (sc.at[0] || sc.at[1]))
			continue;
		if (is_the_same_as_another(&sc))
			continue;
		ways += walk(&sc);
		all_states += (double)states;
		scenes++;
	}
	print_message("%s: %.0f interleavings of %d scenes, %.0f states, %lu violations\n", name,
	    ways, scenes, all_states, violations);
	assert_int_equal(violations, 0);
}

static void
one_process_never_gives_what_was_overwritten(void **state)
{
	(void)state;
	try_mode(ONE, "one process");
}

static void
in_bounded_mode_what_was_told_is_never_given_again(void **state)
{
	(void)state;
	try_mode(BOUNDED, "bounded");
}

static void
in_strict_mode_nobody_gives_what_was_overwritten(void **state)
{
	(void)state;
	try_mode(STRICT, "strict");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_process_never_gives_what_was_overwritten),
		cmocka_unit_test(in_bounded_mode_what_was_told_is_never_given_again),
		cmocka_unit_test(in_strict_mode_nobody_gives_what_was_overwritten),
	};
	int failed;

	table = calloc(PLACES, sizeof(*table));
	if (!table)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(table);
	return failed;
}

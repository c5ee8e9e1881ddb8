#include "routes/survey.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "sql.h"

#define LEAST_AGE_MS 500
#define AGE_FACTOR 100
#define MOST_AGE_MS 5000
#define LATEST "50"

struct surveyor {
	pthread_mutex_t lock; /* held while it is made: who else looks waits for it */
	struct survey last;
	int64_t took_ms;
};

struct surveyor *
surveyor_new(void)
{
	struct surveyor *s = calloc(1, sizeof(*s));

	if (s)
		pthread_mutex_init(&s->lock, NULL);
	return s;
}

void
surveyor_free(struct surveyor *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	survey_free(&s->last);
	free(s);
}

void
survey_free(struct survey *s)
{
	free(s->outbox_latest);
	s->outbox_latest = NULL;
}

/* ---- memory ---- */

static void
offer(struct survey_list *l, const struct entry *e, uint64_t value,
    uint64_t (*of)(const struct survey_key *))
{
	struct span key = entry_key(e);
	size_t len = key.len < SURVEY_KEY_BYTES ? key.len : SURVEY_KEY_BYTES - 1;
	int at = l->count < SURVEY_TOP ? l->count : SURVEY_TOP - 1;

	if (l->count == SURVEY_TOP && of(&l->top[at]) >= value)
		return;
	for (; at > 0 && of(&l->top[at - 1]) < value; at--)
		l->top[at] = l->top[at - 1];
	memcpy(l->top[at].key, key.at, len);
	l->top[at].key[len] = '\0';
	l->top[at].policy = e->policy;
	l->top[at].reads = atomic_load_explicit(&e->reads, memory_order_relaxed);
	l->top[at].loads = e->loads;
	l->top[at].bytes = entry_bytes(e);
	if (l->count < SURVEY_TOP)
		l->count++;
}

static uint64_t
reads_of(const struct survey_key *k)
{
	return k->reads;
}

static uint64_t
loads_of(const struct survey_key *k)
{
	return k->loads;
}

static uint64_t
bytes_of(const struct survey_key *k)
{
	return k->bytes;
}

/* Of a shared entry its guard is read as often: who looks for a hot key wants
 * the entry. */
struct walk {
	struct survey *survey;
	const struct cache_policy *policies;
};

static void
see(void *ctx, const struct entry *e)
{
	struct walk *w = ctx;
	struct survey *s = w->survey;

	if (w->policies[e->policy].internal)
		return;
	offer(&s->hottest, e, atomic_load_explicit(&e->reads, memory_order_relaxed), reads_of);
	offer(&s->biggest, e, entry_bytes(e), bytes_of);
	if (e->loads > 1)
		offer(&s->loaded, e, e->loads, loads_of);
}

/* ---- the database ---- */

static void
take_outbox(struct survey *s, const struct row *row)
{
	struct span latest = row_get(row, "latest");

	if (!text_number(row_get(row, "rows"), &s->outbox_rows))
		s->outbox_rows = 0;
	s->outbox_latest = latest.at ? strndup(latest.at, latest.len) : NULL;
}

static void
ask_database(struct survey *s, struct db *db)
{
	struct span most = span_of(LATEST);
	struct row row = { 0 };

	s->database = db_read(db, SQL(outbox_recent), &most, 1, &row) == OK;
	if (s->database && row.found)
		take_outbox(s, &row);
	row_free(&row);
}

/* ---- all of it ---- */

static void
make(struct surveyor *all, struct app *app)
{
	struct survey *s = &all->last;
	struct walk w = { s, NULL };
	int64_t began = clock_ms();
	int count;

	survey_free(s);
	memset(s, 0, sizeof(*s));
	w.policies = cache_policies(app->cache, &count);
	memory_walk_all(cache_memory(app->cache), see, &w);
	if (app->remote)
		remote_read_stats(app->remote, &s->remote);
	ask_database(s, app->db);
	s->at_ms = clock_ms();
	all->took_ms = s->at_ms - began;
}

static bool
is_old(const struct surveyor *s)
{
	int64_t age = clock_ms() - s->last.at_ms;
	int64_t enough = s->took_ms * AGE_FACTOR;

	if (enough < LEAST_AGE_MS)
		enough = LEAST_AGE_MS;
	return s->last.at_ms == 0 || age >= (enough < MOST_AGE_MS ? enough : MOST_AGE_MS);
}

bool
survey_read(struct surveyor *s, struct app *app, struct survey *out)
{
	bool fine = true;

	pthread_mutex_lock(&s->lock);
	if (is_old(s))
		make(s, app);
	*out = s->last;
	if (out->outbox_latest)
		fine = (out->outbox_latest = strdup(out->outbox_latest)) != NULL;
	pthread_mutex_unlock(&s->lock);
	return fine;
}

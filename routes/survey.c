#include "routes/survey.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "sql.h"

#define LEAST_AGE_MS 500
#define AGE_FACTOR 100
#define MOST_AGE_MS 5000
#define LATEST "50"
/* A load comes no later behind the change that made it necessary. */
#define BLAME_MS 60000

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

/* Its place in the list, made free for it; -1: it has none. */
static int
place_for(struct survey_list *l, uint64_t value, uint64_t (*of)(const struct survey_key *))
{
	int at = l->count < SURVEY_TOP ? l->count : SURVEY_TOP - 1;

	if (l->count == SURVEY_TOP && of(&l->top[at]) >= value)
		return -1;
	for (; at > 0 && of(&l->top[at - 1]) < value; at--)
		l->top[at] = l->top[at - 1];
	if (l->count < SURVEY_TOP)
		l->count++;
	return at;
}

static int
offer(struct survey_list *l, const struct entry *e, uint64_t value,
    uint64_t (*of)(const struct survey_key *))
{
	struct span key = entry_key(e);
	size_t len = key.len < SURVEY_KEY_BYTES ? key.len : SURVEY_KEY_BYTES - 1;
	int at = place_for(l, value, of);
	struct survey_key *k = &l->top[at < 0 ? 0 : at];

	if (at < 0)
		return at;
	memset(k, 0, sizeof(*k));
	memcpy(k->key, key.at, len);
	k->policy = e->policy;
	k->reads = atomic_load_explicit(&e->reads, memory_order_relaxed);
	k->loads = e->loads;
	k->recent_reads = entry_recent_reads(e);
	k->recent_loads = entry_recent_loads(e);
	k->bytes = entry_bytes(e);
	return at;
}

static uint64_t
reads_of(const struct survey_key *k)
{
	return k->recent_reads;
}

static uint64_t
loads_of(const struct survey_key *k)
{
	return k->recent_loads;
}

static uint64_t
bytes_of(const struct survey_key *k)
{
	return k->bytes;
}

struct walk {
	struct survey *survey;
	const struct cache_policy *policies;
	struct entry *loaded[SURVEY_TOP + 1]; /* of the list of that name; references */
};

/* The same move as in the list, and a reference to find out the cause with. */
static void
hold_loaded(struct walk *w, int at, const struct entry *e)
{
	memmove(
	    w->loaded + at + 1, w->loaded + at, (size_t)(SURVEY_TOP - at) * sizeof(w->loaded[0]));
	w->loaded[at] = entry_hold((struct entry *)(uintptr_t)e);
	entry_release(w->loaded[SURVEY_TOP]);
	w->loaded[SURVEY_TOP] = NULL;
}

/* Of a shared entry its guard is read as often: who looks for a hot key wants
 * the entry. */
static void
see(void *ctx, const struct entry *e)
{
	struct walk *w = ctx;
	struct survey *s = w->survey;
	int at;

	if (w->policies[e->policy].internal)
		return;
	offer(&s->hottest, e, entry_recent_reads(e), reads_of);
	offer(&s->biggest, e, entry_bytes(e), bytes_of);
	at = e->loads > 1 ? offer(&s->loaded, e, entry_recent_loads(e), loads_of) : -1;
	if (at >= 0)
		hold_loaded(w, at, e);
}

/* ---- who changed it ---- */

static bool
bears(const struct entry *e, uint16_t slot)
{
	for (size_t i = 0; i < e->slot_count; i++) {
		if (e->slots[i] == slot)
			return true;
	}
	return false;
}

static struct span
cut(struct span *rest, char at)
{
	const char *end = memchr(rest->at, at, rest->len);
	struct span first = span_make(rest->at, end ? (size_t)(end - rest->at) : rest->len);

	*rest = span_skip(*rest, end ? first.len + 1 : first.len);
	return first;
}

static void
copy(char *to, size_t room, struct span from)
{
	snprintf(to, room, "%.*s", SPAN_ARG(from));
}

/* Can it be why the entry was loaded, or why it will be? */
static bool
may_be_why(const struct entry *e, int64_t age_ms)
{
	return age_ms <= clock_ms() - e->made_ms + BLAME_MS;
}

/* LINE is of outbox_recent: age, cause, words, tags, with tabs between. */
static void
blame(struct walk *w, struct span line)
{
	struct survey_list *l = &w->survey->loaded;
	int64_t age_ms = 0;
	bool dated = text_number(cut(&line, '\t'), &age_ms);
	struct span cause = cut(&line, '\t');
	struct span what = cut(&line, '\t');

	while (dated && line.len) {
		struct span tag = cut(&line, '\t');
		uint16_t slot = tag_slot(tag);

		for (int i = 0; i < l->count; i++) {
			if (l->top[i].cause[0] || !bears(w->loaded[i], slot) ||
			    !may_be_why(w->loaded[i], age_ms))
				continue;
			copy(l->top[i].cause, sizeof(l->top[i].cause), cause);
			copy(l->top[i].what, sizeof(l->top[i].what), what);
			copy(l->top[i].tag, sizeof(l->top[i].tag), tag);
		}
	}
}

/* The latest first. */
static void
blame_all(struct walk *w, struct span lines)
{
	while (lines.len)
		blame(w, cut(&lines, '\n'));
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
ask_database(struct walk *w, struct db *db)
{
	struct survey *s = w->survey;
	struct span most = span_of(LATEST);
	struct row row = { 0 };

	s->database = db_read(db, SQL(outbox_recent), &most, 1, &row) == OK;
	if (s->database && row.found) {
		take_outbox(s, &row);
		blame_all(w, row_get(&row, "lines"));
	}
	row_free(&row);
}

/* ---- all of it ---- */

static void
ask_redis(struct survey *s, struct remote *remote)
{
	remote_read_stats(remote, &s->remote);
	if (s->remote.reachable)
		(void)remote_read_server(remote, &s->server);
}

static void
make(struct surveyor *all, struct app *app)
{
	struct survey *s = &all->last;
	struct walk w = { .survey = s };
	int64_t began = clock_ms();
	int count;

	survey_free(s);
	memset(s, 0, sizeof(*s));
	w.policies = cache_policies(app->cache, &count);
	memory_walk_all(cache_memory(app->cache), see, &w);
	if (app->remote)
		ask_redis(s, app->remote);
	ask_database(&w, app->db);
	for (int i = 0; i < SURVEY_TOP; i++)
		entry_release(w.loaded[i]);
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

/*
 * Writers with one growing version for each key, and readers who judge: a read
 * that began after version N was acknowledged must show at least N, of the
 * right owner, whole; and what was acknowledged is neither lost nor doubled.
 * Speaks to nginx and, for some writers, to PostgreSQL.  tests/consistency/run
 * prepares the keys (the plan) and starts it; see the README there.
 */
#include <getopt.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <postgresql/libpq-fe.h>

#include "http.h"
#include "keys.h"

#define TEXT_BYTES 60000
#define THREADS_MAX 64
#define ADDS_MAX 200000
#define COURSE_FILL 120
#define LESSON_FILL 1500
#define VIOLATION_FILES 20

enum outcome { STALE, WRONG, REFUSED_READ, VIOLATIONS };

static struct {
	int port;
	const char *dsn;
	const char *folder;
	const char *strays; /* course that lessons are added to */
	char stray_token[ID_BYTES];
	int64_t reads;
	int seconds;
	int readers;
	int pause_us; /* of a writer, between two writes */
	int64_t bound_us; /* a version may be shown so long after the next one */
	bool strict; /* what goes through the app: not at all */
	bool faults; /* reads may fail */
	bool refusals; /* writes may */
} want = { .readers = 6,
	.pause_us = 2000,
	.reads = 1000000,
	.seconds = 600,
	.bound_us = 1000000,
	.folder = "." };

static struct keys keys;
static _Atomic bool stop;
static _Atomic int64_t judged, texts, acked, unknown, refused, troubled, delayed;
static _Atomic int64_t kinds[6];
static _Atomic int found[VIOLATIONS];
static const char *const kind_words[] = { "memory", "grace", "redis", "stale", "collapsed",
	"miss" };
static _Atomic int adds;
static char add_state[ADDS_MAX]; /* 0: unknown, 1: acknowledged; of its thread */
static const char *const outcome_words[] = { "stale", "wrong", "refused" };

/* ---- violations ---- */

static void
violation(enum outcome what, struct http *h, const char *path, struct key *k, const char *why,
    int64_t began_us)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static int files;
	char name[512];
	FILE *to = NULL;

	atomic_fetch_add(&found[what], 1);
	pthread_mutex_lock(&lock);
	if (files < VIOLATION_FILES) {
		snprintf(name, sizeof(name), "%s/violation-%d.txt", want.folder, ++files);
		to = fopen(name, "w");
	}
	if (to) {
		fprintf(stderr, "  %s: %s; see %s\n", outcome_words[what], why, name);
		fprintf(to, "%s: %s\nGET %s, from %lld to %lld us\n\n%s\n\n%s\n\n",
		    outcome_words[what], why, path, (long long)began_us, (long long)now_us(),
		    h->head, h->body);
		if (k)
			key_history(k, to);
		fclose(to);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- reading ---- */

struct read {
	char path[400];
	const char *token;
	struct key *key; /* must be shown */
	const char *owner; /* all that is shown must be his; NULL: anybody's */
	int floors[KEYS_MAX];
	int64_t began_us;
};

static int
index_of(const struct key *k)
{
	for (int i = 0; i < keys.count; i++) {
		if (keys.all[i] == k)
			return i;
	}
	return 0;
}

static void
judge_version(struct http *h, struct read *r, struct key *k, int shown)
{
	int floor = r->floors[index_of(k)];
	bool exact = want.strict && !k->by_psql;
	char why[200];
	int64_t late;

	if (shown > k->tried)
		violation(WRONG, h, r->path, k, "a version that nobody wrote", r->began_us);
	if (shown >= floor)
		return;
	late = key_late(k, shown, floor, r->began_us);
	atomic_fetch_add(&delayed, 1);
	if (!exact && late <= want.bound_us)
		return;
	snprintf(why, sizeof(why), "%s shows v%d, v%d was acknowledged before, %lld us late", k->id,
	    shown, floor, (long long)late);
	violation(STALE, h, r->path, k, why, r->began_us);
}

/* Every version that the answer shows. */
static void
judge_body(struct http *h, struct read *r)
{
	bool seen = false;

	for (char *at = strstr(h->body, "\"v="); at; at = strstr(at, "\"v=")) {
		char *end = strchr(++at, '"');
		struct key *k;
		int shown = end ? key_parse(&keys, at, (size_t)(end - at), &k) : -1;

		if (shown < 0 || (r->owner && strcmp(k->owner, r->owner) != 0)) {
			violation(WRONG, h, r->path, r->key, "not whole, or not his", r->began_us);
			return;
		}
		seen |= k == r->key;
		atomic_fetch_add(&texts, 1);
		judge_version(h, r, k, shown);
	}
	if (!seen)
		violation(WRONG, h, r->path, r->key, "the key is not shown", r->began_us);
}

static void
count_kind(const struct http *h)
{
	static const char *const marks[] = { "detail=memory", "detail=grace", "detail=redis",
		"detail=stale", "collapsed", "uri-miss" };

	for (int i = 0; i < 6; i++) {
		if (strstr(h->head, marks[i])) {
			atomic_fetch_add(&kinds[i], 1);
			return;
		}
	}
}

static void
choose(struct read *r, unsigned *seed)
{
	/* A few keys are read much more often than the others. */
	double u = (double)rand_r(seed) / ((double)RAND_MAX + 1);
	struct key *k = keys.all[(int)(u * u * keys.count)];
	int way = rand_r(seed) % 3;

	r->key = k;
	r->token = k->token;
	r->owner = way == 2 ? k->owner : NULL;
	if (k->lesson && way == 0)
		snprintf(r->path, sizeof(r->path), "/api/user/lessons/%s", k->id);
	else if (k->lesson && way == 1)
		snprintf(
		    r->path, sizeof(r->path), "/api/admin/courses/%s/lessons/%s", k->course, k->id);
	else if (k->lesson)
		snprintf(
		    r->path, sizeof(r->path), "/api/admin/courses/%s/lessons?limit=100", k->course);
	else if (way == 0)
		snprintf(r->path, sizeof(r->path), "/api/user/courses/%s", k->id);
	else if (way == 1)
		snprintf(r->path, sizeof(r->path), "/api/admin/courses/%s", k->id);
	else
		snprintf(r->path, sizeof(r->path), "/api/admin/courses?limit=100");
}

static void *
read_on(void *ctx)
{
	struct http *h = http_new(want.port);
	struct read *r = calloc(1, sizeof(*r));
	unsigned seed = (unsigned)(intptr_t)ctx * 7919 + 1;

	while (h && r && !stop) {
		choose(r, &seed);
		for (int i = 0; i < keys.count; i++)
			r->floors[i] = keys.all[i]->acked;
		r->began_us = now_us();
		http_ask(h, "GET", r->path, r->token, NULL);
		if (h->status == 200) {
			atomic_fetch_add(&judged, 1);
			count_kind(h);
			judge_body(h, r);
		} else if (want.faults && (h->status == 0 || h->status >= 502)) {
			atomic_fetch_add(&troubled, 1);
			usleep(5000); /* failures are quick */
		} else if (!stop) {
			violation(REFUSED_READ, h, r->path, r->key, "refused", r->began_us);
		}
	}
	free(r);
	http_free(h);
	return NULL;
}

/* ---- writing ---- */

static void
write_through_app(struct http *h, struct key *k, int version)
{
	static __thread char text[TEXT_BYTES];
	static __thread char body[TEXT_BYTES + 64];
	char path[300];

	key_text(
	    k, version, (k->lesson ? LESSON_FILL : COURSE_FILL) - version % 50, text, sizeof(text));
	snprintf(
	    body, sizeof(body), "{\"%s\":\"%s\"}", k->lesson ? "content" : "presentation", text);
	if (k->lesson)
		snprintf(path, sizeof(path), "/api/admin/courses/%s/lessons/%s", k->course, k->id);
	else
		snprintf(path, sizeof(path), "/api/admin/courses/%s", k->id);
	key_try(k, version);
	http_ask(h, "PATCH", path, k->token, body);
	if (h->status == 200) {
		key_ack(k, version);
		atomic_fetch_add(&acked, 1);
	} else if (h->status == 503 && !strstr(h->body, "unknown_outcome")) {
		atomic_fetch_add(&refused, 1);
	} else {
		atomic_fetch_add(&unknown, 1);
	}
}

static void
ignore_notice(void *ctx, const char *message)
{
	(void)ctx;
	(void)message;
}

static PGconn *
write_by_psql(PGconn *db, struct key *k, int version)
{
	static __thread char text[TEXT_BYTES];
	const char *values[2] = { text, k->id };
	PGresult *done;

	key_text(
	    k, version, (k->lesson ? LESSON_FILL : COURSE_FILL) - version % 50, text, sizeof(text));
	key_try(k, version);
	if (!db || PQstatus(db) != CONNECTION_OK) {
		PQfinish(db);
		db = PQconnectdb(want.dsn);
		PQsetNoticeProcessor(db, ignore_notice, NULL);
	}
	done = PQexecParams(db,
	    k->lesson ? "update \"Lesson\" set content = $1 where id = $2"
		      : "update \"Course\" set presentation = $1 where id = $2",
	    2, NULL, values, NULL, NULL, 0);
	if (PQresultStatus(done) == PGRES_COMMAND_OK && strcmp(PQcmdTuples(done), "1") == 0) {
		key_ack(k, version);
		atomic_fetch_add(&acked, 1);
	} else {
		atomic_fetch_add(&unknown, 1);
		usleep(20000);
	}
	PQclear(done);
	return db;
}

static void *
write_on(void *ctx)
{
	struct key *k = ctx;
	struct http *h = http_new(want.port);
	PGconn *db = NULL;

	for (int version = 1; h && !stop; version++) {
		if (k->by_psql)
			db = write_by_psql(db, k, version);
		else
			write_through_app(h, k, version);
		if (!k->by_psql && h->status != 200)
			usleep(20000);
		usleep((unsigned)want.pause_us);
	}
	PQfinish(db);
	http_free(h);
	return NULL;
}

/* Lessons that are made once each. */
static void *
add_on(void *ctx)
{
	struct http *h = http_new(want.port);
	char path[200];
	char body[200];

	(void)ctx;
	snprintf(path, sizeof(path), "/api/admin/courses/%s/lessons", want.strays);
	while (h && !stop && adds < ADDS_MAX) {
		int n = adds;

		snprintf(body, sizeof(body), "{\"name\":\"stray %d\",\"content\":\"\"}", n);
		adds = n + 1;
		http_ask(h, "POST", path, want.stray_token, body);
		add_state[n] = h->status == 201;
		usleep((unsigned)want.pause_us * 5);
	}
	http_free(h);
	return NULL;
}

/* ---- what the database says in the end ---- */

static int
final_version(PGconn *db, struct key *k)
{
	const char *values[1] = { k->id };
	PGresult *r = PQexecParams(db,
	    k->lesson ? "select content from \"Lesson\" where id = $1"
		      : "select presentation from \"Course\" where id = $1",
	    1, NULL, values, NULL, NULL, 0);
	struct key *whose = NULL;
	int version = -1;

	if (PQntuples(r) == 1)
		version =
		    key_parse(&keys, PQgetvalue(r, 0, 0), (size_t)PQgetlength(r, 0, 0), &whose);
	PQclear(r);
	return whose == k ? version : -1;
}

static int
count_lost(PGconn *db)
{
	int lost = 0;

	for (int i = 0; i < keys.count; i++) {
		struct key *k = keys.all[i];
		int version = final_version(db, k);

		if (k->tried == 0 || (version >= k->acked && version <= k->tried))
			continue;
		fprintf(stderr, "  lost: %s is v%d, acknowledged v%d, tried v%d\n", k->id, version,
		    k->acked, k->tried);
		lost++;
	}
	return lost;
}

static void
count_adds(PGconn *db, int *lost, int *doubled)
{
	const char *values[1] = { want.strays };
	PGresult *r = PQexecParams(db,
	    "select name from \"Lesson\" where \"courseId\" = $1 and name like 'stray %'", 1, NULL,
	    values, NULL, NULL, 0);
	char *times = calloc(ADDS_MAX, 1);

	for (int i = 0; i < PQntuples(r) && times; i++)
		times[atoi(PQgetvalue(r, i, 0) + 6) % ADDS_MAX]++;
	for (int i = 0; i < adds && times; i++) {
		*lost += add_state[i] == 1 && times[i] == 0;
		*doubled += times[i] > 1;
	}
	free(times);
	PQclear(r);
}

/* ---- the run ---- */

static struct key *
key_new(const char *kind, const char *id, const char *course, const char *owner)
{
	struct key *k = calloc(1, sizeof(*k));

	if (!k || keys.count == KEYS_MAX)
		exit(2);
	snprintf(k->id, sizeof(k->id), "%s", id);
	snprintf(k->course, sizeof(k->course), "%s", course);
	snprintf(k->owner, sizeof(k->owner), "%s", owner);
	k->lesson = strcmp(kind, "lesson") == 0;
	return keys.all[keys.count++] = k;
}

/* A line a key: course|lesson ID COURSE OWNER TOKEN app|psql; and one "strays
 * COURSE TOKEN". */
static bool
read_plan(const char *name)
{
	FILE *from = fopen(name, "r");
	char line[600];
	char word[6][ID_BYTES];
	static char strays[ID_BYTES];

	while (from && fgets(line, sizeof(line), from)) {
		int n = sscanf(line, "%71s %71s %71s %71s %71s %71s", word[0], word[1], word[2],
		    word[3], word[4], word[5]);

		if (n == 3 && strcmp(word[0], "strays") == 0) {
			snprintf(strays, sizeof(strays), "%s", word[1]);
			snprintf(want.stray_token, sizeof(want.stray_token), "%s", word[2]);
			want.strays = strays;
		} else if (n == 6) {
			struct key *k = key_new(word[0], word[1], word[2], word[3]);

			snprintf(k->token, sizeof(k->token), "%s", word[4]);
			k->by_psql = strcmp(word[5], "psql") == 0;
		}
	}
	if (from)
		fclose(from);
	return want.strays && keys.count > 0;
}

static void
say_delays(const char *name, bool by_psql)
{
	size_t n;
	int64_t *all = keys_delays(&keys, by_psql, &n);

	if (n == 0)
		return;
	printf("%s_writes %zu\n", name, n);
	printf("%s_delay_p50_us %lld\n", name, (long long)all[n / 2]);
	printf("%s_delay_p99_us %lld\n", name, (long long)all[n * 99 / 100]);
	printf("%s_delay_max_us %lld\n", name, (long long)all[n - 1]);
}

static int
report(int64_t took_us)
{
	PGconn *db = PQconnectdb(want.dsn);
	int lost = count_lost(db);
	int doubled = 0;

	count_adds(db, &lost, &doubled);
	PQfinish(db);
	printf("reads_judged %lld\nversions_judged %lld\nreads_per_s %lld\n", (long long)judged,
	    (long long)texts, (long long)(judged * 1000000 / took_us));
	for (int i = 0; i < 6; i++)
		printf("reads_%s %lld\n", kind_words[i], (long long)kinds[i]);
	printf("reads_failed %lld\nreads_late %lld\n", (long long)troubled, (long long)delayed);
	printf("writes_acknowledged %lld\nwrites_refused %lld\nwrites_unknown %lld\n",
	    (long long)acked, (long long)refused, (long long)unknown);
	say_delays("app", false);
	say_delays("psql", true);
	printf("stale %d\nwrong %d\nrefused %d\nlost %d\ndoubled %d\n", found[STALE], found[WRONG],
	    found[REFUSED_READ], lost, doubled);
	return found[STALE] || found[WRONG] || found[REFUSED_READ] || lost || doubled ||
	    (!want.refusals && (refused || unknown));
}

static void
run(void)
{
	static pthread_t threads[KEYS_MAX + THREADS_MAX + 1];
	int64_t until = now_us() + (int64_t)want.seconds * 1000000;
	int n = 0;

	for (int i = 0; i < keys.count; i++)
		pthread_create(&threads[n++], NULL, write_on, keys.all[i]);
	pthread_create(&threads[n++], NULL, add_on, NULL);
	for (int i = 0; i < want.readers; i++)
		pthread_create(&threads[n++], NULL, read_on, (void *)(intptr_t)(i + 1));
	while (judged < want.reads && now_us() < until) {
		usleep(2000000);
		fprintf(stderr, "  %lld reads, %lld writes, %d stale, %d wrong, %lld failed\n",
		    (long long)judged, (long long)acked, found[STALE], found[WRONG],
		    (long long)troubled);
	}
	stop = true;
	while (n > 0)
		pthread_join(threads[--n], NULL);
}

static const char usage[] =
    "usage: judge --port PORT --dsn DSN --plan FILE [--reads N] [--seconds N] [--readers N]\n"
    "             [--pause-us N] [--bound-ms N] [--exact] [--faults] [--refusals] [--folder FOLDER]\n"
    "see tests/consistency/README.md\n";

static bool
read_options(int argc, char **argv)
{
	static const struct option options[] = { { "port", 1, NULL, 'p' }, { "dsn", 1, NULL, 'd' },
		{ "plan", 1, NULL, 'f' }, { "reads", 1, NULL, 'n' }, { "seconds", 1, NULL, 's' },
		{ "readers", 1, NULL, 'r' }, { "pause-us", 1, NULL, 'w' },
		{ "bound-ms", 1, NULL, 'b' }, { "exact", 0, NULL, 'x' }, { "faults", 0, NULL, 'F' },
		{ "refusals", 0, NULL, 'R' }, { "folder", 1, NULL, 'o' }, { 0 } };
	bool fine = true;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'p':
			want.port = atoi(optarg);
			break;
		case 'd':
			want.dsn = optarg;
			break;
		case 'f':
			fine = read_plan(optarg);
			break;
		case 'n':
			want.reads = atoll(optarg);
			break;
		case 's':
			want.seconds = atoi(optarg);
			break;
		case 'r':
			want.readers = atoi(optarg);
			break;
		case 'w':
			want.pause_us = atoi(optarg);
			break;
		case 'b':
			want.bound_us = atoll(optarg) * 1000;
			break;
		case 'x':
			want.strict = true;
			break;
		case 'F':
			want.faults = true;
			break;
		case 'R':
			want.refusals = true;
			break;
		case 'o':
			want.folder = optarg;
			break;
		default:
			return false;
		}
	}
	return fine && want.port && want.dsn && keys.count && want.readers <= THREADS_MAX;
}

int
main(int argc, char **argv)
{
	int64_t began;

	if (!read_options(argc, argv)) {
		fputs(usage, stderr);
		return 2;
	}
	began = now_us();
	run();
	return report(now_us() - began);
}

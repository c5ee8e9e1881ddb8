/* The small things that everything stands on. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"
#include "base/sink.h"
#include "base/text.h"
#include "base/workers.h"

#include <pthread.h>
#include <sodium.h>
#include <unistd.h>

#include "unit.h"

#define STABLE_SLOT 40388
#define STABLE_HEX "03845d5c4c53c1bca68a3779768b6fc5"

/* ---- arena ---- */

static void
an_arena_gives_zeroed_aligned_memory_up_to_its_cap(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 100000);
	for (size_t n = 1; n < 300; n++) {
		unsigned char *at = arena_alloc(&a, n);

		assert_int_equal((uintptr_t)at % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(at[i], 0);
		memset(at, 0xff, n);
	}
	assert_null(arena_alloc(&a, 100000));
	assert_null(arena_alloc(&a, 1)); /* sticky */
	assert_null(arena_alloc(&a, SIZE_MAX));
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 100000));
	assert_null(arena_copy(&a, span_of("x")));
	arena_free(&a);
}

/* ---- buf ---- */

static void
a_buffer_keeps_its_cap(void **state)
{
	struct buf b;
	char *text;

	(void)state;
	buf_init(&b, 10);
	buf_text(&b, "12345");
	buf_number(&b, -678);
	assert_span(buf_span(&b), "12345-678");
	buf_text(&b, "ab");
	buf_char(&b, 'c');
	assert_false(buf_ok(&b));
	assert_span(buf_span(&b), "12345-678");
	assert_null(buf_take(&b));
	buf_number(&b, INT64_MIN);
	assert_false(buf_ok(&b));
	buf_clear(&b);
	buf_printf(&b, "%d-%s", 7, "x");
	text = buf_take(&b);
	assert_string_equal(text, "7-x");
	free(text);
}

static void
json_text_is_escaped(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	buf_json(&b, span_make("a\"b\\c\n\t\x01\x1f\0\x7f/", 12));
	assert_span(buf_span(&b), "\"a\\\"b\\\\c\\n\\t\\u0001\\u001f\\u0000\x7f/\"");
	buf_clear(&b);
	buf_json(&b, span_of("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
	assert_span(buf_span(&b), "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
	buf_clear(&b);
	buf_json(&b, span_of("\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\xc3"));
	for (size_t i = 1; i + 1 < b.len; i += 3)
		assert_memory_equal(b.at + i, "\xef\xbf\xbd", 3);
	buf_free(&b);
}

/* ---- text ---- */

static void
only_well_formed_utf8_is_accepted(void **state)
{
	static const char *const good[] = { "", "abc", "\xc3\xa9", "\xed\x9f\xbf", "\xee\x80\x80",
		"\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\x80", "\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80", "\xe2\x82", "a\xff" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(text_is_utf8(span_of(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(text_is_utf8(span_of(bad[i])));
	assert_int_equal(text_length(span_of("a\xc3\xa9\xe2\x82\xac")), 3);
}

static void
numbers_are_digits_alone(void **state)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "1.0", "0x1",
		"1234567890123456789", "\xd9\xa1" };
	int64_t n;

	(void)state;
	assert_true(text_number(span_of("007"), &n));
	assert_int_equal(n, 7);
	assert_true(text_number(span_of("999999999999999999"), &n));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(text_number(span_of(bad[i]), &n));
}

static void
times_are_written_in_utc(void **state)
{
	char text[CLOCK_ISO_BYTES];

	(void)state;
	clock_iso(1754818200000, text);
	assert_string_equal(text, "2025-08-10T09:30:00.000Z");
	clock_iso(7, text);
	assert_string_equal(text, "1970-01-01T00:00:00.007Z");
}

static void
stable_hashes_never_change(void **state)
{
	char hex[HASH_HEX_BYTES];

	(void)state;
	/* They are stored in Redis and in browsers. */
	assert_int_equal(hash_stable(span_of("course:42")) % 65536, STABLE_SLOT);
	hash_hex(span_of("{}"), hex);
	assert_string_equal(hex, STABLE_HEX);
	assert_true(hash_secret_equal(span_of("abc"), span_of("abc")));
	assert_false(hash_secret_equal(span_of("abc"), span_of("abd")));
	assert_false(hash_secret_equal(span_of("abc"), span_of("ab")));
}

/* Of every length modulo a word, and longer than one. */
static void
stable_hashes_are_siphash(void **state)
{
	static const unsigned char key[] = "pupitre, stable";
	unsigned char text[64];
	unsigned char out[crypto_shorthash_BYTES];

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		uint64_t ours = hash_stable(span_make((const char *)text, len));

		crypto_shorthash(out, text, len, key);
		for (size_t i = 0; i < sizeof(out); i++)
			assert_int_equal(out[i], ours >> (8 * i) & 0xff);
		text[len] = (unsigned char)(251 - 3 * len);
	}
}

/* ---- config ---- */

static bool
read_settings(struct config *c, char *const list[], char faults_text[4096])
{
	struct buf faults;
	bool fine;

	buf_init(&faults, 4095);
	fine = config_read(c, list, &faults);
	snprintf(faults_text, 4096, "%.*s", SPAN_ARG(buf_span(&faults)));
	buf_free(&faults);
	return fine;
}

static void
settings_have_defaults_and_bounds(void **state)
{
	char *none[] = { "PATH=/bin", NULL };
	char *bad[] = { "PUPITRE_WORKERS=0", "PUPITRE_QUEUE=12x", "PUPITRE_IDENTITY=me",
		"PUPITRE_WORKER=1", "PUPITRE_OPERATOR_TOKEN=hunter2", "UPSTASH_REDIS_REST_TOKEN=x",
		NULL };
	char faults[4096];
	struct config c;

	(void)state;
	assert_true(read_settings(&c, none, faults));
	assert_int_equal(c.workers, 16);
	assert_int_equal(c.ttl_course_detail_s, 3600);
	assert_string_equal(c.redis_prefix, "pupitre:");
	assert_null(c.database_url);
	config_free(&c);
	assert_false(read_settings(&c, bad, faults));
	assert_non_null(
	    strstr(faults, "PUPITRE_WORKERS: \"0\" is not a whole number of threads from 1"));
	assert_non_null(strstr(faults, "PUPITRE_QUEUE"));
	assert_non_null(strstr(faults, "none of: session gateway"));
	assert_non_null(strstr(faults, "did you mean PUPITRE_WORKERS?"));
	assert_non_null(strstr(faults, "UPSTASH_REDIS_REST_URL: not set"));
	assert_non_null(strstr(faults, "PUPITRE_OPERATOR_TOKEN"));
	assert_null(strstr(faults, "hunter2"));
	config_free(&c);
}

static void
a_file_gives_settings_and_the_environment_wins(void **state)
{
	char path[] = "/tmp/pupitre-settings-XXXXXX";
	int fd = mkstemp(path);
	static const char text[] = "# comment\n\nPUPITRE_WORKERS=5\n PUPITRE_QUEUE=9 \n"
				   "REDIS_URL='unix:///x'\nPUPITRE_LOG_LEVEL=\"debug\"\n";
	char named[64];
	char *list[] = { named, "PUPITRE_WORKERS=7", NULL };
	char faults[4096];
	struct config c;

	(void)state;
	snprintf(named, sizeof(named), "PUPITRE_ENV_FILE=%s", path);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	assert_true(read_settings(&c, list, faults));
	assert_int_equal(c.workers, 7);
	assert_int_equal(c.queue_limit, 9);
	assert_string_equal(c.redis_url, "unix:///x");
	assert_int_equal(c.log_level, 3);
	config_free(&c);
	assert_int_equal(write(fd, "OTHER=1\nnonsense\n", 17), 17);
	assert_false(read_settings(&c, list, faults));
	assert_non_null(strstr(faults, "OTHER: there is no such setting"));
	assert_non_null(strstr(faults, "line 8: must be NAME=value"));
	config_free(&c);
	close(fd);
	unlink(path);
}

/* ---- log ---- */

static void
a_log_that_nobody_reads_stops_nobody(void **state)
{
	int before = dup(STDERR_FILENO);
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	for (int i = 0; i < 5000; i++)
		log_event(LOG_ERROR, "test", "line %d of far more than a pipe holds", i);
	dup2(before, STDERR_FILENO);
	close(before);
	close(ends[0]);
	close(ends[1]);
}

#define SINK_THREADS 4
#define SINK_LINES 2000

static void *
put_lines(void *ctx)
{
	char line[64];

	for (int i = 0; i < SINK_LINES; i++) {
		int len = snprintf(line, sizeof(line), "thread %d line %d\n", *(int *)ctx, i);

		assert_true(sink_put(span_make(line, (size_t)len)));
	}
	return NULL;
}

/* Stderr is FD until it is given back. */
static int
redirect(int fd)
{
	int before = dup(STDERR_FILENO);

	dup2(fd, STDERR_FILENO);
	return before;
}

static void
give_back(int before)
{
	dup2(before, STDERR_FILENO);
	close(before);
}

static void
lines_of_all_threads_come_whole_and_in_order(void **state)
{
	char path[] = "/tmp/pupitre-test-XXXXXX";
	int fd = mkstemp(path);
	int before = redirect(fd);
	pthread_t threads[SINK_THREADS];
	int numbers[SINK_THREADS];
	int next[SINK_THREADS] = { 0 };
	char line[64];
	FILE *file;

	(void)state;
	assert_true(sink_start());
	for (int i = 0; i < SINK_THREADS; i++) {
		numbers[i] = i;
		pthread_create(&threads[i], NULL, put_lines, &numbers[i]);
	}
	for (int i = 0; i < SINK_THREADS; i++)
		pthread_join(threads[i], NULL);
	sink_stop();
	give_back(before);
	assert_int_equal(sink_dropped(), 0);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		int thread;
		int number;

		assert_int_equal(sscanf(line, "thread %d line %d\n", &thread, &number), 2);
		assert_int_equal(number, next[thread]++);
	}
	for (int i = 0; i < SINK_THREADS; i++)
		assert_int_equal(next[i], SINK_LINES);
	fclose(file);
	close(fd);
	unlink(path);
}

static void
what_finds_no_room_is_dropped_and_counted(void **state)
{
	static char line[1 << 16];
	int ends[2];
	int before;
	size_t dropped;

	(void)state;
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	assert_int_equal(pipe(ends), 0);
	before = redirect(ends[1]);
	assert_true(sink_start());
	for (int i = 0; i < 1000; i++)
		assert_true(sink_put(span_make(line, sizeof(line))));
	sink_stop();
	give_back(before);
	dropped = sink_dropped();
	assert_true(dropped > 0 && dropped % sizeof(line) == 0);
	assert_false(sink_put(span_of("nobody is there\n")));
	close(ends[0]);
	close(ends[1]);
}

/* ---- randomness ---- */

/* Each byte in its place: every digit of every place comes up. */
static void
random_hex_is_hex_and_differs(void **state)
{
	unsigned seen[16] = { 0 };
	char text[17];

	(void)state;
	assert_true(random_start());
	for (int n = 0; n < 1000; n++) {
		memset(text, 'x', sizeof(text));
		random_hex(text, 8);
		assert_int_equal(strspn(text, "0123456789abcdef"), 16);
		assert_int_equal(strlen(text), 16);
		for (int i = 0; i < 16; i++)
			seen[i] |= 1u << strtoul((char[]){ text[i], 0 }, NULL, 16);
	}
	for (int i = 0; i < 16; i++)
		assert_int_equal(seen[i], 0xffff);
}

/* ---- workers ---- */

static _Atomic int done;

static void
count_one(struct job *job)
{
	(void)job;
	done++;
}

static void
every_accepted_job_runs_once(void **state)
{
	static struct job jobs[1000];
	struct workers *w = workers_start(4, 50);
	struct workers_stats stats;
	int accepted = 0;

	(void)state;
	done = 0;
	for (int i = 0; i < 1000; i++) {
		jobs[i].run = count_one;
		accepted += workers_submit(w, &jobs[i]);
	}
	workers_read_stats(w, &stats);
	assert_int_equal(stats.jobs_refused, 1000 - accepted);
	workers_stop(w);
	assert_int_equal(done, accepted);
	assert_true(accepted >= 50);
}

static pthread_barrier_t all_there;
static pthread_t ran_on;
static int places[32]; /* at which the jobs ran */
static struct job queued[32];

static void
note_place(struct job *job)
{
	places[job - queued] = done++;
}

static void
meet(struct job *job)
{
	(void)job;
	pthread_barrier_wait(&all_there);
}

static void
note_thread(struct job *job)
{
	(void)job;
	ran_on = pthread_self();
	done++;
}

/* One thread that is busy, and a queue of 10 that is full. */
static void
who_goes_first_fits_into_a_full_queue(void **state)
{
	struct workers *w = workers_start(1, 10);
	struct workers_stats stats = { 0 };
	struct job busy = { .run = meet };
	int first = 0;

	(void)state;
	done = 0;
	pthread_barrier_init(&all_there, NULL, 2);
	assert_true(workers_submit(w, &busy));
	while (stats.busy < 1)
		workers_read_stats(w, &stats);
	for (int i = 0; i < 32; i++)
		queued[i].run = note_place;
	for (int i = 0; i < 10; i++)
		assert_true(workers_submit(w, &queued[i]));
	assert_false(workers_submit(w, &queued[10]));
	while (first < 20 && workers_submit_first(w, &queued[10 + first]))
		first++;
	assert_int_equal(first, 8);
	pthread_barrier_wait(&all_there);
	workers_stop(w);
	assert_int_equal(done, 18);
	for (int i = 0; i < 10; i++)
		assert_int_equal(places[i], 8 + i);
}

/* One job after another: always on the same, warm, thread. */
static void
who_worked_last_is_woken_first(void **state)
{
	struct workers *w = workers_start(4, 50);
	struct workers_stats stats = { 0 };
	struct job together[4] = { { .run = meet }, { .run = meet }, { .run = meet },
		{ .run = meet } };
	struct job job = { .run = note_thread };
	pthread_t first = 0;

	(void)state;
	pthread_barrier_init(&all_there, NULL, 4);
	for (int i = 0; i < 4; i++)
		assert_true(workers_submit(w, &together[i]));
	while (stats.jobs_done < 4)
		workers_read_stats(w, &stats);
	for (uint64_t i = 5; i <= 24; i++) {
		assert_true(workers_submit(w, &job));
		while (stats.jobs_done < i)
			workers_read_stats(w, &stats);
		if (i == 5)
			first = ran_on;
		assert_true(pthread_equal(ran_on, first));
	}
	assert_true(workers_idle(w));
	workers_stop(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_arena_gives_zeroed_aligned_memory_up_to_its_cap),
		cmocka_unit_test(a_buffer_keeps_its_cap),
		cmocka_unit_test(json_text_is_escaped),
		cmocka_unit_test(only_well_formed_utf8_is_accepted),
		cmocka_unit_test(numbers_are_digits_alone),
		cmocka_unit_test(times_are_written_in_utc),
		cmocka_unit_test(stable_hashes_never_change),
		cmocka_unit_test(stable_hashes_are_siphash),
		cmocka_unit_test(settings_have_defaults_and_bounds),
		cmocka_unit_test(a_file_gives_settings_and_the_environment_wins),
		cmocka_unit_test(a_log_that_nobody_reads_stops_nobody),
		cmocka_unit_test(lines_of_all_threads_come_whole_and_in_order),
		cmocka_unit_test(what_finds_no_room_is_dropped_and_counted),
		cmocka_unit_test(random_hex_is_hex_and_differs),
		cmocka_unit_test(every_accepted_job_runs_once),
		cmocka_unit_test(who_goes_first_fits_into_a_full_queue),
		cmocka_unit_test(who_worked_last_is_woken_first),
	};

	if (!random_start())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

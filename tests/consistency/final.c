#include "final.h"

#include <stdlib.h>
#include <unistd.h>

#include "database.h"
#include "reader.h"
#include "tally.h"
#include "text.h"
#include "writer.h"

#define QUIET_S 30
#define TRIES 100
#define AFTER_FAILURE_US 100000
#define LEAST_REST_US 300000

bool
final_begin(struct run *run)
{
	struct database *db = database_new(run->plan.database);
	bool ok = true;

	for (int i = 0; ok && i < run->plan.key_count; i++) {
		struct key *k = &run->plan.keys[i];
		char text[TEXT_BYTES];

		writer_text(&run->plan, k, key_attempt(k), text);
		ok = database_update(db, k, text);
		key_settle(k, ok ? ACKED : UNKNOWN);
	}
	if (!ok)
		fprintf(stderr, "judge: the keys' rows: %s\n", database_error(db));
	database_free(db);
	return ok;
}

/* A key's last version in the database, which must be one that was attempted
 * after the last acknowledged one, or that. */
static uint64_t
judge_key(struct run *run, struct database *db, struct key *k)
{
	char bytes[TEXT_BYTES], wanted[TEXT_BYTES];
	struct evidence e = { .key = k, .floor = key_floor(k) };
	struct text text;

	if (!database_text(db, k, bytes, sizeof(bytes))) {
		tally_violation(VIOLATION_LOST, &e, "no row: %s", database_error(db));
		return e.floor;
	}
	if (!text_read(span_of(bytes), &text)) {
		tally_violation(VIOLATION_WRONG, &e, "the row's text is not whole: %s", bytes);
		return e.floor;
	}
	e.shown = text.version;
	writer_text(&run->plan, k, text.version, wanted);
	if (e.shown > key_ceiling(k) || strcmp(bytes, wanted) != 0)
		tally_violation(VIOLATION_WRONG, &e, "the database holds what was never written");
	else if (e.shown < e.floor)
		tally_violation(VIOLATION_LOST, &e,
		    "the database holds v=%llu, v=%llu was acknowledged",
		    (unsigned long long)e.shown, (unsigned long long)e.floor);
	return e.shown;
}

static void
judge_made(struct run *run, struct database *db)
{
	uint64_t last = atomic_load(&run->made.attempted), others = 0;
	int *times = calloc(last + 1, sizeof(*times));
	struct evidence e = { 0 };

	if (!times)
		abort();
	if (run->plan.maker >= 0 &&
	    !database_made(db, run->plan.maker_course, last, times, &others))
		tally_violation(VIOLATION_LOST, &e, "new lessons: %s", database_error(db));
	for (uint64_t n = 1; n <= last; n++) {
		if (times[n] == 0 && run->made.outcomes[n] == ACKED)
			tally_violation(VIOLATION_LOST, &e, "acknowledged lesson made %llu",
			    (unsigned long long)n);
		if (times[n] > 1)
			tally_violation(VIOLATION_DOUBLED, &e, "lesson made %llu, %d times",
			    (unsigned long long)n, times[n]);
	}
	if (others)
		tally_violation(VIOLATION_WRONG, &e, "%llu lessons that nobody made",
		    (unsigned long long)others);
	free(times);
}

/* What the cache shows must be what the database holds. */
static void
sweep(struct run *run, const struct questions *questions, int sweeps, const uint64_t *final)
{
	struct reader r;

	reader_init(&r, run, questions, -1);
	r.final = final;
	for (int n = 0; n < sweeps; n++) {
		for (int i = 0; i < questions->count; i++) {
			int left = TRIES;

			while (!reader_ask(&r, &questions->all[i]) && --left > 0)
				usleep(AFTER_FAILURE_US);
			if (left == 0)
				tally_violation(VIOLATION_STATUS, &(struct evidence){ 0 },
				    "%s is not answered at the end", questions->all[i].path);
			count(COUNT_SWEPT);
		}
	}
	reader_free(&r);
}

void
final_judge(struct run *run, const struct questions *questions, int sweeps)
{
	struct database *db = database_new(run->plan.database);
	uint64_t *final = calloc((size_t)run->plan.key_count, sizeof(*final));

	if (!final)
		abort();
	if (!database_quiet(db, QUIET_S))
		tally_violation(VIOLATION_STATUS, &(struct evidence){ 0 },
		    "the database does not come to rest: %s", database_error(db));
	for (int i = 0; i < run->plan.key_count; i++)
		final[i] = judge_key(run, db, &run->plan.keys[i]);
	judge_made(run, db);
	usleep(LEAST_REST_US + (unsigned)(run->bound_ns / 1000));
	sweep(run, questions, sweeps, final);
	free(final);
	database_free(db);
}

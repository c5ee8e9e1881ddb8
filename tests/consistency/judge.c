/*
 * The judge: readers and writers that know what they have been promised.
 *
 *   "A read that began after the acknowledgement of version v shows at least
 *   v, of the right owner, and whole; and what was acknowledged is neither
 *   lost nor doubled."
 *
 * tests/consistency/run prepares the rows, starts this and injects faults.
 * The way: final_begin, the threads of reader.c and writer.c, final_judge.
 */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "final.h"
#include "reader.h"
#include "tally.h"
#include "writer.h"

#define MAX_THREADS 128
#define STACK_BYTES (1 << 20)
#define PROGRESS_NS 2000000000
#define TICK_US 10000

struct options {
	const char *plan;
	const char *out;
	uint64_t reads;
	int seconds;
	int sweeps;
};

/* Everything that runs; kept until the end of the program. */
struct cast {
	struct reader *readers;
	struct writer *writers;
	int writer_count;
	pthread_t threads[MAX_THREADS];
	int thread_count;
	struct questions questions;
	double *liking;
};

static volatile sig_atomic_t asked_to_stop;

static void
on_signal(int sig)
{
	(void)sig;
	asked_to_stop = 1;
}

static void
start(struct cast *cast, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (cast->thread_count == MAX_THREADS ||
	    pthread_create(&cast->threads[cast->thread_count++], &attr, run, arg) != 0)
		abort();
	pthread_attr_destroy(&attr);
}

static void
start_writers(struct run *run, struct cast *cast)
{
	const struct plan *plan = &run->plan;
	int n = plan->writers[BY_HTTP] + plan->writers[BY_SQL] + 1;

	cast->writers = calloc((size_t)n, sizeof(*cast->writers));
	if (!cast->writers)
		abort();
	for (int way = 0; way < WAYS; way++) {
		for (int i = 0; i < plan->writers[way]; i++) {
			struct writer *w = &cast->writers[cast->writer_count++];

			writer_init(w, run, (enum way)way, i);
			start(cast, writer_run, w);
		}
	}
	if (plan->maker >= 0) {
		struct writer *w = &cast->writers[cast->writer_count++];

		writer_init(w, run, BY_HTTP, -1);
		start(cast, writer_make_lessons, w);
	}
}

static void
start_readers(struct run *run, struct cast *cast)
{
	cast->liking = liking_make(run->plan.key_count);
	cast->readers = calloc((size_t)run->readers + 1, sizeof(*cast->readers));
	if (!cast->readers)
		abort();
	for (int i = 0; i < run->readers; i++) {
		reader_init(&cast->readers[i], run, &cast->questions, i);
		cast->readers[i].liking = cast->liking;
		start(cast, reader_run, &cast->readers[i]);
	}
}

static unsigned long long
counted(enum counter c)
{
	return (unsigned long long)atomic_load(&tally_counters[c]);
}

static void
say_progress(double seconds)
{
	printf("  %5.1f s  reads %llu (%.0f/s)  writes %llu + %llu  refused %llu  unknown %llu"
	       "  5xx %llu  violations %llu\n",
	    seconds, counted(COUNT_READS), (double)counted(COUNT_READS) / seconds,
	    counted(COUNT_ACKED_HTTP), counted(COUNT_ACKED_SQL), counted(COUNT_WRITES_REFUSED),
	    counted(COUNT_WRITES_UNKNOWN),
	    counted(COUNT_READ_UNAVAILABLE) + counted(COUNT_READ_GATEWAY),
	    (unsigned long long)tally_violations());
	fflush(stdout);
}

/* Until enough was read, or the time is up, or somebody says so. */
static double
watch(const struct options *o)
{
	int64_t began = now_ns(), next = began + PROGRESS_NS, now = began;

	while (!asked_to_stop) {
		usleep(TICK_US);
		now = now_ns();
		if (o->reads && atomic_load(&tally_counters[COUNT_READS]) >= o->reads)
			break;
		if (o->seconds && now - began >= (int64_t)o->seconds * 1000000000)
			break;
		if (now >= next) {
			say_progress((double)(now - began) / 1e9);
			next += PROGRESS_NS;
		}
	}
	return (double)(now - began) / 1e9;
}

static void
say_delays(struct run *run, enum way way, const char *word)
{
	static const struct {
		const char *word;
		double share;
	} marks[] = { { "p50", 0.5 }, { "p99", 0.99 }, { "max", 1 } };
	const int64_t *ns;
	size_t n = ledger_delays(run->plan.keys, run->plan.key_count, way, &ns);
	size_t late = 0;

	while (late < n && ns[n - 1 - late] > 0)
		late++;
	printf("delay_%s_writes %zu\ndelay_%s_seen %zu\n", word, n, word, late);
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]) && n > 0; i++)
		printf("delay_%s_%s_ms %.3f\n", word, marks[i].word,
		    (double)ns[(size_t)((double)(n - 1) * marks[i].share)] / 1e6);
}

static void
say_results(struct run *run, struct cast *cast, double seconds, uint64_t reads, double cpu_us)
{
	printf("\nresults\nseconds %.1f\nreads_per_s %.0f\njudge_cpu_us_per_read %.1f\n", seconds,
	    (double)reads / seconds, cpu_us / (double)(reads + 1));
	for (int route = 0; route < ROUTES; route++) {
		uint64_t sum = 0;

		for (int i = 0; i < run->readers; i++)
			sum += atomic_load(&cast->readers[i].by_route[route]);
		printf("read_%s %llu\n", route_words[route], (unsigned long long)sum);
	}
	tally_print(stdout);
	say_delays(run, BY_HTTP, "app");
	say_delays(run, BY_SQL, "sql");
	printf("violations %llu\n", (unsigned long long)tally_violations());
}

static void
play(struct run *run, const struct options *o)
{
	struct cast *cast = calloc(1, sizeof(*cast));
	double seconds, cpu_us;
	uint64_t reads;

	if (!cast)
		abort();
	questions_make(&run->plan, &cast->questions);
	start_writers(run, cast);
	start_readers(run, cast);
	seconds = watch(o);
	atomic_store(&run->stop, true);
	reads = atomic_load(&tally_counters[COUNT_READS]);
	cpu_us = (double)clock() * 1e6 / CLOCKS_PER_SEC;
	for (int i = 0; i < cast->thread_count; i++)
		pthread_join(cast->threads[i], NULL);
	final_judge(run, &cast->questions, o->sweeps);
	say_results(run, cast, seconds, reads, cpu_us);
}

static enum mode
mode_of(const char *word)
{
	if (strcmp(word, "strict") == 0)
		return MODE_STRICT;
	return strcmp(word, "bounded") == 0 ? MODE_BOUNDED : MODE_ONE;
}

static void
read_options(int argc, char **argv, struct run *run, struct options *o)
{
	static const struct option names[] = { { "plan", 1, NULL, 'p' }, { "out", 1, NULL, 'o' },
		{ "mode", 1, NULL, 'm' }, { "bound-ms", 1, NULL, 'b' }, { "readers", 1, NULL, 'r' },
		{ "pace-us", 1, NULL, 'w' }, { "seed", 1, NULL, 's' }, { "reads", 1, NULL, 'n' },
		{ "seconds", 1, NULL, 't' }, { "sweeps", 1, NULL, 'e' }, { "faults", 0, NULL, 'f' },
		{ "refusals", 0, NULL, 'x' }, { 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 'p':
			o->plan = optarg;
			break;
		case 'o':
			o->out = optarg;
			break;
		case 'm':
			run->mode = mode_of(optarg);
			break;
		case 'b':
			run->bound_ns = atoll(optarg) * 1000000;
			break;
		case 'r':
			run->readers = atoi(optarg);
			break;
		case 'w':
			run->pace_us = (unsigned)atoi(optarg);
			break;
		case 's':
			run->seed = strtoull(optarg, NULL, 10);
			break;
		case 'n':
			o->reads = strtoull(optarg, NULL, 10);
			break;
		case 't':
			o->seconds = atoi(optarg);
			break;
		case 'e':
			o->sweeps = atoi(optarg);
			break;
		case 'f':
			run->faults = true;
			break;
		case 'x':
			run->refusals = true;
			break;
		default:
			exit(2);
		}
	}
}

int
main(int argc, char **argv)
{
	struct options o = { .out = ".", .sweeps = 1 };
	struct run *run = calloc(1, sizeof(*run));

	if (!run)
		abort();
	run->readers = 8;
	read_options(argc, argv, run, &o);
	if (!o.plan || run->readers < 0 || run->readers > MAX_THREADS / 2) {
		fputs("judge: started by tests/consistency/run\n", stderr);
		return 2;
	}
	tally_folder(o.out);
	run->made.acked_ns = calloc(MADE_MAX, sizeof(*run->made.acked_ns));
	run->made.outcomes = calloc(MADE_MAX, sizeof(*run->made.outcomes));
	if (!run->made.acked_ns || !run->made.outcomes)
		abort();
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	signal(SIGPIPE, SIG_IGN);
	if (!plan_read(o.plan, &run->plan) || !final_begin(run))
		return 2;
	play(run, &o);
	return tally_violations() ? 1 : 0;
}

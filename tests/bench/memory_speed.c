/*
 * Look-ups a second, of threads that do nothing else or that do some work in
 * between: the memory level, and models of it that differ in how a look-up is
 * kept from meeting a store.  Run by tests/bench/memory.
 *
 * The models look up as memory.c does (same hash, table, tags, reference), in
 * a table that nobody changes; a lock-free one still pays what its readers
 * would need to keep writers from freeing what they look at.
 */
#include "memory_drive.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"

#define ENTRIES 10000u
#define SHARDS 16
#define BUCKETS 1024
#define BATCH 64
#define MAX_THREADS 4
#define ROUNDS 7
#define CAP_BYTES ((size_t)256 << 20)

enum guard { REAL, MUTEX, ADAPTIVE, SPIN, RWLOCK, COUNTED, GUARDS };
static const char *const guard_names[GUARDS] = { "memory.c", "model: pthread mutex",
	"model: adaptive mutex", "model: spin lock", "model: read-write lock",
	"model: lock-free, readers counted a core" };

enum load { ONE_KEY, UNIFORM, ZIPF, LOADS };
static const char *const load_names[LOADS] = { "one key", "10,000 keys", "10,000 keys, Zipf 1.0" };

struct model_shard {
	pthread_mutex_t mutex;
	pthread_rwlock_t rwlock __attribute__((aligned(64)));
	_Atomic int spin __attribute__((aligned(64)));
	struct entry *buckets[BUCKETS] __attribute__((aligned(64)));
} __attribute__((aligned(64)));

/* Of one core or so: who looks at the table just now. */
struct readers {
	_Atomic uint64_t inside;
} __attribute__((aligned(64)));

struct bench {
	struct tag_table tags;
	struct memory *memory;
	struct model_shard shards[SHARDS];
	struct readers readers[64];
	struct span keys[ENTRIES];
	char texts[ENTRIES][64];
	uint32_t order[1 << 16];
	int64_t window_ns;
	unsigned work;
	enum guard guard;
	_Atomic bool go;
	_Atomic bool stop;
};

struct worker {
	pthread_t thread;
	struct bench *bench;
	unsigned at;
	uint64_t done;
	double cpu_s;
};

struct rate {
	double per_us; /* look-ups, of all threads together */
	double cpu_ns; /* of one look-up */
};

/* ---- models ---- */

static void
guard_enter(struct bench *b, struct model_shard *s, unsigned reader)
{
	switch (b->guard) {
	case SPIN:
		while (atomic_exchange_explicit(&s->spin, 1, memory_order_acquire)) {
			while (atomic_load_explicit(&s->spin, memory_order_relaxed))
				__builtin_ia32_pause();
		}
		break;
	case RWLOCK:
		pthread_rwlock_rdlock(&s->rwlock);
		break;
	case COUNTED:
		atomic_fetch_add(&b->readers[reader].inside, 1);
		break;
	default:
		pthread_mutex_lock(&s->mutex);
	}
}

static void
guard_leave(struct bench *b, struct model_shard *s, unsigned reader)
{
	switch (b->guard) {
	case SPIN:
		atomic_store_explicit(&s->spin, 0, memory_order_release);
		break;
	case RWLOCK:
		pthread_rwlock_unlock(&s->rwlock);
		break;
	case COUNTED:
		atomic_fetch_sub(&b->readers[reader].inside, 1);
		break;
	default:
		pthread_mutex_unlock(&s->mutex);
	}
}

static struct entry *
model_get(struct bench *b, struct span key, int64_t now_ms, unsigned reader)
{
	uint64_t hash = hash_table(key);
	struct model_shard *s = &b->shards[(hash >> 48) % SHARDS];
	struct entry *e;

	guard_enter(b, s, reader);
	e = s->buckets[hash % BUCKETS];
	while (e && (e->hash != hash || !span_equal(entry_key(e), key)))
		e = e->chain;
	if (e && now_ms < e->gone_ms && tags_good(&b->tags, e->slots, e->slot_count, e->loaded)) {
		if (!atomic_load_explicit(&e->visited, memory_order_relaxed))
			atomic_store_explicit(&e->visited, true, memory_order_relaxed);
		entry_hold(e);
	}
	guard_leave(b, s, reader);
	return e;
}

static void
model_put(struct bench *b, struct entry *e)
{
	struct model_shard *s;

	e->hash = hash_table(entry_key(e));
	s = &b->shards[(e->hash >> 48) % SHARDS];
	e->chain = s->buckets[e->hash % BUCKETS];
	s->buckets[e->hash % BUCKETS] = entry_hold(e);
}

/* ---- what is asked ---- */

static struct entry *
typical_entry(struct bench *b, struct span key)
{
	static char body[1200];
	static const char *const names[] = { "course:42", "user:7:courses", "lesson:4711" };
	struct span tags[3];
	uint16_t slots[TAG_MAX];
	struct entry_parts parts = {
		.key = key,
		.etag = span_of("\"0123456789abcdef0123456789abcdef01\""),
		.body = span_make(body, sizeof(body)),
		.slots = slots,
		.loaded = tags_now(&b->tags),
		.expires_ms = 1000,
	};
	struct entry *e;

	for (int i = 0; i < 3; i++)
		tags[i] = span_of(names[i]);
	parts.slot_count = tag_slots(tags, 3, slots);
	e = entry_make(&parts);
	if (!e)
		abort();
	return e;
}

static void
fill(struct bench *b)
{
	for (int i = 0; i < SHARDS; i++) {
		pthread_mutexattr_t attr;

		pthread_rwlock_init(&b->shards[i].rwlock, NULL);
		pthread_mutexattr_init(&attr);
		pthread_mutex_init(&b->shards[i].mutex, &attr);
	}
	b->memory = memory_new(CAP_BYTES, SHARDS, &b->tags);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		int len = snprintf(b->texts[i], sizeof(b->texts[i]),
		    "user:courses:limit:5:page:%u:search:javascript:userId:u%08u", i % 10, i);
		struct entry *e;

		b->keys[i] = span_make(b->texts[i], (size_t)len);
		e = typical_entry(b, b->keys[i]);
		if (!memory_put(b->memory, e))
			abort();
		entry_release(e);
		e = typical_entry(b, b->keys[i]);
		model_put(b, e);
		entry_release(e);
	}
}

static void
choose(struct bench *b, enum load load)
{
	struct zipf z = zipf_new(ENTRIES, 10);
	uint64_t seed = 3;

	for (size_t i = 0; i < sizeof(b->order) / sizeof(b->order[0]); i++) {
		if (load == ONE_KEY)
			b->order[i] = 7;
		else if (load == ZIPF)
			b->order[i] = zipf_draw(&z, &seed);
		else
			b->order[i] = (uint32_t)(trace_random(&seed) % ENTRIES);
	}
	free(z.upto);
}

static void
choose_guard(struct bench *b, enum guard guard)
{
	b->guard = guard;
	for (int i = 0; i < SHARDS && (guard == MUTEX || guard == ADAPTIVE); i++) {
		pthread_mutexattr_t attr;

		pthread_mutex_destroy(&b->shards[i].mutex);
		pthread_mutexattr_init(&attr);
		if (guard == ADAPTIVE)
			pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
		pthread_mutex_init(&b->shards[i].mutex, &attr);
		pthread_mutexattr_destroy(&attr);
	}
}

/* ---- threads ---- */

/* What a reactor does besides, so long that it cannot be left out. */
static void
other_work(unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++)
		__asm__ volatile("" ::: "memory");
}

static double
time_s(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *
run(void *ctx)
{
	struct worker *w = ctx;
	struct bench *b = w->bench;
	uint32_t at = w->at * 9973;
	uint64_t done = 0;

	while (!atomic_load(&b->go))
		;
	while (!atomic_load_explicit(&b->stop, memory_order_relaxed)) {
		for (int i = 0; i < BATCH; i++) {
			struct span key = b->keys[b->order[at++ % (1 << 16)]];

			entry_release(b->guard == REAL ? memory_get(b->memory, key, 0)
						       : model_get(b, key, 0, w->at));
			other_work(b->work);
		}
		done += BATCH;
	}
	w->done = done;
	w->cpu_s = time_s(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

static struct rate
measure(struct bench *b, unsigned threads)
{
	struct worker workers[MAX_THREADS] = { 0 };
	struct timespec window = { 0, (long)b->window_ns };
	uint64_t done = 0;
	double cpu_s = 0;
	double began;
	double took;

	atomic_store(&b->go, false);
	atomic_store(&b->stop, false);
	for (unsigned i = 0; i < threads; i++) {
		workers[i].bench = b;
		workers[i].at = i;
		pthread_create(&workers[i].thread, NULL, run, &workers[i]);
	}
	began = time_s(CLOCK_MONOTONIC);
	atomic_store(&b->go, true);
	nanosleep(&window, NULL);
	atomic_store(&b->stop, true);
	took = time_s(CLOCK_MONOTONIC) - began;
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		done += workers[i].done;
		cpu_s += workers[i].cpu_s;
	}
	return (struct rate){ (double)done / took / 1e6, cpu_s * 1e9 / (double)done };
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
median(double of[ROUNDS])
{
	qsort(of, ROUNDS, sizeof(double), by_value);
	return of[ROUNDS / 2];
}

static void
row(const char *load, const char *what, const char *guard, double rates[3][ROUNDS],
    double cpu[3][ROUNDS])
{
	double one = median(rates[0]);
	double two = median(rates[1]);
	double four = median(rates[2]);

	printf("| %s%s | %s | %.2f | %.2f | %.2f | %.2f | %.2f | %.0f | %.0f |\n", load, what,
	    guard, one, two, four, two / one, four / one, median(cpu[0]), median(cpu[1]));
	fflush(stdout);
}

static void
table(struct bench *b, enum load load, const char *what)
{
	static const unsigned threads[] = { 1, 2, 4 };
	double rates[GUARDS][3][ROUNDS];
	double cpu[GUARDS][3][ROUNDS];

	choose(b, load);
	for (int r = 0; r < ROUNDS; r++) {
		for (unsigned g = 0; g < GUARDS; g++) {
			choose_guard(b, (enum guard)g);
			for (int t = 0; t < 3; t++) {
				struct rate rate = measure(b, threads[t]);

				rates[g][t][r] = rate.per_us;
				cpu[g][t][r] = rate.cpu_ns;
			}
		}
	}
	for (int g = 0; g < GUARDS; g++)
		row(load_names[load], what, guard_names[g], rates[g], cpu[g]);
}

/* One thread, one key, COUNT look-ups: for callgrind. */
static int
count_only(struct bench *b, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++)
		entry_release(memory_get(b->memory, b->keys[7], 0));
	return 0;
}

int
main(int argc, char **argv)
{
	struct bench *b = aligned_alloc(64, (sizeof(*b) + 63) / 64 * 64);

	if (!b)
		return 1;
	memset(b, 0, sizeof(*b));
	fill(b);
	if (argc > 2 && strcmp(argv[1], "count") == 0)
		return count_only(b, strtoul(argv[2], NULL, 10));
	b->window_ns = argc > 1 && strcmp(argv[1], "quick") == 0 ? 30000000 : 100000000;
	printf("| look-ups of | | 1 thread, million/s | 2 threads | 4 threads | 2 to 1 | 4 to 1 "
	       "| CPU ns each, 1 thread | 2 threads |\n"
	       "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
	for (unsigned load = 0; load < LOADS; load++)
		table(b, (enum load)load, "");
	b->work = 3000;
	table(b, ONE_KEY, ", other work between");
	return 0;
}

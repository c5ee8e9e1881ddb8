/*
 * Hit ratios of the memory level (SIEVE) against an exact LRU of the same
 * bytes.  Run by tests/bench/memory, whose --help says what the traces are.
 */
#include "memory_drive.h"

#include <string.h>

#define OBJECTS 100000u
#define SHARDS 16

static size_t requests = 1000000;

/* All bytes that the trace's objects would need. */
static size_t
bytes_of(const struct trace *t, trace_size size)
{
	size_t fixed = drive_bytes(0);
	size_t sum = 0;
	bool *seen = trace_alloc(t->objects, sizeof(bool));

	for (size_t i = 0; i < t->count; i++) {
		uint32_t id = t->at[i] & ~TRACE_RAISE;

		if (!seen[id])
			sum += fixed + size(id);
		seen[id] = true;
	}
	free(seen);
	return sum;
}

static void
row(const char *name, const struct trace *t, const char *cache, trace_size size, size_t cap_bytes)
{
	double lru = drive_lru(t, size, cap_bytes);
	double one = drive_memory(t, size, cap_bytes, 1);
	double many = drive_memory(t, size, cap_bytes, SHARDS);

	printf("| %s | %s | %.3f | %.3f | %.3f | %+.3f | %+.3f |\n", name, cache, lru, one, many,
	    one - lru, many - lru);
	fflush(stdout);
}

static void
rows(const char *name, struct trace t, trace_size size)
{
	static const struct {
		const char *name;
		size_t per_mille;
	} sizes[] = { { "0.1 %", 1 }, { "1 %", 10 }, { "10 %", 100 }, { "50 %", 500 } };
	size_t all = bytes_of(&t, size);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		row(name, &t, sizes[i].name, size, all / 1000 * sizes[i].per_mille);
	free(t.at);
}

/* A loop of LENGTH objects, and room for OBJECTS of them. */
static void
loop_row(const char *name, uint32_t length, uint32_t room)
{
	struct trace t = trace_loop(requests, length);
	char cache[32];

	snprintf(cache, sizeof(cache), "%u objects", room);
	row(name, &t, cache, size_equal, drive_cap(room));
	free(t.at);
}

static void
table(const char *what, trace_size size)
{
	printf("\nObjects of %s.\n\n"
	       "| trace | cache | LRU | SIEVE, 1 shard | SIEVE, %d shards "
	       "| 1 shard - LRU | %d shards - LRU |\n"
	       "| --- | --- | --- | --- | --- | --- | --- |\n",
	    what, SHARDS, SHARDS);
	rows("Zipf 0.7", trace_zipf(requests, OBJECTS, 7), size);
	rows("Zipf 0.9", trace_zipf(requests, OBJECTS, 9), size);
	rows("Zipf 1.0", trace_zipf(requests, OBJECTS, 10), size);
	rows("Zipf 1.2", trace_zipf(requests, OBJECTS, 12), size);
	rows("Zipf 1.0, a quarter asked once", trace_with_once(requests, OBJECTS, 10, 4), size);
	rows("Zipf 1.0, scans", trace_with_scans(requests, OBJECTS, 10, 50000, 10000), size);
	rows("Zipf 1.0, drifting slowly", trace_moving(requests, OBJECTS, 10, 100, 1), size);
	rows("Zipf 1.0, drifting", trace_moving(requests, OBJECTS, 10, 10, 1), size);
	rows("Zipf 1.0, moving", trace_moving(requests, OBJECTS, 10, requests / 10, OBJECTS / 10),
	    size);
	rows("Zipf 1.0, 2 % writes", trace_with_writes(requests, OBJECTS, 10, 50), size);
	rows("Zipf 1.0, 20 % writes", trace_with_writes(requests, OBJECTS, 10, 5), size);
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "quick") == 0)
		requests /= 4;
	table("equal size", size_equal);
	for (uint32_t room = 1000; room <= 10000; room *= 10) {
		loop_row("loop, a tenth smaller than the cache", room / 10 * 9, room);
		loop_row("loop, a tenth larger", room / 10 * 11, room);
		loop_row("loop, twice the cache", room * 2, room);
	}
	table("100 to 12,800 bytes", size_mixed);
	return 0;
}

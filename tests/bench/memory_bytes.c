/*
 * What an entry costs beside its key, ETag and body, and whether what the
 * memory level counts bounds what the process takes.  Run by
 * tests/bench/memory.
 */
#include "memory_drive.h"

#include <malloc.h>
#include <string.h>
#include <unistd.h>

#define ETAG_LEN 36

static size_t entries = 1000000;

/* A key of 60 bytes, as those of lists with a search are. */
static struct span
long_key(size_t n, char key[80])
{
	int len =
	    snprintf(key, 80, "user:courses:limit:5:page:1:search:javascript:userId:u%06zu", n);

	return span_make(key, (size_t)len);
}

static struct entry *
typical(struct tag_table *tags, size_t n, size_t body_len, size_t *beside)
{
	static char body[1 << 16];
	static const struct span names[] = { SPAN("course:42"), SPAN("user:7:courses"),
		SPAN("lesson:4711") };
	static uint16_t slots[TAG_MAX];
	static size_t slot_count;
	char key[80];
	struct entry_parts parts = {
		.key = long_key(n, key),
		.etag = span_make(body, ETAG_LEN),
		.body = span_make(body, body_len),
		.slots = slots,
		.loaded = tags_now(tags),
		.expires_ms = 1000,
	};
	struct entry *e;

	if (slot_count == 0)
		slot_count = tag_slots(names, 3, slots);
	parts.slot_count = slot_count;
	e = entry_make(&parts);
	if (!e)
		abort();
	*beside += parts.key.len + ETAG_LEN + body_len;
	return e;
}

static size_t
heap_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static size_t
resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	size_t all = 0;
	size_t resident = 0;

	if (!f || fscanf(f, "%zu %zu", &all, &resident) != 2)
		abort();
	fclose(f);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void
overhead(struct tag_table *tags)
{
	size_t before = heap_bytes();
	struct memory *m = memory_new(entries * 1500, 16, tags);
	size_t beside = 0;
	struct memory_stats stats;
	double each = 1.0 / (double)entries;
	size_t heap;

	if (!m)
		abort();
	for (size_t i = 0; i < entries; i++) {
		struct entry *e = typical(tags, i, 1200, &beside);

		if (!memory_put(m, e))
			abort();
		entry_release(e);
	}
	heap = heap_bytes() - before;
	memory_read_stats(m, &stats);
	printf("| %zu entries, key 60, ETag %d, body 1200, 7 slots of tags | bytes an entry |\n"
	       "| --- | --- |\n",
	    entries, ETAG_LEN);
	printf("| key, ETag and body | %.1f |\n", (double)beside * each);
	printf("| the heap has grown by | %.1f |\n", (double)heap * each);
	printf("| overhead | %.1f |\n", (double)(heap - beside) * each);
	printf("| of it struct entry | %zu |\n", sizeof(struct entry));
	printf("| of it the table | %.1f |\n", (double)stats.table_bytes * each);
	printf("| counted by the memory level | %.1f |\n\n",
	    (double)(stats.bytes + stats.table_bytes) * each);
	memory_free(m);
	malloc_trim(0);
}

/* Entries of all sizes come and go, ten times what there is room for. */
static void
bound(struct tag_table *tags)
{
	size_t cap = (size_t)64 << 20;
	struct memory *m = memory_new(cap, 16, tags);
	size_t before = resident_bytes();
	size_t seen = 0;
	size_t most = 0;
	uint64_t seed = 4;
	struct memory_stats stats;

	if (!m)
		abort();
	for (size_t i = 0; seen < 10 * cap; i++) {
		size_t len = (size_t)(50 << (trace_random(&seed) % 10));
		struct entry *e =
		    typical(tags, i % 1000000, len + trace_random(&seed) % len, &seen);

		(void)memory_put(m, e);
		entry_release(e);
		if (i % 1000 == 0 && resident_bytes() > most)
			most = resident_bytes();
	}
	memory_read_stats(m, &stats);
	printf("| bodies of 50 to 51,200 bytes, ten times what there is room for | MB |\n"
	       "| --- | --- |\n");
	printf("| bound | %.1f |\n", (double)cap / 1e6);
	printf("| counted by the memory level | %.1f |\n",
	    (double)(stats.bytes + stats.table_bytes) / 1e6);
	printf("| the process has grown by, at most | %.1f |\n", (double)(most - before) / 1e6);
	memory_free(m);
}

int
main(int argc, char **argv)
{
	static struct tag_table tags;

	if (argc > 1 && strcmp(argv[1], "quick") == 0)
		entries /= 10;
	overhead(&tags);
	bound(&tags);
	return 0;
}

#include "tally.h"

#include <limits.h>
#include <stdarg.h>

#define FILES 20
#define SAY_BYTES 400

_Atomic uint64_t tally_counters[COUNTERS];

static _Atomic uint64_t violations[VIOLATIONS];
static const char *folder = ".";
static pthread_mutex_t file_lock = PTHREAD_MUTEX_INITIALIZER;
static int files;

static const char *const counter_words[] = {
#define X(name, word) word,
	COUNTER_TABLE(X)
#undef X
};

static const char *const violation_words[] = {
#define X(name, word) word,
	VIOLATION_TABLE(X)
#undef X
};

void
tally_folder(const char *path)
{
	folder = path;
}

uint64_t
tally_violations(void)
{
	uint64_t sum = 0;

	for (int v = 0; v < VIOLATIONS; v++)
		sum += atomic_load(&violations[v]);
	return sum;
}

static void
write_file(const char *path, const char *what, const struct evidence *e)
{
	FILE *f = fopen(path, "we");

	if (!f)
		return;
	fprintf(f, "%s\n\n", what);
	if (e->key)
		fprintf(f, "key %s, shown v=%llu, acknowledged before the read began v=%llu\n",
		    e->key->id, (unsigned long long)e->shown, (unsigned long long)e->floor);
	if (e->began_ns)
		fprintf(f, "began %.6f, ended %.6f\n\n", (double)e->began_ns / 1e9,
		    (double)e->ended_ns / 1e9);
	if (e->key)
		key_print(e->key, e->shown, f);
	if (e->request)
		fprintf(f, "\n--- request\n%.*s", SPAN_ARG(*e->request));
	if (e->answer)
		fprintf(f, "--- answer\n%.*s\n%.*s\n", SPAN_ARG(e->answer->head),
		    SPAN_ARG(e->answer->body));
	fclose(f);
}

void
tally_violation(enum violation v, const struct evidence *e, const char *format, ...)
{
	char what[SAY_BYTES], path[PATH_MAX];
	va_list args;
	int n;

	atomic_fetch_add(&violations[v], 1);
	pthread_mutex_lock(&file_lock);
	n = ++files;
	if (n <= FILES) {
		int at = snprintf(what, sizeof(what), "%s: ", violation_words[v]);

		va_start(args, format);
		vsnprintf(what + at, sizeof(what) - (size_t)at, format, args);
		va_end(args);
		snprintf(path, sizeof(path), "%s/violation-%d.txt", folder, n);
		write_file(path, what, e);
		printf("  VIOLATION %s\n            %s\n", what, path);
		fflush(stdout);
	}
	pthread_mutex_unlock(&file_lock);
}

void
tally_print(FILE *to)
{
	for (int c = 0; c < COUNTERS; c++)
		fprintf(to, "%s %llu\n", counter_words[c],
		    (unsigned long long)atomic_load(&tally_counters[c]));
	for (int v = 0; v < VIOLATIONS; v++)
		fprintf(to, "%s %llu\n", violation_words[v],
		    (unsigned long long)atomic_load(&violations[v]));
}

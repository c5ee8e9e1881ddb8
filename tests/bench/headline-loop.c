/*
 * One prepared statement in a bare libpq loop: what a read costs without
 * anything around it.  tests/bench/headline drives it.
 *
 * usage: headline-loop CONNINFO SQL-FILE PARAMETERS-FILE [PAUSE-US]
 *
 * With a pause before each, the server has gone to sleep meanwhile, as it has
 * before a miss.
 *
 * PARAMETERS-FILE: a line for each execution, parameters with tabs between
 * them.  Prints p50 and p99 in microseconds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <postgresql/libpq-fe.h>

#define PARAMS_MAX 8
#define LINES_MAX 100000
#define SQL_BYTES 65536

static uint32_t times[LINES_MAX];

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
check(PGconn *conn, PGresult *res, ExecStatusType want)
{
	if (PQresultStatus(res) != want) {
		fprintf(stderr, "headline-loop: %s", PQerrorMessage(conn));
		exit(1);
	}
	PQclear(res);
}

static PGconn *
prepare(const char *conninfo, const char *file)
{
	static char sql[SQL_BYTES];
	PGconn *conn = PQconnectdb(conninfo);
	FILE *f = fopen(file, "r");

	if (!f || !fread(sql, 1, sizeof(sql) - 1, f)) {
		perror(file);
		exit(1);
	}
	fclose(f);
	check(conn, PQprepare(conn, "it", sql, 0, NULL), PGRES_COMMAND_OK);
	return conn;
}

/* Split at tabs, in place. */
static int
split(char *line, const char **values)
{
	char *rest = line;
	int n = 0;

	line[strcspn(line, "\n")] = '\0';
	while (rest && n < PARAMS_MAX)
		values[n++] = strsep(&rest, "\t");
	return n;
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

int
main(int argc, char **argv)
{
	const char *values[PARAMS_MAX];
	char line[4096];
	size_t n = 0;
	unsigned pause_us;
	PGconn *conn;
	FILE *f;

	if (argc < 4) {
		fputs(
		    "usage: headline-loop CONNINFO SQL-FILE PARAMETERS-FILE [PAUSE-US]\n", stderr);
		return 2;
	}
	pause_us = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
	conn = prepare(argv[1], argv[2]);
	f = fopen(argv[3], "r");
	while (f && n < LINES_MAX && fgets(line, sizeof(line), f)) {
		int count = split(line, values);
		int64_t began;

		if (pause_us)
			usleep(pause_us);
		began = now_us();
		check(conn, PQexecPrepared(conn, "it", count, values, NULL, NULL, 1),
		    PGRES_TUPLES_OK);
		times[n++] = (uint32_t)(now_us() - began);
	}
	PQfinish(conn);
	if (n == 0)
		return 1;
	qsort(times, n, sizeof(times[0]), by_size);
	printf("{\"n\": %zu, \"p50\": %u, \"p99\": %u}\n", n, times[n / 2], times[n * 99 / 100]);
	return 0;
}

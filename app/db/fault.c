#include "db/fault.h"

#include <stddef.h>
#include <string.h>

static const struct fault_meaning meanings[] = {
#define X(name, word, status, drop, drop_all, repeat) \
	[name] = { word, status, drop, drop_all, repeat },
	FAULT_TABLE(X)
#undef X
};

/* By prefix; the first that fits.  What is not here is our own mistake. */
static const struct {
	const char *prefix;
	enum fault fault;
} classes[] = {
	{ "08", FAULT_LOST }, /* connection exceptions */
	{ "57P", FAULT_LOST }, /* shutdown, crash, starting, idle too long */
	{ "25P03", FAULT_LOST }, /* idle in transaction too long */
	{ "57014", FAULT_CANCELED }, { "53", FAULT_CROWDED }, /* connections, memory, disk */
	{ "40001", FAULT_DEADLOCK }, { "40P01", FAULT_DEADLOCK }, { "55P03", FAULT_LOCKED },
	{ "23505", FAULT_CONFLICT }, /* unique */
	{ "23503", FAULT_CONFLICT }, /* foreign key */
	{ "23P01", FAULT_CONFLICT }, /* exclusion */
	{ "25006", FAULT_READ_ONLY }, { "26000", FAULT_STALE }, /* no such prepared statement */
	{ "22021", FAULT_PARAM }, /* not in the encoding */
};

const struct fault_meaning *
fault_meaning(enum fault f)
{
	return &meanings[f];
}

enum fault
fault_of_sqlstate(const char *sqlstate)
{
	if (!sqlstate)
		return FAULT_LOST;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (strncmp(sqlstate, classes[i].prefix, strlen(classes[i].prefix)) == 0)
			return classes[i].fault;
	}
	return FAULT_WRONG;
}

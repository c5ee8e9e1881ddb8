/*
 * The database itself, without pupitre.  One thread a connection; one that
 * failed is made anew.
 */
#ifndef CONSISTENCY_DATABASE_H
#define CONSISTENCY_DATABASE_H

#include "plan.h"

struct database;

struct database *database_new(const char *conninfo);
void database_free(struct database *db);
/* Why the last call failed. */
const char *database_error(struct database *db);
/* Write TEXT to the key's row.  False: not known to be committed. */
bool database_update(struct database *db, const struct key *k, const char *text);
/* The key's text into OUT; false: no such row, or no answer. */
bool database_text(struct database *db, const struct key *k, char *out, size_t bytes);
/*
 * How often each of the names "made 1" to "made LAST" stands in the course,
 * into TIMES; false without an answer.  *OTHERS counts the rest.
 */
bool database_made(
    struct database *db, const char *course, uint64_t last, int *times, uint64_t *others);
/* Wait until pupitre has no transaction under way; false: it did not end, or
 * the database cannot be reached, for SECONDS. */
bool database_quiet(struct database *db, int seconds);

#endif

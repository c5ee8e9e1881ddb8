/*
 * Numbered migrations (sql/migrations/NNNN_name.sql, built in), each run once
 * in a transaction of its own, recorded in pupitre.migration.  An advisory
 * lock lets several processes try at once.  On an existing Prisma database
 * they add only the schema pupitre and indexes.
 */
#ifndef DB_MIGRATE_H
#define DB_MIGRATE_H

#include <stdio.h>

#include "db/db.h"

struct migration {
	int number;
	const char *name;
	const char *text;
};

/* Run those of the COUNT migrations that have not run; says each on SAY. */
enum status migrate_up(struct db *db, const struct migration *all, int count, FILE *say) MUST_CHECK;
/* *missing is how many have not run. */
enum status migrate_check(struct db *db, int count, int *missing) MUST_CHECK;

#endif

/*
 * Connection strings.  Pure; any thread.
 */
#ifndef DB_URL_H
#define DB_URL_H

#include "base/buf.h"

/*
 * Make of URL what libpq understands.  Parameters that only Prisma knows
 * (connection_limit, pool_timeout, pgbouncer, socket_timeout,
 * statement_cache_size, sslaccept, ...) are left out; schema=NAME goes to
 * SCHEMA (NUL-ended, ROOM bytes; empty if there is none).  A key=value
 * connection string passes unchanged.  False, with a word in *WHY, if it is
 * neither, or the schema's name is not [A-Za-z0-9_]+.
 */
bool url_for_libpq(const char *url, struct buf *out, char *schema, size_t room, const char **why);
#endif

/*
 * The settings: one table with name, type, unit, bounds, default and help.
 * The --help text, the checks and the README's table are made from it.
 * Values come from the environment, then from the file that
 * PUPITRE_ENV_FILE names (NAME=value lines), then from the default.
 * Read once at start; settings marked RELOAD are read again on HUP.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"

enum setting_type { SETTING_NUMBER, SETTING_TEXT, SETTING_SECRET, SETTING_CHOICE };
enum setting_reload { FIXED, RELOAD };

/* field, name, type, unit or choices, default, min, max, reload, help.
 * Defaults are text; NULL is "not set". */
#define SETTINGS(X) \
	X(database_url, "DATABASE_URL", TEXT, "url", NULL, 0, 0, FIXED, \
	    "PostgreSQL, as libpq or Prisma write it") \
	X(redis_url, "REDIS_URL", SECRET, "url", NULL, 0, 0, FIXED, \
	    "redis://, rediss:// or unix://; not set: memory alone") \
	X(upstash_url, "UPSTASH_REDIS_REST_URL", TEXT, "url", NULL, 0, 0, FIXED, \
	    "instead of REDIS_URL: the host of the same Upstash database") \
	X(upstash_token, "UPSTASH_REDIS_REST_TOKEN", SECRET, "token", NULL, 0, 0, FIXED, \
	    "its password") \
	X(env_file, "PUPITRE_ENV_FILE", TEXT, "path", NULL, 0, 0, FIXED, \
	    "more settings, NAME=value a line; read again on HUP") \
	X(listen_path, "PUPITRE_LISTEN", TEXT, "path", NULL, 0, 0, FIXED, \
	    "unix socket to make; not set: the socket on fd 0, or systemd's") \
	X(reactors, "PUPITRE_REACTORS", NUMBER, "threads", "0", 0, 64, FIXED, \
	    "event loops; 0: one a core") \
	X(workers, "PUPITRE_WORKERS", NUMBER, "threads", "16", 1, 256, FIXED, \
	    "threads for what may block") \
	X(queue_limit, "PUPITRE_QUEUE", NUMBER, "jobs", "256", 1, 65536, FIXED, \
	    "jobs that may wait for a worker; more answer 503 at once") \
	X(connections, "PUPITRE_CONNECTIONS", NUMBER, "connections", "4096", 16, 65536, FIXED, \
	    "open FastCGI connections of one event loop") \
	X(request_ms, "PUPITRE_REQUEST_MS", NUMBER, "ms", "5000", 100, 60000, FIXED, \
	    "a begun request must have arrived whole by then") \
	X(send_ms, "PUPITRE_SEND_MS", NUMBER, "ms", "10000", 100, 600000, FIXED, \
	    "an answer must have been taken by then") \
	X(drain_ms, "PUPITRE_DRAIN_MS", NUMBER, "ms", "10000", 0, 600000, FIXED, \
	    "after TERM, requests under way may take this long") \
	X(memory_bytes, "PUPITRE_MEMORY_BYTES", NUMBER, "bytes", "268435456", 1048576, \
	    1099511627776, FIXED, "bound of the memory level") \
	X(anonymous_keys, "PUPITRE_ANONYMOUS_KEYS", NUMBER, "keys", "1000", 0, 1000000, FIXED, \
	    "new keys that anonymous requests may put into Redis in one life time") \
	X(redis_prefix, "PUPITRE_REDIS_PREFIX", TEXT, "text", "pupitre:", 0, 32, FIXED, \
	    "begins every key of ours in Redis") \
	X(redis_ms, "PUPITRE_REDIS_MS", NUMBER, "ms", "50", 1, 10000, FIXED, \
	    "a Redis answer is waited for no longer, in total") \
	X(redis_connect_ms, "PUPITRE_REDIS_CONNECT_MS", NUMBER, "ms", "250", 1, 10000, FIXED, \
	    "a Redis connection, with TLS and login, in total") \
	X(breaker_failures, "PUPITRE_BREAKER_FAILURES", NUMBER, "failures", "3", 1, 1000, FIXED, \
	    "failures in a row that open the circuit to Redis") \
	X(breaker_ms, "PUPITRE_BREAKER_MS", NUMBER, "ms", "500", 10, 60000, FIXED, \
	    "an open circuit is tried again after this long") \
	X(db_pool, "PUPITRE_DB_POOL", NUMBER, "connections", "8", 1, 256, FIXED, \
	    "PostgreSQL connections, at most") \
	X(db_reads, "PUPITRE_DB_READS", NUMBER, "reads", "0", 0, 256, FIXED, \
	    "begun at once (0: as many as connections); see deploy/README.md") \
	X(db_wait_ms, "PUPITRE_DB_WAIT_MS", NUMBER, "ms", "1000", 1, 60000, FIXED, \
	    "a connection of the pool is waited for no longer") \
	X(db_connect_ms, "PUPITRE_DB_CONNECT_MS", NUMBER, "ms", "1000", 10, 60000, FIXED, \
	    "a new PostgreSQL connection, in total") \
	X(db_statement_ms, "PUPITRE_DB_STATEMENT_MS", NUMBER, "ms", "2000", 10, 600000, FIXED, \
	    "statement_timeout; the app itself waits 500 ms more") \
	X(db_max_age_s, "PUPITRE_DB_MAX_AGE_S", NUMBER, "s", "1800", 10, 86400, FIXED, \
	    "a PostgreSQL connection is replaced when older") \
	X(ttl_search_results_s, "PUPITRE_TTL_SEARCH_RESULTS_S", NUMBER, "s", "300", 1, 86400, \
	    RELOAD, "life of a list of courses or people") \
	X(ttl_course_detail_s, "PUPITRE_TTL_COURSE_DETAIL_S", NUMBER, "s", "3600", 1, 86400, \
	    RELOAD, "life of a course") \
	X(ttl_lesson_detail_s, "PUPITRE_TTL_LESSON_DETAIL_S", NUMBER, "s", "1800", 1, 86400, \
	    RELOAD, "life of a lesson") \
	X(ttl_lesson_list_s, "PUPITRE_TTL_LESSON_LIST_S", NUMBER, "s", "300", 1, 86400, RELOAD, \
	    "life of a list of lessons") \
	X(ttl_user_progress_s, "PUPITRE_TTL_USER_PROGRESS_S", NUMBER, "s", "600", 1, 86400, \
	    RELOAD, "life of somebody's progress") \
	X(ttl_session_s, "PUPITRE_TTL_SESSION_S", NUMBER, "s", "300", 1, 86400, RELOAD, \
	    "life of a session that was looked up") \
	X(ttl_absent_s, "PUPITRE_TTL_ABSENT_S", NUMBER, "s", "15", 1, 3600, RELOAD, \
	    "life of the knowledge that there is no such course or lesson") \
	X(grace_s, "PUPITRE_GRACE_S", NUMBER, "s", "30", 0, 86400, RELOAD, \
	    "an entry whose life has ended is served this long while it is refreshed") \
	X(stale_s, "PUPITRE_STALE_S", NUMBER, "s", "3600", 0, 86400, RELOAD, \
	    "... and this long while PostgreSQL is down, marked as stale") \
	X(mode, "PUPITRE_MODE", CHOICE, "bounded strict", "bounded", 0, 0, FIXED, \
	    "with several instances: others' writes show within ms, or at once") \
	X(heard_ms, "PUPITRE_HEARD_MS", NUMBER, "ms", "1000", 100, 60000, FIXED, \
	    "the cache is trusted no longer without word from PostgreSQL") \
	X(outbox_keep_s, "PUPITRE_OUTBOX_KEEP_S", NUMBER, "s", "3600", 10, 604800, FIXED, \
	    "changes are kept this long for who was away") \
	X(outbox_rows, "PUPITRE_OUTBOX_ROWS", NUMBER, "rows", "100000", 100, 10000000, FIXED, \
	    "... and no more of them than this") \
	X(identity, "PUPITRE_IDENTITY", CHOICE, "session gateway", "session", 0, 0, FIXED, \
	    "who says who calls: our sessions, or AUTH_USER_ID from nginx") \
	X(session_days, "PUPITRE_SESSION_DAYS", NUMBER, "days", "30", 1, 3650, FIXED, \
	    "life of a session made by login") \
	X(login_parallel, "PUPITRE_LOGIN_PARALLEL", NUMBER, "logins", "2", 1, 64, FIXED, \
	    "passwords hashed at once (64 MiB each)") \
	X(login_wait_ms, "PUPITRE_LOGIN_WAIT_MS", NUMBER, "ms", "1000", 0, 60000, FIXED, \
	    "a login waits no longer for its turn") \
	X(trusted_origins, "PUPITRE_TRUSTED_ORIGINS", TEXT, "origins", NULL, 0, 0, FIXED, \
	    "origins that may write with a cookie beside our own, with spaces") \
	X(operator_token, "PUPITRE_OPERATOR_TOKEN", SECRET, "token", NULL, 16, 256, FIXED, \
	    "opens /api/test/cache without a session") \
	X(warm_keys, "PUPITRE_WARM_KEYS", NUMBER, "keys", "500", 0, 10000, FIXED, \
	    "the most read are noted, and loaded again after a start or a clear") \
	X(warm_rate, "PUPITRE_WARM_RATE", NUMBER, "keys/s", "50", 1, 10000, RELOAD, \
	    "... so many a second at most, while nobody waits for a worker") \
	X(shadow, "PUPITRE_MODELS", NUMBER, "keys", "32768", 0, 1000000, FIXED, \
	    "sampled, to show what more memory or another strategy would hit (0: off)") \
	X(stretch, "PUPITRE_ADAPTIVE_TTL", NUMBER, "times", "1", 1, 24, FIXED, \
	    "a prefix whose entries are changed before they expire may live so much longer (1: off)") \
	X(log_level, "PUPITRE_LOG_LEVEL", CHOICE, "error warn info debug", "info", 0, 0, RELOAD, \
	    "requests are logged at info") \
	X(log_format, "PUPITRE_LOG_FORMAT", CHOICE, "json logfmt", "json", 0, 0, FIXED, \
	    "how a line of the log looks")

/* C type of each setting type: a number is int64_t; a choice is the index of
 * its word; text and secrets are strings that live as long as the config. */
#define SETTING_C_NUMBER int64_t
#define SETTING_C_CHOICE int64_t
#define SETTING_C_TEXT char *
#define SETTING_C_SECRET char *

struct config {
#define X(field, name, type, unit, fallback, min, max, reload, help) SETTING_C_##type field;
	SETTINGS(X)
#undef X
};

/*
 * Read every setting.  ENVIRON is a NULL-ended list of NAME=value.  On any
 * fault (unknown PUPITRE_ name, wrong type, out of bounds, unreadable file)
 * one line a fault, without any secret's value, is put into FAULTS and the
 * result is false; *c is then still safe to free.
 * For TEXT and SECRET settings min and max bound the length (0: no bound).
 */
bool config_read(struct config *c, char *const environ[], struct buf *faults);
/* As above for the RELOAD settings alone; *c is unchanged when false. */
bool config_reload(struct config *c, char *const environ[], struct buf *faults);
void config_free(struct config *c);
/* The table as text, for --help. */
void config_help(FILE *to);
/* The settings in force, for --check: secrets and passwords within URLs are
 * shown as "(set)" or "***". */
void config_show(const struct config *c, FILE *to);

#endif

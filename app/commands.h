/*
 * The commands that are not the server.  Each returns the exit code: 0, or 1
 * with what is wrong on stderr.
 */
#ifndef APP_COMMANDS_H
#define APP_COMMANDS_H

#include "base/config.h"
#include "db/db.h"

/* pupitre --check: the settings in force, then each connection. */
int command_check(const struct config *config);
/* pupitre migrate */
int command_migrate(const struct config *config);
/* pupitre demo [--size N] */
int command_demo(const struct config *config, int argc, char **argv);
/* pupitre user create --email E [--name N] [--role R] [--password-stdin] */
int command_user_create(const struct config *config, int argc, char **argv);
/* pupitre session create --user EMAIL [--days N] */
int command_session_create(const struct config *config, int argc, char **argv);

/* What main.c and the commands open in the same way; NULL, with a sentence on
 * stderr, when the setting makes no sense. */
struct db *open_db(const struct config *config);
/* NULL in *REMOTE without Redis; false when the URL makes no sense. */
struct remote;
bool open_remote(const struct config *config, struct remote **remote);
/* The same, with the sentence in *WHY. */
bool try_remote(const struct config *config, struct remote **remote, const char **why);

#endif

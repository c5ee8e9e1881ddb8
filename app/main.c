/*
 * Wires everything: settings, then the parts from the bottom up, then a wait
 * for signals.  All signals are blocked in every thread; this one takes them
 * one by one: HUP reads levels and life times again, TERM and INT end.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/sink.h"
#include "base/version.h"
#include "commands.h"
#include "db/migrate.h"
#include "hear.h"
#include "routes/call.h"
#include "routes/handlers.h"
#include "routes/question.h"
#include "routes/survey.h"
#include "routes/tend.h"
#include "routes/warm.h"
#include "sql.h"
#include "web/listen.h"
#include "web/traffic.h"

extern char **environ;

static const char usage[] =
    "pupitre - the JSON API of a course platform, as a FastCGI application\n"
    "\n"
    "  pupitre                        serve; the socket is descriptor 0 (spawn-fcgi),\n"
    "                                 systemd's, or PUPITRE_LISTEN\n"
    "  pupitre --check                test the settings and the connections\n"
    "  pupitre --help                 this text\n"
    "  pupitre --version\n"
    "  pupitre migrate                bring the database up to date\n"
    "  pupitre demo [--size COURSES]  load a school to try, with two accounts\n"
    "  pupitre user create --email EMAIL [--name NAME] [--role USER|ADMIN]\n"
    "                      [--password-stdin]\n"
    "  pupitre session create --user EMAIL [--days N]\n"
    "                                 print a token for \"Authorization: Bearer\"\n"
    "\n"
    "Signals: TERM and INT end after the requests under way; HUP reads the\n"
    "settings marked with * again, from PUPITRE_ENV_FILE.\n"
    "\n"
    "Settings, from the environment:\n\n";

static void
set_ttls(struct cache *cache, const struct config *c)
{
	cache_set_ttl(cache, SEARCH_RESULTS, c->ttl_search_results_s * 1000);
	cache_set_ttl(cache, COURSE_DETAIL, c->ttl_course_detail_s * 1000);
	cache_set_ttl(cache, LESSON_DETAIL, c->ttl_lesson_detail_s * 1000);
	cache_set_ttl(cache, LESSON_LIST, c->ttl_lesson_list_s * 1000);
	cache_set_ttl(cache, USER_PROGRESS, c->ttl_user_progress_s * 1000);
	cache_set_ttl(cache, SESSION_LOOKUP, c->ttl_session_s * 1000);
	cache_set_ttl(cache, ABSENCE, c->ttl_absent_s * 1000);
	cache_set_keep(cache, c->grace_s * 1000, c->stale_s * 1000);
}

static void
say_faults(const struct buf *faults)
{
	struct span s = buf_span(faults);

	fprintf(stderr, "pupitre: the settings are not valid; pupitre --help lists them\n%.*s",
	    SPAN_ARG(s));
}

static void
reload(struct config *config, struct cache *cache)
{
	struct buf faults;

	buf_init(&faults, 65536);
	if (config_reload(config, environ, &faults)) {
		set_ttls(cache, config);
		log_set_level((enum log_level)config->log_level);
		log_event(LOG_INFO, "reload", "log level and life times read again");
	} else {
		log_event(LOG_ERROR, "reload", "kept as it was: %.*s", SPAN_ARG(buf_span(&faults)));
	}
	buf_free(&faults);
}

static void
block_signals(sigset_t *waited)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	sigemptyset(waited);
	sigaddset(waited, SIGTERM);
	sigaddset(waited, SIGINT);
	sigaddset(waited, SIGHUP);
}

static void
wait_for_end(const sigset_t *waited, struct config *config, struct cache *cache)
{
	for (;;) {
		int sig = sigwaitinfo(waited, NULL);

		if (sig == SIGHUP)
			reload(config, cache);
		else if (sig == SIGTERM || sig == SIGINT)
			return;
	}
}

static int
reactors_of(const struct config *config)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (config->reactors)
		return (int)config->reactors;
	return cores < 1 ? 1 : cores > 64 ? 64 : (int)cores;
}

/* A descriptor for each connection, and some for the rest; as many as the
 * system lets us have. */
static void
allow_descriptors(const struct config *config)
{
	rlim_t want = (rlim_t)(config->connections * reactors_of(config) + 1024);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= want)
		return;
	limit.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < want)
		log_event(LOG_INFO, "start", "at most %llu descriptors",
		    (unsigned long long)limit.rlim_cur);
}

/* Not fatal: the database may come up, or be migrated, later. */
static void
look_at_database(struct db *db)
{
	int missing = 0;

	if (migrate_check(db, SQL_MIGRATIONS, &missing) != OK)
		log_event(LOG_WARN, "database", "cannot be reached yet");
	else if (missing)
		log_event(
		    LOG_WARN, "database", "%d migrations have not run: pupitre migrate", missing);
}

static bool
open_app(struct app *app, const struct config *config, struct cache_policy *policies,
    struct listener **listener)
{
	struct cache_config cc = {
		.memory_bytes = (size_t)config->memory_bytes,
		.anonymous_keys = (size_t)config->anonymous_keys,
		.policies = policies,
		.load_ctx = app,
		.now_ms = clock_ms,
		.heard_ms = config->heard_ms,
		.strict = config->mode == 1,
		.shadow_objects = (size_t)config->shadow,
	};

	app->config = config;
	app->db = open_db(config);
	if (!app->db || !open_remote(config, &app->remote))
		return false;
	if (cc.strict && !app->remote) {
		fputs("pupitre: PUPITRE_MODE=strict needs Redis\n", stderr);
		return false;
	}
	app->workers = workers_start((size_t)config->workers, (size_t)config->queue_limit);
	app->passwords = password_gate_new((int)config->login_parallel, (int)config->login_wait_ms);
	cc.workers = app->workers;
	cc.remote = app->remote;
	cc.policy_count = call_policies(policies);
	app->cache = cache_new(&cc);
	app->plans = plans_make();
	app->surveyor = surveyor_new();
	app->traffic = metrics_reserve((unsigned)(route_count + 1) * TRAFFIC_CELLS);
	app->delays = metrics_reserve(METRICS_HISTOGRAM);
	app->started_ms = clock_wall_ms();
	openapi_prepare();
	if (!app->workers || !app->passwords || !app->cache || !app->plans || !app->surveyor)
		return false;
	app->warm = warm_new(app);
	if (!app->warm)
		return false;
	*listener = hear_start(app);
	app->tend = *listener ? tend_start(app) : NULL;
	return app->tend != NULL;
}

static void
close_app(struct app *app)
{
	tend_free(app->tend);
	warm_free(app->warm);
	surveyor_free(app->surveyor);
	cache_free(app->cache);
	plans_free(app->plans);
	password_gate_free(app->passwords);
	if (app->remote)
		remote_close(app->remote);
	if (app->db)
		db_close(app->db);
}

static struct server *
start_server(struct app *app, int listen_fd)
{
	struct server_config sc = {
		.listen_fd = listen_fd,
		.reactors = reactors_of(app->config),
		.connections = (int)app->config->connections,
		.request_ms = (int)app->config->request_ms,
		.send_ms = (int)app->config->send_ms,
		.cells = app->traffic + (unsigned)route_count * TRAFFIC_CELLS,
		.app = app,
		.handle = call_handle,
	};

	return server_start(&sc);
}

static int
serve(struct config *config)
{
	static struct cache_policy policies[CACHE_MAX_POLICIES];
	struct app app = { 0 };
	struct server *server = NULL;
	struct listener *listener = NULL;
	const char *why = NULL;
	sigset_t waited;
	int listen_fd = listen_open(config->listen_path, &why);

	if (listen_fd < 0) {
		fprintf(stderr, "pupitre: %s\n", why);
		return 1;
	}
	block_signals(&waited);
	allow_descriptors(config);
	if (!sink_start())
		log_event(LOG_WARN, "log", "no thread for it: lines are written where they arise");
	if (open_app(&app, config, policies, &listener)) {
		set_ttls(app.cache, config);
		look_at_database(app.db);
		server = start_server(&app, listen_fd);
		atomic_store(&app.server, server);
	}
	if (server) {
		log_event(LOG_INFO, "start", "pupitre " PUPITRE_VERSION ", process %d", getpid());
		wait_for_end(&waited, config, app.cache);
		log_event(LOG_INFO, "stop", "finishing requests under way");
		if (!server_stop(server, (int)config->drain_ms)) {
			log_event(LOG_WARN, "stop", "some requests did not end in time");
			_exit(0);
		}
	}
	tend_stop(app.tend);
	if (app.workers)
		workers_stop(app.workers);
	listener_stop(listener);
	server_free(server);
	sink_stop();
	close_app(&app);
	listen_close(listen_fd, config->listen_path);
	return server ? 0 : 1;
}

static bool
is_command(int argc, char **argv, const char *first, const char *second)
{
	return argc > (second ? 2 : 1) && strcmp(argv[1], first) == 0 &&
	    (!second || strcmp(argv[2], second) == 0);
}

static int
run(struct config *config, int argc, char **argv)
{
	if (argc == 1)
		return serve(config);
	if (is_command(argc, argv, "--check", NULL))
		return command_check(config);
	if (is_command(argc, argv, "migrate", NULL))
		return command_migrate(config);
	if (is_command(argc, argv, "demo", NULL))
		return command_demo(config, argc - 1, argv + 1);
	if (is_command(argc, argv, "user", "create"))
		return command_user_create(config, argc - 2, argv + 2);
	if (is_command(argc, argv, "session", "create"))
		return command_session_create(config, argc - 2, argv + 2);
	fprintf(stderr, "pupitre: no such command: %s; pupitre --help lists them\n", argv[1]);
	return 2;
}

int
main(int argc, char **argv)
{
	struct config config;
	struct buf faults;
	int code;

	if (is_command(argc, argv, "--help", NULL)) {
		fputs(usage, stdout);
		config_help(stdout);
		return 0;
	}
	if (is_command(argc, argv, "--version", NULL)) {
		puts("pupitre " PUPITRE_VERSION);
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	if (!random_start()) {
		fputs("pupitre: libsodium cannot start\n", stderr);
		return 1;
	}
	buf_init(&faults, 65536);
	if (config_read(&config, environ, &faults)) {
		log_set_level((enum log_level)config.log_level);
		log_set_format((enum log_format)config.log_format);
		code = run(&config, argc, argv);
	} else {
		say_faults(&faults);
		code = 1;
	}
	config_free(&config);
	buf_free(&faults);
	return code;
}

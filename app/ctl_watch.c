/*
 * The live view, on a terminal; or with --json one answer a line.  An interrupt
 * ends both in good order: it is let in only while nothing is under way, so that
 * the terminal is given back as it was found.
 */
#include "ctl.h"

#include <errno.h>
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define QUERY "action=overview"
#define EVERY_MS 2000
#define PATIENCE_MS 2000 /* so long an interrupt may have to wait */

/* ---- the end ---- */

static volatile sig_atomic_t ended;

static void
end(int sig)
{
	(void)sig;
	ended = 1;
}

/* From here on a signal that ends it comes in only during pause_until(), which
 * lets in what *during says.  Who was started to be deaf to one stays so. */
static void
hold_signals(sigset_t *during)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction was;
	struct sigaction now = { .sa_handler = end };
	sigset_t held;

	sigemptyset(&held);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (sigaction(signals[i], NULL, &was) != 0 || was.sa_handler == SIG_IGN)
			continue;
		sigaction(signals[i], &now, NULL);
		sigaddset(&held, signals[i]);
	}
	sigprocmask(SIG_BLOCK, &held, during);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigdelset(during, signals[i]);
}

/* Until then, a signal, or something from FD (-1: nobody): that is true. */
static bool
pause_until(int64_t until_ms, int fd, const sigset_t *during)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left = until_ms - clock_ms();
	struct timespec t = { 0 };

	if (left > 0)
		t = (struct timespec){ .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000 };
	return ppoll(&p, 1, &t, during) > 0;
}

/* ---- for programs ---- */

/* The first must be an answer; later ones may be errors: it goes on. */
static int
stream(const struct ctl_options *o)
{
	int64_t next = clock_ms();
	bool answered = false;
	sigset_t during;

	hold_signals(&during);
	while (!ended) {
		struct ctl_answer a;
		int code = ctl_answer(o, QUERY, PATIENCE_MS, &a);

		if (code != CTL_FINE && !answered)
			return code;
		if (code == CTL_FINE) {
			ctl_put_json(a.body, a.len);
			free(a.body);
		}
		answered = true;
		if (ferror(stdout))
			return CTL_FAILED;
		next = clock_ms() > next + EVERY_MS ? clock_ms() : next + EVERY_MS;
		while (!ended && clock_ms() < next)
			(void)pause_until(next, -1, &during);
	}
	return CTL_FINE;
}

/* ---- for people ---- */

struct view {
	struct ctl_health was;
	struct ctl_health now;
	int64_t answered_ms;
	const char *why; /* there was no answer since */
};

static void
put_rates(const struct ctl_health *was, const struct ctl_health *now)
{
	double s = now->now_s - was->now_s;
	double hits = (double)(now->hits - was->hits);
	double redis = (double)(now->redis_hits - was->redis_hits);
	double misses = (double)(now->misses - was->misses);

	if (s <= 0) {
		printw("rates in two seconds\n");
		return;
	}
	printw("%10.1f requests/s\n", (double)(now->requests - was->requests) / s);
	printw("%10.1f hits/s in memory, %.1f in Redis, %.1f loads/s", hits / s, redis / s,
	    misses / s);
	if (hits + redis + misses > 0)
		printw(", %.1f%% hits", 100 * (hits + redis) / (hits + redis + misses));
	printw("\n%10.1f evicted/s, %.1f invalidated/s\n",
	    (double)(now->evictions - was->evictions) / s,
	    (double)(now->invalidated - was->invalidated) / s);
	if (now->wait_s - was->wait_s > 0.05 * s)
		printw(
		    "%10.1f s in each second are waited for a connection: the pool of %lld is too "
		    "small\n",
		    (now->wait_s - was->wait_s) / s, now->pool);
}

static void
put_state(const char *name, const char *state, bool good)
{
	printw("%-11s", name);
	if (!good)
		attron(A_REVERSE);
	printw("%s", state);
	if (!good)
		attroff(A_REVERSE);
	printw("   ");
}

/* One line at most: what is longer is cut at the terminal's edge. */
static void
put_line(const char *text)
{
	char cut[160];
	int left = COLS - getcurx(stdscr);

	ctl_clean(cut, left > 0 && (size_t)left < sizeof(cut) ? (size_t)left : sizeof(cut), text);
	printw("%s\n", cut);
}

static void
draw(const struct view *v)
{
	const struct ctl_health *now = &v->now;
	int64_t age_ms = clock_ms() - v->answered_ms;

	erase();
	printw("pupitre on %s, %s mode; q ends\n", now->instance, now->mode);
	if (age_ms > 2 * EVERY_MS)
		printw("OLD: no answer for %lld s (%s)\n", (long long)age_ms / 1000, v->why);
	put_state("\nPostgreSQL ", now->postgres, strcmp(now->postgres, "up") == 0);
	put_state(
	    "Redis ", now->redis, strcmp(now->redis, "up") == 0 || strcmp(now->redis, "none") == 0);
	put_state("listener ", now->trusted ? "trusted" : "silent", now->trusted);
	printw("\nmemory     %lld entries, %.1f of %.0f MB; %lld loads under way, queue %lld\n\n",
	    now->entries, (double)now->bytes / 1048576, (double)now->capacity / 1048576,
	    now->flights, now->queue);
	put_rates(&v->was, now);
	printw("\nmost read\n");
	for (int i = 0; i < now->hottest_count; i++) {
		printw("%10lld ", now->reads[i]);
		put_line(now->hottest[i]);
	}
	printw("\nlatest invalidations\n");
	for (int i = 0; i < now->recent_count; i++) {
		printw("  ");
		put_line(now->recent[i]);
	}
	refresh();
}

/* Ask once more. */
static void
look(const struct ctl_options *o, struct view *v)
{
	struct ctl_answer a;
	struct ctl_health next;

	if (!ctl_ask(o->socket, QUERY, PATIENCE_MS, &a, &v->why))
		return;
	if (a.status == 200 && ctl_read_health(&a, &next)) {
		v->was = v->now;
		v->now = next;
		v->answered_ms = clock_ms();
	} else {
		v->why = "what it answers makes no sense";
	}
	free(a.body);
}

/* Until it is time to look again; false: it was the end. */
static bool
serve_keys(struct view *v, int64_t until_ms, const sigset_t *during)
{
	while (!ended && clock_ms() < until_ms) {
		bool typed = pause_until(until_ms, STDIN_FILENO, during);
		int key = getch();

		if (key == 'q' || key == 'Q' || (typed && key == ERR))
			return false; /* nothing to be read: the terminal has gone */
		if (key == KEY_RESIZE)
			draw(v);
	}
	return !ended;
}

static int
live(const struct ctl_options *o)
{
	struct view v = { .why = "" };
	struct ctl_answer a;
	int code = ctl_answer(o, QUERY, CTL_PATIENCE_MS, &a);
	SCREEN *screen;
	sigset_t during;

	if (code != CTL_FINE)
		return code;
	if (!ctl_read_health(&a, &v.now))
		code = ctl_fail(o, CTL_FAILED,
		    "the answer makes no sense: are pupitre and pupitrectl of one version?");
	free(a.body);
	if (code != CTL_FINE)
		return code;
	v.was = v.now;
	v.answered_ms = clock_ms();
	hold_signals(&during);
	setlocale(LC_ALL, "");
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return ctl_fail(o, CTL_FAILED, "watch does not know this terminal; see TERM");
	cbreak();
	noecho();
	curs_set(0);
	timeout(0);
	for (draw(&v); serve_keys(&v, clock_ms() + EVERY_MS, &during); draw(&v))
		look(o, &v);
	endwin();
	delscreen(screen);
	return CTL_FINE;
}

int
ctl_watch(const struct ctl_options *o)
{
	if (o->json)
		return stream(o);
	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return ctl_fail(o, CTL_USAGE, "watch needs a terminal, or --json");
	return live(o);
}

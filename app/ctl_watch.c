#include "ctl.h"

#include <locale.h>
#include <ncurses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define EVERY_MS 2000

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

static void
draw(const struct ctl_health *was, const struct ctl_health *now, int64_t age_ms, const char *why)
{
	erase();
	printw("pupitre on %s, %s mode; q ends\n", now->instance, now->mode);
	if (age_ms > 2 * EVERY_MS)
		printw("OLD: no answer for %lld s (%s)\n", (long long)age_ms / 1000, why);
	put_state("\nPostgreSQL ", now->postgres, strcmp(now->postgres, "up") == 0);
	put_state(
	    "Redis ", now->redis, strcmp(now->redis, "up") == 0 || strcmp(now->redis, "none") == 0);
	put_state("listener ", now->trusted ? "trusted" : "silent", now->trusted);
	printw("\nmemory     %lld entries, %.1f of %.0f MB; %lld loads under way, queue %lld\n\n",
	    now->entries, (double)now->bytes / 1048576, (double)now->capacity / 1048576,
	    now->flights, now->queue);
	put_rates(was, now);
	printw("\nmost read\n");
	for (int i = 0; i < now->hottest_count; i++)
		printw("%10lld %s\n", now->reads[i], now->hottest[i]);
	printw("\nlatest invalidations\n");
	for (int i = 0; i < now->recent_count; i++)
		printw("  %s\n", now->recent[i]);
	refresh();
}

int
ctl_watch(const struct ctl_options *o)
{
	struct ctl_health was = { 0 };
	struct ctl_health now = { 0 };
	const char *why = "no answer yet";
	int64_t answered = 0;
	int key = 0;

	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)) {
		fputs("pupitrectl: watch needs a terminal; stats --json is for programs\n", stderr);
		return CTL_USAGE;
	}
	setlocale(LC_ALL, "");
	if (!initscr())
		return CTL_FAILED;
	cbreak();
	noecho();
	curs_set(0);
	timeout(EVERY_MS);
	while (key != 'q' && key != 'Q') {
		struct ctl_answer a;
		struct ctl_health next;

		if (key == KEY_RESIZE) {
			draw(&was, &now, clock_ms() - answered, why);
			key = getch();
			continue;
		}
		if (ctl_ask(o->socket, "/api/test/cache", "action=overview", &a, &why)) {
			if (a.status == 200 && ctl_read_health(a.body, &next)) {
				was = answered ? now : next;
				now = next;
				answered = clock_ms();
			}
			free(a.body);
		} else if (!answered) {
			endwin();
			fprintf(stderr, "pupitrectl: %s: %s\n", o->socket, why);
			return CTL_UNREACHABLE;
		}
		draw(&was, &now, clock_ms() - answered, why);
		key = getch();
	}
	endwin();
	return CTL_FINE;
}

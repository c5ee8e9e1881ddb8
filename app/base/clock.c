#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t
read_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t
clock_ms(void)
{
	return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t
clock_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

struct timespec
clock_in_ms(int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	ms += t.tv_nsec / 1000000;
	t.tv_sec += ms / 1000;
	t.tv_nsec = ms % 1000 * 1000000 + t.tv_nsec % 1000000;
	return t;
}

void
clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

int64_t
clock_wall_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000;
}

void
clock_iso(int64_t wall_ms, char out[CLOCK_ISO_BYTES])
{
	static _Thread_local time_t last = -1;
	static _Thread_local char text[64];
	time_t seconds = (time_t)(wall_ms / 1000);
	int ms = (int)(wall_ms % 1000);

	if (seconds != last) {
		struct tm t;

		gmtime_r(&seconds, &t);
		snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.000Z", t.tm_year + 1900,
		    t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
		last = seconds;
	}
	memcpy(out, text, CLOCK_ISO_BYTES - 1);
	out[CLOCK_ISO_BYTES - 1] = '\0';
	out[20] = (char)('0' + ms / 100);
	out[21] = (char)('0' + ms / 10 % 10);
	out[22] = (char)('0' + ms % 10);
}

#include "base/clock.h"

#include <stdio.h>
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

int64_t
clock_wall_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000;
}

void
clock_iso(int64_t wall_ms, char out[CLOCK_ISO_BYTES])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	char text[64];
	struct tm t;

	gmtime_r(&seconds, &t);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.tm_year + 1900,
	    t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, (int)(wall_ms % 1000));
	snprintf(out, CLOCK_ISO_BYTES, "%.24s", text);
}

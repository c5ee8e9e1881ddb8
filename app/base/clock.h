/*
 * The two clocks.  Functions that decide by time take the time as an
 * argument; only the edges of the program read it here.  Any thread.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* Never goes back; no relation to the date. */
int64_t clock_ms(void);
int64_t clock_us(void);
/* That clock, so much later, for waiting with a condition made by the next. */
struct timespec clock_in_ms(int64_t ms);
/* Its waits end by the monotonic clock. */
void clock_cond_init(pthread_cond_t *cond);
/* Milliseconds since 1970, UTC; may jump. */
int64_t clock_wall_ms(void);

/* "2025-08-10T09:30:00.000Z" and a NUL. */
#define CLOCK_ISO_BYTES 25
void clock_iso(int64_t wall_ms, char out[CLOCK_ISO_BYTES]);

#endif

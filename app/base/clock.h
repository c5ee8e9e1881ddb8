/*
 * The two clocks.  Functions that decide by time take the time as an
 * argument; only the edges of the program read it here.  Any thread.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Never goes back; no relation to the date. */
int64_t clock_ms(void);
int64_t clock_us(void);
/* Milliseconds since 1970, UTC; may jump. */
int64_t clock_wall_ms(void);

/* "2025-08-10T09:30:00.000Z" and a NUL. */
#define CLOCK_ISO_BYTES 25
void clock_iso(int64_t wall_ms, char out[CLOCK_ISO_BYTES]);

#endif

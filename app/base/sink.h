/*
 * Bytes on their way to stderr, so that no thread that answers requests waits
 * for a disk, a pipe, or somebody else who writes.  One thread of its own
 * writes; what finds no room is dropped.
 */
#ifndef BASE_SINK_H
#define BASE_SINK_H

#include <stdint.h>

#include "base/span.h"

/* Once, before threads that put; without it sink_put() takes nothing.  False if
 * the thread cannot be made. */
bool sink_start(void);
/* Writes what is there and ends the thread.  After all who put have ended. */
void sink_stop(void);
/*
 * Any thread; holds a short lock and never blocks beyond it.  LINES are whole
 * lines, all of which are taken or dropped.  False: there is no sink.
 */
bool sink_put(struct span lines);
/* How many bytes since this was last called. */
size_t sink_dropped(void);
/* And since the start. */
uint64_t sink_lost(void);
/* Here and now: into a file at once, into a pipe only what it has room for. */
void sink_write(struct span lines);

#endif

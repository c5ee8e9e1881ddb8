/*
 * What was asked and what came of it, counted by route: answers by status, and
 * how long they took, those from memory apart.  Reactors count; any thread may
 * read.
 */
#ifndef WEB_TRAFFIC_H
#define WEB_TRAFFIC_H

#include <stdbool.h>

#include "base/metrics.h"
#include "base/status.h"

/* The cells of one route. */
enum {
	TRAFFIC_STATUS,
	TRAFFIC_HIT = TRAFFIC_STATUS + STATUS_COUNT,
	TRAFFIC_OTHER = TRAFFIC_HIT + METRICS_HISTOGRAM,
	TRAFFIC_CELLS = TRAFFIC_OTHER + METRICS_HISTOGRAM
};

/* HIT: it was answered from memory. */
static inline void
traffic_count(unsigned first, enum status st, bool hit, int64_t us)
{
	metrics_add(first + TRAFFIC_STATUS + st, 1);
	metrics_time(first + (hit ? TRAFFIC_HIT : TRAFFIC_OTHER), us);
}

#endif

/*
 * An answer as FastCGI records (FastCGI 1.0, sections 3.3 and 5.5): the head
 * and the body are cut into STDOUT records by pointing at them, nothing is
 * copied, and writev() sends them as far as the socket takes them.  One
 * thread at a time.
 */
#ifndef WEB_FRAME_H
#define WEB_FRAME_H

#include <stdint.h>
#include <sys/uio.h>

#include "base/arena.h"

struct frame {
	struct iovec *parts;
	size_t count;
	size_t next;
	size_t bytes; /* in all */
};

/* HEAD and BODY must stay until it is sent.  False without memory. */
bool frame_make(
    struct frame *f, struct arena *arena, uint16_t id, struct span head, struct span body);

enum frame_sent { FRAME_DONE, FRAME_AGAIN, FRAME_LOST };

/* Write what FD (non-blocking) takes now. */
enum frame_sent frame_send(struct frame *f, int fd);

#endif

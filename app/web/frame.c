#include "web/frame.h"

#include <errno.h>
#include <sys/socket.h>

#define HEADER_BYTES 8
#define STDOUT 6
#define END_REQUEST 3
/* The longest content of a record that is a multiple of 8. */
#define RECORD_BYTES 65528
/* An empty STDOUT record ends the stream, END_REQUEST the request. */
#define TAIL_BYTES (HEADER_BYTES + HEADER_BYTES + 8)
#define PARTS_AT_ONCE 64

static void
put_header(char *to, int type, uint16_t id, size_t content)
{
	to[0] = 1;
	to[1] = (char)type;
	to[2] = (char)(id >> 8);
	to[3] = (char)(id & 255);
	to[4] = (char)(content >> 8);
	to[5] = (char)(content & 255);
	to[6] = 0;
	to[7] = 0;
}

static void
add(struct frame *f, const char *at, size_t len)
{
	f->parts[f->count].iov_base = (char *)(uintptr_t)at;
	f->parts[f->count].iov_len = len;
	f->count++;
	f->bytes += len;
}

/* One record of up to RECORD_BYTES: first what is left of HEAD, then BODY. */
static void
add_record(struct frame *f, char *header, uint16_t id, struct span *head, struct span *body)
{
	size_t from_head = head->len < RECORD_BYTES ? head->len : RECORD_BYTES;
	size_t from_body =
	    body->len < RECORD_BYTES - from_head ? body->len : RECORD_BYTES - from_head;

	put_header(header, STDOUT, id, from_head + from_body);
	add(f, header, HEADER_BYTES);
	if (from_head)
		add(f, head->at, from_head);
	if (from_body)
		add(f, body->at, from_body);
	*head = span_skip(*head, from_head);
	*body = span_skip(*body, from_body);
}

bool
frame_make(struct frame *f, struct arena *arena, uint16_t id, struct span head, struct span body)
{
	size_t records = (head.len + body.len + RECORD_BYTES - 1) / RECORD_BYTES;
	char *headers = arena_alloc(arena, records * HEADER_BYTES + TAIL_BYTES);

	memset(f, 0, sizeof(*f));
	/* A record that spans both has three parts, any other two. */
	f->parts = arena_alloc(arena, (records * 2 + 2) * sizeof(f->parts[0]));
	if (!headers || !f->parts)
		return false;
	for (; head.len || body.len; headers += HEADER_BYTES)
		add_record(f, headers, id, &head, &body);
	put_header(headers, STDOUT, id, 0);
	put_header(headers + HEADER_BYTES, END_REQUEST, id, 8);
	memset(headers + 2 * HEADER_BYTES, 0, 8); /* status 0, REQUEST_COMPLETE */
	add(f, headers, TAIL_BYTES);
	return true;
}

static void
advance(struct frame *f, size_t sent)
{
	while (sent) {
		struct iovec *part = &f->parts[f->next];

		if (sent < part->iov_len) {
			part->iov_base = (char *)part->iov_base + sent;
			part->iov_len -= sent;
			return;
		}
		sent -= part->iov_len;
		f->next++;
	}
}

enum frame_sent
frame_send(struct frame *f, int fd)
{
	while (f->next < f->count) {
		size_t left = f->count - f->next;
		struct msghdr message = {
			.msg_iov = &f->parts[f->next],
			.msg_iovlen = left < PARTS_AT_ONCE ? left : PARTS_AT_ONCE,
		};
		ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? FRAME_AGAIN : FRAME_LOST;
		advance(f, (size_t)sent);
	}
	return FRAME_DONE;
}

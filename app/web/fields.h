/*
 * Typed fields of a JSON body; fields.c is the one file that knows json-c.  A
 * table says what a body may hold.  Refused, each fault with its field: what
 * is not strict UTF-8 JSON, unknown or doubled fields, wrong types, bounds,
 * U+0000.  Workers or reactors; one thread a request.
 */
#ifndef WEB_FIELDS_H
#define WEB_FIELDS_H

#include "web/request.h"

enum field_type {
	FIELD_NAME, /* min to max characters after trimming, no control characters */
	FIELD_TEXT, /* min to max characters; line ends and tabs are fine */
	FIELD_URL, /* http or https, with a host, up to max characters */
	FIELD_WORD, /* one of the words in choices */
	FIELD_RANK, /* a whole number min to max, as a number or as text */
	FIELD_SECRET /* min to max bytes, anything; never echoed */
};

struct field {
	const char *name; /* NULL ends the table */
	enum field_type type;
	bool required;
	int64_t min;
	int64_t max;
	const char *choices; /* "DRAFT PUBLISHED" */
};

#define FIELDS_MAX 8

/*
 * Read rq->body by TABLE; VALUES[i] belongs to TABLE[i] and lives in the
 * arena; .at is NULL where an optional field is absent.
 *   OK           at least one field is there
 *   BAD_MEDIA    the content type is not JSON
 *   TOO_LARGE    the body was cut off at its cap
 *   BAD_REQUEST  rq->faults says what is wrong
 */
enum status fields_read(
    struct request *rq, const struct field *table, struct span values[FIELDS_MAX]) MUST_CHECK;

#endif

/*
 * What a step can come to.  One list for every layer, so that a status made
 * in the database pool travels unchanged to the place that writes the answer.
 * Each has an HTTP code, a word for machines and a sentence for people.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#define STATUS_TABLE(X) \
	X(OK, 200, "ok", "OK") \
	X(CREATED, 201, "created", "Created") \
	X(NOT_MODIFIED, 304, "not_modified", "Not modified") \
	X(BAD_REQUEST, 400, "bad_request", "The request is not valid.") \
	X(UNAUTHENTICATED, 401, "unauthenticated", "Sign in first.") \
	X(FORBIDDEN, 403, "forbidden", "You may not do this.") \
	X(NOT_FOUND, 404, "not_found", "There is nothing here.") \
	X(BAD_METHOD, 405, "method_not_allowed", "This address does not know that method.") \
	X(CONFLICT, 409, "conflict", "This collides with what is stored.") \
	X(TOO_LARGE, 413, "too_large", "The body is larger than 64 KiB.") \
	X(BAD_MEDIA, 415, "unsupported_media_type", "Send JSON, as application/json.") \
	X(TOO_MANY, 429, "too_many_requests", "Too many attempts; wait.") \
	X(INTERNAL, 500, "internal", "Something broke on our side.") \
	X(BUSY, 503, "busy", "Too much at once; try again in a moment.") \
	X(UNAVAILABLE, 503, "unavailable", \
	    "The database cannot be reached; try again in a moment.") \
	X(NOT_SHARED, 503, "not_shared", \
	    "Nothing was saved: Redis, which all instances share, does not answer.") \
	X(UNKNOWN_OUTCOME, 503, "unknown_outcome", \
	    "It may have been saved, or not; look before you repeat.")

enum status {
#define X(name, code, word, text) name,
	STATUS_TABLE(X)
#undef X
	    STATUS_COUNT
};

/* Constant strings; any thread. */
int status_code(enum status st);
const char *status_word(enum status st);
const char *status_text(enum status st);
/* The status whose word is WORD, or INTERNAL. */
enum status status_from_word(const char *word, unsigned long len);

#define MUST_CHECK __attribute__((warn_unused_result))

#endif

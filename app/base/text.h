/*
 * Checks and codings of text.  Pure; any thread.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdint.h>

#include "base/span.h"

/* Bytes of the well-formed UTF-8 sequence that S begins with; 0: none. */
size_t text_sequence(struct span s);
/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool text_is_utf8(struct span s);
/* Code points of well-formed UTF-8. */
size_t text_length(struct span s);
/* Has a control character (U+0000 to U+001F, U+007F to U+009F)? */
bool text_has_control(struct span s);
/* Without white space (ASCII) at both ends. */
struct span text_trim(struct span s);
/*
 * Undo percent-encoding (RFC 3986 section 2.1), and '+' for a space, of a
 * query component into OUT, which has room for IN.len bytes.  False on a
 * broken escape or an encoded NUL.
 */
bool text_unescape(struct span in, char *out, size_t *out_len);
/* A whole, canonical or zero-padded decimal number of at most 18 digits. */
bool text_number(struct span s, int64_t *out);
/* Letters, digits, '-', '_', '.', '~'; 1 to 64 of them: an id we may look up. */
bool text_is_id(struct span s);

/* N in decimal, at the end of ROOM. */
#define TEXT_DIGITS 24
struct span text_digits(int64_t n, char room[TEXT_DIGITS]);

#endif

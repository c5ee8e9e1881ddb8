#include "base/status.h"

#include <string.h>

static const struct {
	int code;
	const char *word;
	const char *text;
} table[STATUS_COUNT] = {
#define X(name, code, word, text) [name] = { code, word, text },
	STATUS_TABLE(X)
#undef X
};

int
status_code(enum status st)
{
	return table[st].code;
}

const char *
status_word(enum status st)
{
	return table[st].word;
}

const char *
status_text(enum status st)
{
	return table[st].text;
}

enum status
status_from_word(const char *word, unsigned long len)
{
	for (int i = 0; i < STATUS_COUNT; i++) {
		if (strlen(table[i].word) == len && memcmp(table[i].word, word, len) == 0)
			return (enum status)i;
	}
	return INTERNAL;
}

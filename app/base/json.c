#include "base/json.h"

#include <math.h>

static void
begin(struct json *j, const char *name)
{
	if (j->more)
		buf_char(j->to, ',');
	j->more = true;
	if (!name)
		return;
	buf_json(j->to, span_of(name));
	buf_char(j->to, ':');
}

void
json_open(struct json *j, const char *name, char bracket)
{
	begin(j, name);
	buf_char(j->to, bracket);
	j->more = false;
}

void
json_close(struct json *j, char bracket)
{
	buf_char(j->to, bracket);
	j->more = true;
}

void
json_whole(struct json *j, const char *name, int64_t n)
{
	begin(j, name);
	buf_number(j->to, n);
}

void
json_real(struct json *j, const char *name, double x)
{
	begin(j, name);
	if (isfinite(x))
		buf_printf(j->to, "%.6f", x);
	else
		buf_text(j->to, "null");
}

void
json_bool(struct json *j, const char *name, bool is)
{
	begin(j, name);
	buf_text(j->to, is ? "true" : "false");
}

void
json_text(struct json *j, const char *name, struct span text)
{
	begin(j, name);
	buf_json(j->to, text);
}

void
json_raw(struct json *j, const char *name, struct span text)
{
	begin(j, name);
	if (text.len)
		buf_span_add(j->to, text);
	else
		buf_text(j->to, "null");
}

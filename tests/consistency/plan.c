#include "plan.h"

#include <stdlib.h>

#define LINE_BYTES 1024

static bool
read_person(const char *line, struct person *list, int *count)
{
	struct person *one = &list[*count];

	if (*count == MAX_PEOPLE)
		return false;
	++*count;
	return sscanf(line, "%*s %39s %63s", one->id, one->token) == 2;
}

static bool
read_key(const char *line, struct plan *p)
{
	struct key *k = &p->keys[p->key_count];
	char kind[8], way[8], state[8];

	if (p->key_count == MAX_KEYS)
		return false;
	if (sscanf(line, "key %7s %39s %d %39s %7s %d %7s", kind, k->id, &k->owner, k->course, way,
		&k->writer, state) != 7)
		return false;
	k->kind = strcmp(kind, "course") == 0 ? COURSE : LESSON;
	k->way = strcmp(way, "http") == 0 ? BY_HTTP : BY_SQL;
	k->is_public = strcmp(state, "public") == 0;
	if (k->writer >= p->writers[k->way])
		p->writers[k->way] = k->writer + 1;
	p->key_count++;
	return k->owner >= 0 && k->owner < p->owner_count && key_init(k);
}

static bool
read_line(const char *line, struct plan *p)
{
	if (sscanf(line, "port %d", &p->port) == 1)
		return true;
	if (sscanf(line, "database %511[^\n]", p->database) == 1)
		return true;
	if (strncmp(line, "owner ", 6) == 0)
		return read_person(line, p->owners, &p->owner_count);
	if (strncmp(line, "learner ", 8) == 0)
		return read_person(line, p->learners, &p->learner_count);
	if (strncmp(line, "key ", 4) == 0)
		return read_key(line, p);
	return sscanf(line, "maker %39s %d", p->maker_course, &p->maker) == 2;
}

bool
plan_read(const char *path, struct plan *out)
{
	char line[LINE_BYTES];
	FILE *f = fopen(path, "re");
	bool ok = f != NULL;

	*out = (struct plan){ .maker = -1 };
	out->keys = calloc(MAX_KEYS, sizeof(*out->keys));
	if (!out->keys)
		abort();
	while (ok && fgets(line, sizeof(line), f)) {
		ok = read_line(line, out);
		if (!ok)
			fprintf(stderr, "judge: %s: not understood: %s", path, line);
	}
	if (f)
		fclose(f);
	if (ok && (!out->port || !out->learner_count || !out->key_count)) {
		fprintf(stderr, "judge: %s: not complete\n", path);
		return false;
	}
	return ok;
}

/*
 * What `nginx -T` prints: each file behind a line "# configuration file NAME:".
 * A directive is looked for where requests are passed to pupitre, so that what
 * is right for one location does not hide what is wrong for another.
 */
#include "ctl_doctor.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web/request.h"

#define NGINX_BYTES ((size_t)4 << 20)
#define HEADING "# configuration file "
#define DIRECTIVE "^[[:space:]]*"
#define PASS DIRECTIVE "fastcgi_pass[[:space:]]+[^;]*pupitre"

/* ---- its text ---- */

static char *
read_all(FILE *f)
{
	char *text = malloc(NGINX_BYTES);
	size_t n = text ? fread(text, 1, NGINX_BYTES - 1, f) : 0;

	if (text)
		text[n] = '\0';
	if (n > 0)
		return text;
	free(text);
	return NULL;
}

static char *
ask_nginx(void)
{
	FILE *f = popen("PATH=$PATH:/usr/sbin:/usr/local/sbin nginx -T 2>/dev/null", "r");
	char *text = f ? read_all(f) : NULL;

	if (f)
		pclose(f);
	return text;
}

/* NULL, with *WHY: it cannot be read, or there is nothing in it. */
static char *
read_file(const char *name, const char **why)
{
	FILE *f = fopen(name, "re");
	char *text;

	*why = f ? "there is nothing in it" : strerror(errno);
	if (!f)
		return NULL;
	text = read_all(f);
	if (ferror(f))
		*why = strerror(errno);
	fclose(f);
	return text;
}

/* How often PATTERN is in TEXT, once a line at most. */
static int
count(const char *text, const char *pattern)
{
	regmatch_t at;
	regex_t r;
	int n = 0;

	if (regcomp(&r, pattern, REG_EXTENDED | REG_NEWLINE) != 0)
		return 0;
	while (*text && regexec(&r, text, 1, &at, 0) == 0) {
		n++;
		text += at.rm_eo;
		text += strcspn(text, "\n");
		text += *text != '\0';
	}
	regfree(&r);
	return n;
}

static bool
has(const char *text, const char *pattern)
{
	return count(text, pattern) > 0;
}

/* The next of its files, malloc'd; *AT goes behind it. */
static char *
next_file(const char **at)
{
	const char *end = **at ? strstr(*at + 1, "\n" HEADING) : NULL;
	char *text = !**at ? NULL : end ? strndup(*at, (size_t)(end + 1 - *at)) : strdup(*at);

	*at = end ? end + 1 : *at + strlen(*at);
	return text;
}

/* Does NAME have VALUE wherever requests are passed on?  Each fastcgi_pass has
 * one in its file, or it is said for all where nothing is passed on. */
static bool
is_set(const char *text, const char *name, const char *value)
{
	char pattern[128];
	char *file;
	bool everywhere = true;
	bool above = false;

	snprintf(pattern, sizeof(pattern), DIRECTIVE "%s[[:space:]]+%s[[:space:]]*;", name, value);
	while ((file = next_file(&text))) {
		int passes = count(file, PASS);
		int right = count(file, pattern);

		above = above || (passes == 0 && right > 0);
		everywhere = everywhere && right >= passes;
		free(file);
	}
	return everywhere || above;
}

/* ---- what is in it ---- */

/* Those that every request needs; a gateway's and the operator's are apart. */
static bool
is_needed(const char *name)
{
	return strcmp(name, "AUTH_USER_ID") != 0 && strcmp(name, "AUTH_USER_ROLE") != 0 &&
	    strcmp(name, "OPERATOR_NETWORK") != 0 && strcmp(name, "PUPITRE_CONTROL") != 0;
}

static void
look_at_params(struct doctor *d, const char *text)
{
	static const char *const names[] = {
#define X(field, name) name,
		REQUEST_PARAMS(X)
#undef X
	};
	char missing[512] = "not passed on, so pupitre is blind to it:";
	char pattern[128];
	size_t n = strlen(missing);
	bool all = true;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(pattern, sizeof(pattern),
		    DIRECTIVE "fastcgi_param[[:space:]]+%s[[:space:]]", names[i]);
		if (!is_needed(names[i]) || has(text, pattern))
			continue;
		all = false;
		if (n < sizeof(missing))
			n += (size_t)snprintf(missing + n, sizeof(missing) - n, " %s", names[i]);
	}
	doctor_check(d, all, "nginx: parameters", missing);
	doctor_check(d, !has(text, DIRECTIVE "fastcgi_param[[:space:]]+PUPITRE_CONTROL"),
	    "nginx: no operator by nginx",
	    "PUPITRE_CONTROL makes everybody the operator: take it out at once");
}

static void
look_at_passing(struct doctor *d, const char *text)
{
	doctor_check(d, is_set(text, "fastcgi_pass_request_headers", "off"),
	    "nginx: clients' headers",
	    "fastcgi_pass_request_headers must be off wherever requests are passed to pupitre");
	doctor_check(d, is_set(text, "fastcgi_keep_conn", "on"), "nginx: kept connections",
	    "fastcgi_keep_conn must be on wherever requests are passed to pupitre, or each costs a "
	    "connection");
	doctor_check(d, is_set(text, "fastcgi_next_upstream", "off"), "nginx: no repetition",
	    "fastcgi_next_upstream must be off wherever requests are passed to pupitre, or a write "
	    "may be made twice");
}

/* Ours are "deny all"; a network that is everybody's is not told by that. */
static void
look_at_metrics(struct doctor *d, const char *text)
{
	const char *begin = strstr(text, "pupitre-operator.conf:\n");
	const char *at = begin;
	char *file = at ? next_file(&at) : NULL;
	const char *rules = file ? file : text;

	doctor_check(d,
	    !has(text, DIRECTIVE "fastcgi_param[[:space:]]+OPERATOR_NETWORK") ||
		(has(rules, DIRECTIVE "deny[[:space:]]+all[[:space:]]*;") &&
		    !(file && has(file, DIRECTIVE "allow[[:space:]]+(all|0\\.0\\.0\\.0/0|::/0)"))),
	    "nginx: /metrics", "everybody may read it: pupitre-operator.conf must end in deny all");
	free(file);
}

static void
look_at_text(struct doctor *d, const char *text)
{
	look_at_params(d, text);
	look_at_passing(d, text);
	look_at_metrics(d, text);
	doctor_good(d, "nginx: the page", "%s",
	    strstr(text, "/_pupitre/admin") ? "/admin/cache/, for admins"
					    : "not served; include pupitre-admin.conf beside "
					      "pupitre-server.conf if you want /admin/cache/");
}

void
doctor_nginx(struct doctor *d)
{
	const char *name = d->options->nginx;
	const char *why = "";
	char *text = name ? read_file(name, &why) : ask_nginx();

	if (!text && name)
		doctor_fail(d, "nginx", "%s: %s", name, why);
	else if (!text)
		doctor_warn(d, "nginx", "%s",
		    "its configuration cannot be read: run this as root, or see what nginx -t finds "
		    "wrong; or on the machine that has it: nginx -T > FILE, and --nginx FILE here");
	else if (!strstr(text, "pupitre"))
		doctor_warn(d, "nginx", "%s",
		    "its configuration has no pupitre: include pupitre-http.conf and "
		    "pupitre-server.conf (deploy/README.md), or give the right one: --nginx FILE");
	else
		look_at_text(d, text);
	free(text);
}

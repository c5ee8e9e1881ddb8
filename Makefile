# pupitre.  `make help` says what there is.

SHELL = /bin/sh
VARIANT ?= release
BUILD = .build/$(VARIANT)
VERSION = 0.1.0

prefix ?= /usr/local
bindir = $(prefix)/bin
datadir = $(prefix)/share/pupitre
docdir = $(prefix)/share/doc/pupitre
unitdir = $(prefix)/lib/systemd/system
mandir = $(prefix)/share/man
completiondir = $(prefix)/share/bash-completion/completions

ifeq ($(origin CC),default)
CC = gcc
endif
WARN = -Wall -Wextra -Wshadow -Wconversion -Werror
CPPFLAGS_ALL = -D_GNU_SOURCE -DPUPITRE_VERSION='"$(VERSION)"' -Iapp -I. -I$(BUILD)/gen $(CPPFLAGS)
LIBS = -lpq -lhiredis -ljson-c -lsodium -lssl -lcrypto -lz -lm -lpthread

FLAGS_release = -O2 -g -fstack-protector-strong -fPIE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
LINK_release = -pie -Wl,-z,relro,-z,now
FLAGS_asan = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all
LINK_asan = -fsanitize=address,undefined
FLAGS_tsan = -O1 -g -fno-omit-frame-pointer -fsanitize=thread
LINK_tsan = -fsanitize=thread

CFLAGS_ALL = -std=gnu11 $(WARN) $(FLAGS_$(VARIANT)) $(CFLAGS)
LDFLAGS_ALL = $(LINK_$(VARIANT)) $(LDFLAGS)

SOURCES = $(sort $(wildcard app/*.c app/*/*.c routes/*.c))
CTL_SOURCES = $(sort $(wildcard app/ctl*.c))
LIB_SOURCES = $(filter-out app/main.c $(CTL_SOURCES),$(SOURCES))
OBJECTS = $(LIB_SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/gen/sql.o
TESTS = $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/test_*.c)))
SQL_FILES = $(sort $(wildcard sql/queries/*.sql sql/migrations/*.sql sql/demo/*.sql))

.PHONY: all help up down test unit judge fuzz asan tsan bench page torture mutants lint format install uninstall clean FORCE

all: $(BUILD)/pupitre $(BUILD)/pupitrectl ## build .build/release/pupitre and pupitrectl

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

$(BUILD)/pupitre: $(BUILD)/app/main.o $(BUILD)/libpupitre.a
	@echo '  LINK  $@'
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

$(BUILD)/pupitrectl: $(CTL_SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/libpupitre.a
	@echo '  LINK  $@'
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lncursesw

$(BUILD)/libpupitre.a: $(OBJECTS)
	@rm -f $@
	@echo '  AR    $@'
	@ar rcs $@ $(OBJECTS)

$(BUILD)/%.o: %.c $(BUILD)/gen/sql.h $(BUILD)/flags
	@mkdir -p $(@D)
	@echo '  CC    $@'
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/routes/openapi.o: routes/openapi.json

$(BUILD)/gen/sql.o: $(BUILD)/gen/sql.c $(BUILD)/flags
	@echo '  CC    $@'
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -Wno-overlength-strings -MMD -MP -c -o $@ $<

# The list of files is a dependency too, so that a file that goes is noticed.
$(BUILD)/gen/sql.c $(BUILD)/gen/sql.h: $(BUILD)/gen/stamp ;
$(BUILD)/gen/stamp: sql/embed $(SQL_FILES) $(BUILD)/sql-files
	@sh sql/embed $(BUILD)/gen
	@touch $@

$(BUILD)/sql-files: FORCE
	@mkdir -p $(@D)
	@echo '$(SQL_FILES)' | cmp -s - $@ || echo '$(SQL_FILES)' > $@

$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL)' | cmp -s - $@ || \
		echo '$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL)' > $@

# ---- tests

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libpupitre.a
	@mkdir -p $(@D)
	@echo '  CC    $@'
	@$(CC) $(CPPFLAGS_ALL) -Itests/unit $(CFLAGS_ALL) $(LDFLAGS_ALL) -MMD -MP -o $@ $< \
		$(BUILD)/libpupitre.a -lcmocka $(LIBS)

# Who judges whether an answer may be what it is; tests/consistency/run.
JUDGE_SOURCES = $(sort $(wildcard tests/consistency/*.c))
judge: $(BUILD)/judge ## build the judge of consistency (tests/consistency/run uses it)
$(BUILD)/judge: $(JUDGE_SOURCES) $(wildcard tests/consistency/*.h) app/base/span.h $(BUILD)/flags
	@mkdir -p $(@D)
	@echo '  CC    $@'
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(JUDGE_SOURCES) -lpq -lm -lpthread

$(BUILD)/proxy: tests/faults/proxy.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo '  CC    $@'
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< -lpthread

$(BUILD)/bench/%: tests/bench/%.c $(BUILD)/libpupitre.a
	@mkdir -p $(@D)
	@echo '  CC    $@'
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< $(BUILD)/libpupitre.a $(LIBS)

$(BUILD)/bench/bare: tests/bench/bare.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo '  CC    $@'
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< -lfcgi -lpthread

bench: ## pupitre beside what could be used instead (BENCH=quick: 2 minutes); README has the table
	deploy/need run test bench
	$(MAKE) -s all $(BUILD)/bench/bare
	tests/bench/bench

unit: $(TESTS:%=$(BUILD)/unit/%) ## build the unit tests (tests/run runs them)

asan: ## build with AddressSanitizer and UBSan, the unit tests too
	$(MAKE) VARIANT=asan all unit

tsan: ## build with ThreadSanitizer, the unit tests too
	$(MAKE) VARIANT=tsan all unit

FUZZ_S ?= 20
fuzz: ## hostile bytes against the gate, beside libfcgi, FUZZ_S=20 seconds
	@mkdir -p .build/fuzz/found
	clang -std=gnu11 -D_GNU_SOURCE -Iapp -I. $(WARN) -O1 -g -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o .build/fuzz/fuzz_gate tests/fuzz/fuzz_gate.c \
		app/web/gate.c -lfcgi
	.build/fuzz/fuzz_gate -max_total_time=$(FUZZ_S) -max_len=70000 -print_final_stats=1 \
		-artifact_prefix=.build/fuzz/ .build/fuzz/found tests/fuzz/seeds

test: ## set up, run every test, and count
	tests/run

page: ## fetch the page's chart library again, of the version in tests/page/package.json
	tests/page/fetch vendor

torture: ## a million judged reads with faults going on, of each mode; and mutants
	tests/run torture

mutants: ## put faults into a copy of the code, and see each caught
	tests/mutants

lint: ## style, warnings of two compilers, folder rules
	tests/run lint

format: ## put the C files into the project's style
	clang-format -i $$(git ls-files 'app/*.[ch]' 'routes/*.[ch]' 'tests/*.[ch]')

# ---- running and installing

up: ## install what is missing, build, start a private school on 127.0.0.1:8080 (PORT=)
	@deploy/stack up

demo: ## load the demo school, of SIZE courses, into what `make up` started
	deploy/stack app demo --size $(or $(SIZE),12)

down: ## stop what `make up` started
	@deploy/stack down

install: all ## install under $(prefix); DESTDIR= is honoured
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(datadir)/nginx $(DESTDIR)$(docdir) \
		$(DESTDIR)$(unitdir)
	install -m 755 $(BUILD)/pupitre $(BUILD)/pupitrectl $(DESTDIR)$(bindir)/
	install -D -m 644 deploy/man/pupitrectl.1 $(DESTDIR)$(mandir)/man1/pupitrectl.1
	install -D -m 644 deploy/completion/pupitrectl $(DESTDIR)$(completiondir)/pupitrectl
	install -d $(DESTDIR)$(datadir)/prometheus
	install -m 644 deploy/prometheus/*.yml deploy/prometheus/grafana.json $(DESTDIR)$(datadir)/prometheus/
	for f in deploy/nginx/pupitre-*.conf; do \
		sed -e "s|include pupitre-|include $(datadir)/nginx/pupitre-|" \
			-e "s|/usr/local/share/pupitre/|$(datadir)/|" $$f \
			> $(DESTDIR)$(datadir)/nginx/$${f##*/}; done
	chmod 644 $(DESTDIR)$(datadir)/nginx/*
	cd deploy/www && find admin -type f -exec install -D -m 644 '{}' '$(abspath $(DESTDIR)$(datadir))/www/{}' ';'
	install -m 644 README.md LICENSE $(DESTDIR)$(docdir)/
	install -m 644 deploy/README.md $(DESTDIR)$(docdir)/deploy.md
	sed 's|@bindir@|$(bindir)|' deploy/systemd/pupitre.service.in \
		> $(DESTDIR)$(unitdir)/pupitre.service
	chmod 644 $(DESTDIR)$(unitdir)/pupitre.service
	install -m 644 deploy/systemd/pupitre.socket $(DESTDIR)$(unitdir)/

uninstall: ## take away what install put there
	rm -f $(DESTDIR)$(bindir)/pupitre $(DESTDIR)$(bindir)/pupitrectl \
		$(DESTDIR)$(mandir)/man1/pupitrectl.1 $(DESTDIR)$(completiondir)/pupitrectl \
		$(DESTDIR)$(unitdir)/pupitre.service \
		$(DESTDIR)$(unitdir)/pupitre.socket
	rm -rf $(DESTDIR)$(datadir) $(DESTDIR)$(docdir)

clean: ## take away what was built
	rm -rf .build

-include $(OBJECTS:.o=.d) $(CTL_SOURCES:%.c=$(BUILD)/%.d) $(BUILD)/app/main.d $(TESTS:%=$(BUILD)/unit/%.d)

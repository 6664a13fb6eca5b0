# digestd: `make help` lists what can be asked for.
#
# All paths are relative, so that a checkout may lie anywhere, under a name with spaces too.
# O is the build directory; SAN=1 builds with the address and undefined-behaviour sanitizers,
# WERROR=1 makes warnings errors (as CI does). FAULTS=1 builds the fault points in
# (daemon/base/faultpoint.h): `make FAULTS=1 O=build/faults`.

O       ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
SAN     ?=
WERROR  ?=
FAULTS  ?=
V       ?=
Q       := $(if $(V),,@)

# ---- what is built ---------------------------------------------------------------------------

ROOMS    := base store mail news plan send inbox web ctl
PROGRAMS := digestd digestweb digestctl
PKGS     := libcurl libpq libconfig libsystemd libmicrohttpd libcmark libxml-2.0 libcrypto \
            jansson libutf8proc libidn2 zlib

SOURCES  := $(foreach room,$(ROOMS),$(sort $(wildcard daemon/$(room)/*.c)))
MAINS    := $(foreach program,$(PROGRAMS),$(wildcard daemon/$(program).c))
OBJECTS  := $(SOURCES:%.c=$(O)/%.o) $(O)/gen/queries.o $(O)/gen/embedded.o
BINARIES := $(MAINS:daemon/%.c=$(O)/%)

UNIT_SRC  := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN  := $(UNIT_SRC:tests/unit/%.c=$(O)/tests/%)
DRIVER_SRC := $(sort $(wildcard tests/system/*.c))
DRIVER_BIN := $(DRIVER_SRC:tests/system/%.c=$(O)/system/%)
FUZZ_SRC  := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BIN  := $(FUZZ_SRC:tests/fuzz/%.c=$(O)/fuzz/%)
QUERIES   := $(sort $(wildcard sql/queries/*.sql))
EMBEDDED  := $(sort $(wildcard sql/migrations/*.sql)) \
             $(sort $(wildcard templates/mail/*/*.mustache templates/mail/*.mustache)) \
             $(sort $(wildcard templates/web/*.* templates/web/static/*)) \
             $(sort $(wildcard templates/locale/*))

# ---- how it is built -------------------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
        -Wmissing-prototypes -Wpointer-arith -Wvla -Wformat=2 -Wundef $(if $(WERROR),-Werror)
HARDEN := -fPIE -fstack-protector-strong $(if $(SAN),,-D_FORTIFY_SOURCE=2)
SANFLAGS :=
ifneq ($(SAN),)
SANFLAGS := -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
endif
ifeq ($(SAN),fuzz)
SANFLAGS += -fsanitize=fuzzer-no-link
endif
CFLAGS  ?= -O2 -g
ALL_CFLAGS = -std=gnu17 $(CFLAGS) $(WARN) $(HARDEN) $(SANFLAGS) -D_GNU_SOURCE \
             $(if $(FAULTS),-DFAULTS) \
             -Idaemon -I$(O)/gen $(PKG_CFLAGS)
ALL_LDFLAGS = $(LDFLAGS) $(SANFLAGS) -pie -Wl,-z,relro,-z,now -Wl,--as-needed

# pkg-config is asked when something is compiled, not when make starts: `make deps` comes first.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS   = $(eval PKG_LIBS := $$(shell pkg-config --libs $(PKGS)) -lm)$(PKG_LIBS)

.DEFAULT_GOAL := all
.PHONY: help all deps deps-test demo demo-clean lab lab-stop lab-clean check unit system check-long fuzz \
        lint fmt install clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

all: $(BINARIES) ## the three programs, into build/

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC    $<")
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/gen/%.o: $(O)/gen/%.c
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(O)/libdigest.a: $(OBJECTS)
	@rm -f $@
	$(Q)$(AR) rcs $@ $(OBJECTS)

$(O)/%: $(O)/daemon/%.o $(O)/libdigest.a
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(O)/libdigest.a $(PKG_LIBS)

# Named statements become C strings: a query that is misspelt or missing doesn't compile.
$(O)/gen/queries.c $(O)/gen/queries.h &: $(QUERIES) sql/queries.awk
	@mkdir -p $(O)/gen
	$(Q)awk -f sql/queries.awk -v header=$(O)/gen/queries.h -v source=$(O)/gen/queries.c \
		$(QUERIES) /dev/null

# Migrations, templates and locales become a table of files inside the programs.
$(O)/gen/embedded.c: $(EMBEDDED) daemon/base/embed.awk Makefile
	@mkdir -p $(O)/gen
	$(Q)printf '%s\n' $(EMBEDDED) | grep . | awk -f daemon/base/embed.awk > $@.new
	$(Q)mv $@.new $@

$(SOURCES:%.c=$(O)/%.o) $(MAINS:%.c=$(O)/%.o): | $(O)/gen/queries.h

# ---- what it needs ---------------------------------------------------------------------------

deps: ## install the Debian packages that are missing for building and for the demo
	@sh tests/deps.sh build

deps-test:
	@sh tests/deps.sh build test

# ---- tests -----------------------------------------------------------------------------------

UNIT_LDFLAGS_test_journal := -Wl,--wrap=fallocate,--wrap=pwrite,--wrap=clock_boot

$(O)/tests/%: tests/unit/%.c $(O)/libdigest.a
	@mkdir -p $(@D)
	$(if $(Q),@echo "  TEST  $<")
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/unit -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(O)/libdigest.a \
		$(UNIT_LDFLAGS_$(*F)) $(PKG_LIBS) -lcmocka

# What a test with failing allocations is linked with (tests/unit/failing_alloc.h).
WRAP_ALLOC := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
UNIT_LDFLAGS_test_mustache_alloc := $(WRAP_ALLOC)
UNIT_LDFLAGS_test_feed := $(WRAP_ALLOC)
UNIT_LDFLAGS_test_article_alloc := $(WRAP_ALLOC)
UNIT_LDFLAGS_test_config := $(WRAP_ALLOC) -Wl,--wrap=free
UNIT_LDFLAGS_test_units := -Wl,--wrap=free
UNIT_LDFLAGS_test_template_alloc := $(WRAP_ALLOC)
UNIT_LDFLAGS_test_message_alloc := $(WRAP_ALLOC)
UNIT_LDFLAGS_test_window := $(WRAP_ALLOC)
UNIT_LDFLAGS_test_rendering := $(WRAP_ALLOC)
UNIT_LDFLAGS_test_web_pages := $(WRAP_ALLOC)

unit: $(UNIT_BIN) ## the unit tests (cmocka) of what is in O
	@sh tests/unit/run.sh $(UNIT_BIN)

# The targets are libFuzzer's, so clang's; everything is built anew for them, below O/fuzzing.
RUNS ?= 20000

$(O)/fuzz/%: tests/fuzz/%.c $(O)/libdigest.a
	@mkdir -p $(@D)
	$(if $(Q),@echo "  FUZZ  $<")
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $< $(O)/libdigest.a \
		$(PKG_LIBS)

fuzz: ## run each fuzz target RUNS times (20000)
	+@$(MAKE) CC=clang SAN=fuzz O=$(O)/fuzzing fuzz-run

.PHONY: fuzz-run
fuzz-run: $(FUZZ_BIN)
	@sh tests/fuzz/run.sh $(RUNS) $(FUZZ_BIN)

# Small programs that system tests drive.
$(O)/system/%: tests/system/%.c $(O)/libdigest.a
	@mkdir -p $(@D)
	$(if $(Q),@echo "  TEST  $<")
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) $(DRIVER_LDFLAGS_$(*F)) -o $@ $< \
		$(O)/libdigest.a $(PKG_LIBS)

DRIVER_LDFLAGS_smtp_driver := $(WRAP_ALLOC)
DRIVER_LDFLAGS_store_driver := \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=PQflush

# They wait more than they work, so more of them than there are cores run side by side; each worker
# has a PostgreSQL of its own.
WORKERS ?= 4

# The engine with its fault points in, for tests that let it die at each of them.
.PHONY: faults
faults:
	+@$(MAKE) --no-print-directory FAULTS=1 SAN= O=$(O)/faults $(O)/faults/digestd

# These stop engines and servers for longer than the limits that they scale down to fractions of a
# second, so on a machine that stands still now and then they may wait for what never comes.
# `make system ALL=1` and check-long run them too.
LONG_TESTS = chaos database_faults engines failover patroni sessions takeover

system: all faults $(DRIVER_BIN) ## the system tests (pytest) against the programs in O
	DIGESTD_BUILD=$(O) /usr/bin/python3 -m pytest -q -p no:cacheprovider -n $(WORKERS) \
		--dist loadfile tests/system $(if $(ALL),,$(LONG_TESTS:%=--ignore=tests/system/test_%.py)) $(PYTEST)

check: deps-test ## everything that must hold: builds, unit and system tests, with sanitizers too
	@sh tests/check.sh

# Rounds of chaos, each the seed that drew it (tests/chaos/chaos.py tells more): SEED=100 ROUNDS=50 is
# the seeds 100 to 149. RESUME=1 leaves out those that were good before. JOBS run side by side; PLACE
# is where the database stands (plain, plain+pooled, pair, pair+pooled), which each seed draws.
ROUNDS  ?= 40
SEED    ?= 1
READERS ?= 2000
ENGINES ?= 3
POLICY  ?=
PLACE   ?=
JOBS    ?= 1
RESUME  ?=

.PHONY: chaos
chaos: all faults $(O)/system/store_driver ## deliver while everything goes wrong: ROUNDS, SEED, READERS, POLICY, PLACE, JOBS
	@/usr/bin/python3 -B tests/chaos/chaos.py --build "$(O)" --rounds $(ROUNDS) --seed $(SEED) \
		--readers $(READERS) --engines $(ENGINES) $(if $(POLICY),--policy $(POLICY)) \
		$(if $(PLACE),--place $(PLACE)) --jobs $(JOBS) $(if $(RESUME),--resume)

# Mutants of the heart: MUTANTS="3-7 journal-*" chooses (tests/mutation/mutation.py tells more),
# RESUME=1 leaves out those that were caught before. ROUNDS of chaos are for what no test notices.
MUTANTS ?=

.PHONY: mutation
mutation: ## break the heart of the code on purpose, place by place; tests must notice: MUTANTS, RESUME
	@set -f; /usr/bin/python3 -B tests/mutation/mutation.py --work "$(O)/mutation" \
		$(if $(filter command line,$(origin ROUNDS)),--rounds $(ROUNDS)) $(if $(RESUME),--resume) $(MUTANTS)

# What takes hours.
# DIGESTD_FAIL_OVERS is how often the database fails over in the middle of an issue (3 otherwise).
check-long: deps-test ## what takes hours: all system tests, the queue at size, mutants, fuzzing, a big demo
	@sh tests/deps.sh long
	+@DIGESTD_FAIL_OVERS=10 $(MAKE) system ALL=1 WORKERS=2
	RETRY_READERS=200000 RETRY_WAITING=1000000 $(MAKE) system PYTEST="-k test_retry_size"
	+@$(MAKE) mutation
	+@$(MAKE) fuzz RUNS=$(if $(filter command line,$(origin RUNS)),$(RUNS),5000000)
	+@$(MAKE) demo SUBSCRIBERS=$(if $(SUBSCRIBERS),$(SUBSCRIBERS),50000)

lint: ## look for mistakes without running anything: C, SQL, shell, Python, man pages
	@sh tests/deps.sh build test lint
	+@$(MAKE) --no-print-directory all $(O)/system/store_driver >/dev/null
	@O="$(O)" DIGESTD_BUILD="$(O)" LINT_FLAGS="-std=gnu17 -D_GNU_SOURCE -Idaemon -I$(O)/gen \
		$(PKG_CFLAGS)" sh tests/lint/run.sh

fmt: ## put all C in form
	@sh tests/deps.sh lint
	find daemon tests -name '*.[ch]' -not -path '*/seeds/*' -exec clang-format -i {} +

# ---- the demo and the lab ---------------------------------------------------------------------
# What is asked for (SUBSCRIBERS, FEED, ARTICLE, RELAY, DEMO_REFUSE) is read from the environment,
# where make puts what stands on its command line.

DIR ?= .lab
PLACE = DIGESTD_BUILD="$(O)" /usr/bin/python3 -B tests/demo

# Builds without the compiler's commands: a demo isn't the place to read them.
.PHONY: quietly
quietly: deps
	@mkdir -p $(O)
	+@$(MAKE) -q all >/dev/null 2>&1 || { echo "Building (a minute or two)"; \
		$(MAKE) -j"$$(nproc)" all >$(O)/quietly.log 2>&1 || \
		{ tail -n 40 $(O)/quietly.log; exit 1; }; }

demo: quietly ## articles become digests in 1,000 mailboxes: SUBSCRIBERS, FEED, ARTICLE, DEMO_REFUSE
	@$(PLACE)/demo.py

demo-clean: ## end the demo's processes and remove all that it made
	@$(PLACE)/demo.py --clean

lab: quietly ## cluster, schema, configuration, readers; no engine: DIR, RELAY, SUBSCRIBERS
	@$(PLACE)/lab.py start "$(DIR)"

lab-stop: ## end the lab's processes, keep its files
	@$(PLACE)/lab.py stop "$(DIR)"

lab-clean: ## end the lab and remove it
	@$(PLACE)/lab.py remove "$(DIR)"

# ---- installation ----------------------------------------------------------------------------

# systemd and man look below /usr/local too. A configuration that is there already stays as it is.
SYSCONFDIR ?= /etc
ROOT        = $(DESTDIR)$(PREFIX)
CONFDIR     = $(DESTDIR)$(SYSCONFDIR)/digestd

install: all ## programs, man pages, units and a configuration: DESTDIR, PREFIX
	install -d "$(ROOT)/sbin" "$(ROOT)/bin" "$(ROOT)/lib/systemd/system" \
		"$(ROOT)/lib/sysusers.d" "$(ROOT)/lib/tmpfiles.d" "$(ROOT)/share/man/man1" \
		"$(ROOT)/share/man/man5" "$(ROOT)/share/man/man7" "$(ROOT)/share/man/man8" \
		"$(ROOT)/share/doc/digestd/examples" "$(CONFDIR)/templates"
	for program in $(filter %/digestd %/digestweb,$(BINARIES)); do \
		install -m 0755 $$program "$(ROOT)/sbin" || exit 1; done
	for program in $(filter %/digestctl,$(BINARIES)); do \
		install -m 0755 $$program "$(ROOT)/bin" || exit 1; done
	umask 022; for page in daemon/*.[1578]; do \
		sed 's|/usr/local|$(PREFIX)|; s|/etc/digestd|$(SYSCONFDIR)/digestd|g' "$$page" \
			> "$(ROOT)/share/man/man$${page##*.}/$${page##*/}" || exit 1; done
	umask 022; for unit in digestd.service digestweb.service digestweb.socket; do \
		sed 's|@SBINDIR@|$(PREFIX)/sbin|; s|@SYSCONFDIR@|$(SYSCONFDIR)|' systemd/$$unit \
			> "$(ROOT)/lib/systemd/system/$$unit" || exit 1; done
	install -m 0644 systemd/digestd.sysusers "$(ROOT)/lib/sysusers.d/digestd.conf"
	install -m 0644 systemd/digestd.tmpfiles "$(ROOT)/lib/tmpfiles.d/digestd.conf"
	install -m 0644 systemd/digestd.conf "$(ROOT)/share/doc/digestd/examples"
	install -m 0644 LICENSE "$(ROOT)/share/doc/digestd/copyright"
	test -e "$(CONFDIR)/digestd.conf" || install -m 0644 systemd/digestd.conf "$(CONFDIR)"

clean: ## remove what was built
	rm -rf build

-include $(OBJECTS:.o=.d) $(MAINS:%.c=$(O)/%.d) $(UNIT_BIN:=.d) $(FUZZ_BIN:=.d) $(DRIVER_BIN:=.d)

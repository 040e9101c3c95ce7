# Forka. `make help` lists the targets; plain `make` builds and installs nothing.
#
# Everything that is built lies under build/: removing that folder is `make clean`. The sanitizers build beside it
# (SAN=address, SAN=undefined), so that changing between them costs nothing.

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
SHELL := /bin/bash

CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
PREFIX  ?= /usr/local
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)
# For the targets that call make again: all processors, unless the caller said otherwise.
PARALLEL = --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(JOBS))
# `make V=1` shows the commands.
Q       := $(if $(V),,@)

# ---- Flags ----------------------------------------------------------------------------------------------------

WARNINGS := -std=c11 -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes
ifdef WERROR
WARNINGS += -Werror
endif
OPTIMIZE ?= -O2 -g

ifeq ($(SAN),address)
BUILD    ?= build/asan
OPTIMIZE := -O1 -g -fsanitize=address -fno-omit-frame-pointer -DFORKA_SANITIZED
else ifeq ($(SAN),undefined)
BUILD    ?= build/ubsan
OPTIMIZE := -O1 -g -fsanitize=undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DFORKA_SANITIZED
else ifeq ($(SAN),fuzzer)
BUILD    ?= build/fuzz
CC       := clang-14
# An empty view may begin at NULL, and NULL + 0 is NULL for every compiler there is: not for clang's pointer-overflow.
OPTIMIZE := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=pointer-overflow \
	    -fno-sanitize-recover=undefined -fno-omit-frame-pointer -DFORKA_SANITIZED
else ifdef FAULTS
# Nobody ships it: whoever passes a named point may be told to die there (common/faultpoint.h).
BUILD    ?= build/faults
OPTIMIZE := -O1 -g -DFORKA_FAULTS
else ifdef COVERAGE
BUILD    ?= build/coverage
OPTIMIZE := -O0 -g --coverage -DFORKA_COVERAGE
else
BUILD    ?= build
endif

# CFLAGS, CPPFLAGS, LDFLAGS and LDLIBS are the caller's own and come last.
COMPILE = $(CC) -D_GNU_SOURCE -I. -I$(BUILD)/gen $(WARNINGS) $(OPTIMIZE) -MMD -MP \
	  $(CPPFLAGS) $(CFLAGS)
LINK    = $(CC) $(OPTIMIZE) $(CFLAGS) -Wl,--as-needed $(LDFLAGS)

# ---- Sources: layers, each of which may use those to its right --------------------------------------------------
#
#	broker -> storage -> common
#
# A layer is an archive, so that a test of common/ cannot come to need broker/ without failing to link.

COMMON_SRC  := $(wildcard common/*.c common/protocol/*.c)
STORAGE_SRC := $(wildcard storage/*.c)
BROKER_SRC  := $(wildcard broker/*.c broker/api/*.c)
TESTLIB_SRC := $(wildcard tests/lib/*.c)
POWERCUT_SRC := $(wildcard tests/powercut/*.c)
TEST_SRC    := $(wildcard tests/test_*.c)

MSGC_SRC    := $(wildcard common/protocol/gen/*.c)
SCHEMAS     := $(wildcard common/protocol/schema/*.msg)
MESSAGES    := $(if $(MSGC_SRC),$(BUILD)/gen/protocol/messages)

object       = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
COMMON_OBJ  := $(call object,$(COMMON_SRC)) $(if $(MESSAGES),$(BUILD)/obj/gen/messages.o)
STORAGE_OBJ := $(call object,$(STORAGE_SRC))
BROKER_OBJ  := $(call object,$(filter-out broker/main.c,$(BROKER_SRC)))
MAIN_OBJ    := $(call object,$(wildcard broker/main.c))
TESTLIB_OBJ := $(call object,$(TESTLIB_SRC))
POWERCUT_OBJ := $(call object,$(POWERCUT_SRC))
TESTS       := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TEST_SRC))

COMMON_LIB  := $(BUILD)/lib/libcommon.a
STORAGE_LIB := $(BUILD)/lib/libstorage.a $(COMMON_LIB)
BROKER_LIB  := $(BUILD)/lib/libbroker.a $(STORAGE_LIB)
TESTLIB     := $(BUILD)/lib/libtest.a

LIBS        := -lev -llmdb -lisal -lz -llz4 -lzstd -lsnappy -lpthread -lm

# ---- Build ----------------------------------------------------------------------------------------------------

.PHONY: build
build: $(BUILD)/broker ## compile build/broker (the default; installs nothing)

# Tried once: whatever a build needs is there, or is named with the command that installs it.
DEPS_OK := $(BUILD)/deps-ok
$(DEPS_OK): tests/tools/deps
	@CC="$(CC)" tests/tools/deps check build
	@mkdir -p $(@D)
	@touch $@

$(BUILD)/broker: $(MAIN_OBJ) $(BROKER_LIB)
	@echo "  LINK $@"
	$(Q)$(LINK) -o $@ $^ $(LIBS) $(LDLIBS)

# rm first: ar would keep members whose source is gone.
define archive
	@mkdir -p $(@D)
	@rm -f $@
	@echo "  AR   $@"
	$(Q)$(AR) rcs $@ $^
endef
$(BUILD)/lib/libcommon.a: $(COMMON_OBJ)
	$(archive)
$(BUILD)/lib/libstorage.a: $(STORAGE_OBJ)
	$(archive)
$(BUILD)/lib/libbroker.a: $(BROKER_OBJ)
	$(archive)
$(TESTLIB): $(TESTLIB_OBJ)
	$(archive)

# Other flags, other objects. The file changes only when they do.
FLAGS := $(BUILD)/flags
$(FLAGS): FORCE
	@mkdir -p $(@D)
	@echo '$(filter-out -Werror,$(COMPILE))' | cmp -s - $@ || echo '$(filter-out -Werror,$(COMPILE))' > $@
.PHONY: FORCE

$(BUILD)/obj/%.o: %.c $(FLAGS) | $(DEPS_OK) $(MESSAGES:=.h)
	@mkdir -p $(@D)
	@echo "  CC   $<"
	$(Q)$(COMPILE) -c -o $@ $<

.PRECIOUS: $(BUILD)/obj/%.o

# The wire: a schema text per API, compiled by our own small compiler (libc only, never sanitized).
$(BUILD)/msgc: $(MSGC_SRC) $(wildcard common/protocol/gen/*.h) | $(DEPS_OK)
	@mkdir -p $(@D)
	@echo "  CC   $@"
	$(Q)$(CC) -D_GNU_SOURCE -I. $(WARNINGS) -O1 -g $(CPPFLAGS) -o $@ $(MSGC_SRC)

ifneq ($(MESSAGES),)
$(MESSAGES).h $(MESSAGES).c &: $(BUILD)/msgc $(SCHEMAS)
	@mkdir -p $(@D)
	@echo "  MSGC $(@D)"
	$(Q)$(BUILD)/msgc $(@D) $(SCHEMAS)

$(BUILD)/obj/gen/messages.o: $(MESSAGES).c $(FLAGS)
	@mkdir -p $(@D)
	@echo "  CC   $<"
	$(Q)$(COMPILE) -c -o $@ $<
endif

# ---- The two commands ------------------------------------------------------------------------------------------

.PHONY: run test deps
run: ## install what is missing (apt), build, and start `build/broker -w 4` on port 9092 with its store in ./data
	@tests/tools/deps install run
	@$(MAKE) $(PARALLEL) build
	@exec $(BUILD)/broker -w 4 $(ARGS)

test: ## install what is missing (apt), build, and run the unit and integration tests
	@tests/tools/deps install test
	@$(MAKE) $(PARALLEL) build unit-programs
	@tests/tools/total "unit tests" "$(MAKE) --no-print-directory unit" \
		"power cuts" "$(MAKE) --no-print-directory powercut" \
		"mutations that still apply" "$(MAKE) --no-print-directory check-mutations" \
		"integration tests" "$(MAKE) --no-print-directory integration"

deps: ## install everything that any target here needs (apt)
	@tests/tools/deps install all

# ---- Tests ----------------------------------------------------------------------------------------------------

# The archives that a test may use: those of its module's layer and below.
layer_of  = $(if $(wildcard common/$(1).[ch] common/protocol/$(1).[ch]),$(COMMON_LIB),$\
	    $(if $(wildcard storage/$(1).[ch]),$(STORAGE_LIB),$(BROKER_LIB)))

.SECONDEXPANSION:
$(BUILD)/tests/test_%: $(BUILD)/obj/tests/test_%.o $(TESTLIB) $$(call layer_of,$$*)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(LINK) -o $@ $^ -lcmocka $(LIBS) $(LDLIBS)

# What fuzzing found and what it began with, played again (tests/fuzz/replay.c).
FUZZERS      := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
TESTS        += $(addprefix $(BUILD)/tests/corpus_,$(FUZZERS))
$(BUILD)/tests/corpus_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/fuzz/replay.o $(TESTLIB) $(BROKER_LIB)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(LINK) -o $@ $^ -lcmocka $(LIBS) $(LDLIBS)

# No archive: it has an open(), a pwrite() and so on of its own, which no other test is to find.
$(BUILD)/tests/test_powercut: $(BUILD)/obj/tests/test_powercut.o $(POWERCUT_OBJ) $(TESTLIB) $(STORAGE_LIB)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(LINK) -o $@ $^ -lcmocka $(LIBS) $(LDLIBS)

# What tests may need to know of the build.
TEST_ENV = BUILD=$(BUILD) BROKER=$(or $(UNDER),$(BUILD)/broker) MSGC=$(BUILD)/msgc UNIT_UNDER=$(UNDER)

.PHONY: unit unit-programs powercut integration
unit-programs: $(TESTS)

# Some tests start the real broker. T is for the one that is being worked on.
UNIT := $(if $(T),$(addprefix $(BUILD)/tests/test_,$(T)),$(TESTS))
unit: $(UNIT) $(if $(T),,$(BUILD)/broker) ## run the unit tests (cmocka); T="str buf" runs only those
	@$(TEST_ENV) tests/tools/unit $(UNIT)

# No time limit: each image has its own.
powercut: $(BUILD)/tests/test_powercut ## rebuild IMAGES (10000) disks that power cuts may leave, and judge each; SEED=7; IMAGE=123 only one
	@IMAGES=$(or $(IMAGES),10000) UNIT_SECONDS=0 tests/tools/unit $<

.PHONY: mutations check-mutations
mutations: ## take away, one after the other, what holds each invariant: a test must see it; M="3 14" for some
	@BUILD=$(BUILD) tests/tools/mutations $(M)

check-mutations: # that each still applies, and that docs/testing.md knows it
	@tests/tools/mutations --check

integration: $(BUILD)/broker ## run clients that others wrote against a broker; S="kcat python" runs only those suites
	@$(TEST_ENV) integration/run $(S)

.PHONY: chaos
chaos: $(BUILD)/broker ## storms of SIGKILL at random and at every named point, for STORM_SECONDS (600); STORM_SEED=n
	@cd integration/chaos && PYTHONPATH=../lib BROKER=$(abspath $(BUILD)/broker) STORM_SECONDS=$${STORM_SECONDS:-600} \
		/usr/bin/python3 -u storm.py

# ---- Sanitizers, fuzzing, coverage ------------------------------------------------------------------------------

# The sanitizers write their reports to files, as nobody may be reading a worker's standard error; any file is a failure.
REPORTS = $(abspath $(BUILD))/reports
SANITIZED_ENV = ASAN_OPTIONS=detect_leaks=1:log_path=$(REPORTS)/asan \
	UBSAN_OPTIONS=print_stacktrace=1:log_path=$(REPORTS)/ubsan PATIENCE=4 UNIT_SECONDS=600

.PHONY: asan ubsan sanitized tools
# Compilers and checkers that only these targets need.
tools:
	@tests/tools/deps check all

asan: ## build with AddressSanitizer and LeakSanitizer, and pass the whole suite (ONLY=unit for the unit tests)
	@$(MAKE) $(PARALLEL) SAN=address sanitized

ubsan: ## build with UndefinedBehaviorSanitizer, and pass the whole suite (ONLY=unit for the unit tests)
	@$(MAKE) $(PARALLEL) SAN=undefined sanitized

sanitized: $(BUILD)/broker $(TESTS)
	@rm -rf $(REPORTS) && mkdir -p $(REPORTS)
	@$(SANITIZED_ENV) tests/tools/total "unit tests, SAN=$(SAN)" "$(MAKE) --no-print-directory unit" \
		$(if $(ONLY),,"integration tests with SAN=$(SAN)" "$(MAKE) --no-print-directory integration") \
		"reports of the sanitizer" "tests/tools/reports $(REPORTS)"

# Uninitialised bytes in the store's file or on the wire, which the sanitizers do not see. Tests that bound time, memory
# or system calls are left out: Valgrind takes more of each. So is what simulates crashes by the thousand.
VALGRIND_NOT := watch txn recovery tshark broker reserve
NOT_CHECKED  := $(addprefix %/test_,$(VALGRIND_NOT))
.PHONY: valgrind
valgrind: $(BUILD)/broker $(TESTS) ## the unit tests and a broker that kcat talks to under Valgrind's memcheck; T="groups" for some
	@rm -rf $(REPORTS) && mkdir -p $(REPORTS)
	@export REPORTS=$(REPORTS) BROKER_CHECKED=$(abspath $(BUILD))/broker UNIT_SECONDS=1200 PATIENCE=20 \
		FORKA_CRASH_SECONDS=1 FORKA_KILL_SECONDS=1 GROUP_LIVES=5 UNDER=$(abspath tests/tools/memcheck); \
	tests/tools/total "unit tests under Valgrind" \
		"$(MAKE) --no-print-directory unit TESTS='$(filter-out $(NOT_CHECKED),$(TESTS))'" \
		$(if $(T),,"kcat against a broker under Valgrind" "$(MAKE) --no-print-directory integration S=kcat") \
		"reports of Valgrind" "tests/tools/reports $(REPORTS)"

FUZZ_SECONDS ?= 60
# Their stores lie in memory, if there is a place for that.
FUZZ_TMP     := $(firstword $(wildcard /dev/shm) $(if $(TMPDIR),$(TMPDIR),/tmp))
# -close_fd_mask=2: the store says what it refuses.
FUZZ_dispatch = -max_len=16384
FUZZ_ckpt     = -close_fd_mask=2
FUZZ_rows     = -close_fd_mask=2

.PHONY: fuzz fuzz-all $(addprefix fuzz-,$(FUZZERS))
fuzz: tools ## run every fuzzer (libFuzzer) for FUZZ_SECONDS (60) from its corpus; F="decode" runs only those
	@$(MAKE) $(PARALLEL) SAN=fuzzer fuzz-all

fuzz-all: $(addprefix fuzz-,$(if $(F),$(F),$(FUZZERS)))

$(BUILD)/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(TESTLIB) $(BROKER_LIB)
	@echo "  LINK $@"
	$(Q)$(CC) -g -fsanitize=fuzzer,address,undefined -o $@ $^ -lcmocka $(LIBS) $(LDLIBS)

# What is found goes to build/; corpus/ holds what is worth keeping.
fuzz_run = cd $(BUILD) && tmp=$$(mktemp -d $(FUZZ_TMP)/forka-fuzz-XXXXXX) && trap 'rm -rf $$tmp' EXIT && \
	TMPDIR=$$tmp FUZZ_HISTORY=$$PWD/history-$* ./fuzz_$* -rss_limit_mb=4096 -verbosity=0 $(FUZZ_$*)
$(addprefix fuzz-,$(FUZZERS)): fuzz-%: $(BUILD)/fuzz_%
	@mkdir -p $(BUILD)/corpus/$*
	$(fuzz_run) -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 \
		corpus/$* $(wildcard $(CURDIR)/tests/fuzz/corpus/$*)

# The fewest inputs of build/corpus/ that reach what those in the tree do not reach join them.
.PHONY: fuzz-merge
fuzz-merge: $(addprefix fuzz-merge-,$(if $(F),$(F),$(FUZZERS)))
fuzz-merge-%: $(BUILD)/fuzz_%
	@mkdir -p $(CURDIR)/tests/fuzz/corpus/$*
	$(fuzz_run) -set_cover_merge=1 -use_counters=0 $(CURDIR)/tests/fuzz/corpus/$* corpus/$*

.PHONY: coverage
coverage: tools ## build with gcov, run all tests, and say what they reach (build/coverage/index.html)
	@find build/coverage -name '*.gcda' -delete 2>/dev/null || true
	@$(MAKE) $(PARALLEL) COVERAGE=1 covered

covered: $(BUILD)/broker $(TESTS)
	-@$(MAKE) --no-print-directory unit
	$(if $(ONLY),,-@$(MAKE) --no-print-directory integration)
	@gcovr -r . --object-directory $(BUILD) --exclude 'tests/' --exclude 'build/' --exclude 'common/protocol/gen/' \
		--html-details $(BUILD)/index.html --print-summary

# ---- Style ----------------------------------------------------------------------------------------------------

# Versions are pinned: other versions format and warn otherwise. Debian 12 and Ubuntu 24.04 both have these.
CLANG_FORMAT ?= clang-format-14
CLANG_TIDY   ?= clang-tidy-14
C_FILES       = $(sort $(wildcard $(addsuffix /*.[ch],common common/protocol common/protocol/gen storage broker broker/api \
		tests tests/lib tests/powercut tests/tools tests/fuzz integration/bench)))
TIDY_FILES    = $(COMMON_SRC) $(MSGC_SRC) $(STORAGE_SRC) $(BROKER_SRC)

.PHONY: format check-format lint tidy cppcheck check-includes
format: tools ## format all C files (clang-format 14)
	@$(CLANG_FORMAT) -i $(C_FILES)

check-format: tools ## fail if `make format` would change anything
	@$(CLANG_FORMAT) --dry-run --Werror $(C_FILES)

lint: check-includes check-mutations cppcheck tidy ## clang-tidy, cppcheck, and the direction of includes

tidy: tools $(MESSAGES:=.h)
	@echo "  TIDY $(words $(TIDY_FILES)) files"
	@printf '%s\n' $(TIDY_FILES) | xargs -P $(JOBS) -n 4 sh -c '$(CLANG_TIDY) --quiet --warnings-as-errors="*" "$$@" \
		-- -std=c11 -D_GNU_SOURCE -I. -I$(BUILD)/gen 2>/dev/null' tidy

# Not ours to fear: processes have one thread (strtok), NULL is a pointer on Linux, gcc and clang shift signed numbers,
# CHECK(false && "why") means it, and compound literals live as long as their block, which this cppcheck does not know.
CPPCHECK_SUPPRESS := $(addprefix --suppress=,missingIncludeSystem strtokCalled varFuncNullUB shiftNegativeLHS \
		     shiftTooManyBitsSigned incorrectStringBooleanError danglingTemporaryLifetime danglingTempReference \
		     legacyUninitvar)
cppcheck: tools $(MESSAGES:=.h)
	@echo "  CPPCHECK"
	@cppcheck --quiet -j $(JOBS) --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		$(CPPCHECK_SUPPRESS) --library=posix,gnu -D_GNU_SOURCE -D__GNUC__ -I. -I$(BUILD)/gen \
		$(TIDY_FILES) $(TEST_SRC) $(TESTLIB_SRC)

check-includes:
	@tests/tools/check-includes

# ---- Documentation that is made from tables ---------------------------------------------------------------------

CONFIG_DOC := $(BUILD)/config-doc
$(CONFIG_DOC): $(BUILD)/obj/tests/tools/config-doc.o $(COMMON_LIB)
	$(Q)$(LINK) -o $@ $^ $(LIBS) $(LDLIBS)

.PHONY: docs check-docs
docs: $(CONFIG_DOC) $(BUILD)/msgc ## make docs/api-reference.md and docs/configuration.md anew from their tables
	$(BUILD)/msgc --doc $(SCHEMAS) > docs/api-reference.md
	$(CONFIG_DOC) > docs/configuration.md

check-docs: $(CONFIG_DOC) $(BUILD)/msgc ## fail if `make docs` would change anything
	@mkdir -p $(BUILD)/docs
	@$(BUILD)/msgc --doc $(SCHEMAS) > $(BUILD)/docs/api-reference.md
	@$(CONFIG_DOC) > $(BUILD)/docs/configuration.md
	@diff -u docs/api-reference.md $(BUILD)/docs/api-reference.md
	@diff -u docs/configuration.md $(BUILD)/docs/configuration.md
	@tests/tools/check-links
	@grep -qF "$$(tail -n 1 .ci/run)" README.md || { echo "README.md: the test command is not that of .ci/run"; exit 1; }

# ---- Everything else --------------------------------------------------------------------------------------------

.PHONY: bench bench-peers install uninstall pre-commit ci clean help
bench: $(BUILD)/broker ## load the broker with our own clients and print MB/s, messages/s, CPU-seconds and latencies
	@$(TEST_ENV) integration/bench/run $(B)

# A run of everything makes the documentation's table; any other one (B="--quick", B="one raw") only prints its own.
bench-peers: $(BUILD)/broker ## load the broker and an Apache Kafka (fetched) in turn, and make the table in docs/benchmarks.md
	@$(TEST_ENV) integration/peers/run $(or $(B),--docs)

BIN := $(DESTDIR)$(PREFIX)/bin/forka
DOC := $(DESTDIR)$(PREFIX)/share/doc/forka
install: build ## copy the broker to PREFIX/bin/forka (/usr/local), below DESTDIR where that is set
	install -D -m 755 $(BUILD)/broker $(BIN)
	install -D -m 644 -t $(DOC) README.md LICENSE docs/configuration.md

uninstall: ## remove what install copied
	rm -f $(BIN) $(addprefix $(DOC)/,README.md LICENSE configuration.md)
	-rmdir $(DOC)

pre-commit: check-format lint unit ## what a commit must pass: format, lint, unit tests

ci: ## what CI runs beside `make test`: format, lint, documentation, sanitizers over the unit tests
	@tests/tools/deps install all
	@$(MAKE) $(PARALLEL) check-format check-docs build unit-programs
	@$(MAKE) $(PARALLEL) lint
	@$(MAKE) $(PARALLEL) ONLY=unit asan
	@$(MAKE) $(PARALLEL) ONLY=unit ubsan

clean: ## remove build/
	rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

-include $(patsubst %.o,%.d,$(COMMON_OBJ) $(STORAGE_OBJ) $(BROKER_OBJ) $(MAIN_OBJ) $(TESTLIB_OBJ) \
	 $(POWERCUT_OBJ) $(call object,$(TEST_SRC) $(wildcard tests/fuzz/*.c tests/tools/*.c)))

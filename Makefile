# Forka. `make help` lists the targets; plain `make` builds and installs nothing.
#
# Everything that is built lies under build/: removing that folder is `make clean`. The sanitizers build beside it
# (SAN=address, SAN=undefined), so that changing between them costs nothing.

VERSION := 0.1.0

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
SHELL := /bin/bash

CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
PREFIX  ?= /usr/local

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
else ifdef COVERAGE
BUILD    ?= build/coverage
OPTIMIZE := -O0 -g --coverage -DFORKA_COVERAGE
else
BUILD    ?= build
endif

# CFLAGS, CPPFLAGS, LDFLAGS and LDLIBS are the caller's own and come last.
COMPILE = $(CC) -D_GNU_SOURCE -DFORKA_VERSION='"$(VERSION)"' -I. -I$(BUILD)/gen $(WARNINGS) $(OPTIMIZE) -MMD -MP \
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
TESTS       := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TEST_SRC))

COMMON_LIB  := $(BUILD)/lib/libcommon.a
STORAGE_LIB := $(BUILD)/lib/libstorage.a $(COMMON_LIB)
BROKER_LIB  := $(BUILD)/lib/libbroker.a $(STORAGE_LIB)
TESTLIB     := $(BUILD)/lib/libtest.a

# libpcap serves `broker wire` alone.
PCAP_USED   := $(if $(BROKER_SRC),$(shell grep -l '<pcap' $(BROKER_SRC) 2>/dev/null))
LIBS        := -lev -llmdb -lisal -lz -llz4 -lzstd -lsnappy $(if $(PCAP_USED),-lpcap) -lpthread -lm

# ---- Build ----------------------------------------------------------------------------------------------------

.PHONY: build
build: $(if $(MAIN_OBJ),$(BUILD)/broker,$(BROKER_LIB)) ## compile build/broker (the default; installs nothing)

$(BUILD)/broker: $(MAIN_OBJ) $(BROKER_LIB)
	$(LINK) -o $@ $^ $(LIBS) $(LDLIBS)

# rm first: ar would keep members whose source is gone.
define archive
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^
endef
$(BUILD)/lib/libcommon.a: $(COMMON_OBJ)
	$(archive)
$(BUILD)/lib/libstorage.a: $(STORAGE_OBJ)
	$(archive)
$(BUILD)/lib/libbroker.a: $(BROKER_OBJ)
	$(archive)
$(TESTLIB): $(TESTLIB_OBJ)
	$(archive)

$(BUILD)/obj/%.o: %.c | $(MESSAGES:=.h)
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

# The wire: a schema text per API, compiled by our own small compiler (libc only, never sanitized).
$(BUILD)/msgc: $(MSGC_SRC) $(wildcard common/protocol/gen/*.h)
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -I. $(WARNINGS) -O1 -g $(CPPFLAGS) -o $@ $(MSGC_SRC)

ifneq ($(MESSAGES),)
$(MESSAGES).h $(MESSAGES).c &: $(BUILD)/msgc $(SCHEMAS)
	@mkdir -p $(@D)
	$(BUILD)/msgc $(@D) $(SCHEMAS)

$(BUILD)/obj/gen/messages.o: $(MESSAGES).c
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<
endif

# ---- Tests ----------------------------------------------------------------------------------------------------

# The archives that a test may use: those of its module's layer and below.
layer_of  = $(if $(wildcard common/$(1).[ch] common/protocol/$(1).[ch]),$(COMMON_LIB),$\
	    $(if $(wildcard storage/$(1).[ch]),$(STORAGE_LIB),$(BROKER_LIB)))

.SECONDEXPANSION:
$(BUILD)/tests/test_%: $(BUILD)/obj/tests/test_%.o $(TESTLIB) $$(call layer_of,$$*)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ -lcmocka $(LIBS) $(LDLIBS)

.PHONY: unit
unit: $(TESTS) ## run the unit tests (cmocka)
	@for t in $(TESTS); do $$t || exit 1; done

.PHONY: clean
clean: ## remove build/
	rm -rf build

-include $(patsubst %.o,%.d,$(COMMON_OBJ) $(STORAGE_OBJ) $(BROKER_OBJ) $(MAIN_OBJ) $(TESTLIB_OBJ) \
	 $(call object,$(TEST_SRC)))

# SPDX-License-Identifier: Apache-2.0
#
# make            the program, build/ctr
# make check      lint, unit and end-to-end tests, plain and with ASan + UBSan, fuzzers, and check-engines
# make check-vm   the tests of cgroups and of the VMM in a virtual machine: v2 and v1, with systemd, nested KVM
# make check-engines   the tests with real engines: Docker, Swarm, containerd, Podman, buildah
# make fuzz       ten minutes for each fuzzer (FUZZ_SECONDS=600), needs clang
# make guest-kernel   the micro-VM's kernel, build/guest/vmlinux: some minutes once, then out of a cache
# make demo       a shell inside a copy-on-write clone of this machine
# make install    to $(DESTDIR)$(PREFIX)
#
# Everything that is built goes to $(BUILD); nothing is written anywhere else.

BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION ?= 0.1.0

ifeq ($(origin CC),default)
CC := gcc
endif
AR         ?= ar
PKG_CONFIG ?= pkg-config
INSTALL    ?= install
JOBS       ?= $(shell nproc 2>/dev/null || echo 1)

# V=1 shows the whole command lines.
Q  = $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $@)

bindir  = $(DESTDIR)$(PREFIX)/bin
libdir  = $(DESTDIR)$(PREFIX)/lib/ctr
mandir  = $(DESTDIR)$(PREFIX)/share/man/man1
compdir = $(DESTDIR)$(PREFIX)/share/bash-completion/completions

# ---- what is built ----
DIRS     := runtime/base runtime oci namespaces cgroups netns microvm microvm/guest cli
SRCS     := $(sort $(wildcard $(DIRS:%=%/*.c)))
OBJS     := $(SRCS:%.c=$(BUILD)/%.o)
LIB_OBJS := $(filter-out $(BUILD)/cli/main.o,$(OBJS))
UNIT_SRC := $(sort $(wildcard tests/unit/*/test_*.c))
UNITS    := $(UNIT_SRC:%.c=$(BUILD)/%)
TOOLS    := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/tools/*.c)))
FUZZERS  := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
BENCHES  := $(patsubst tests/%.c,$(BUILD)/%,$(wildcard tests/bench/*.c))

# ---- how ----
# libseccomp, libcap and yajl come from their archives: every shared object costs start-up time (docs/architecture.md).
PKGS     := libseccomp libcap yajl libmnl
WARN     := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wformat=2
CFLAGS   ?= -O2 -g
# -iquote: <seccomp.h> is the library's, "seccomp.h" is ours.
CPPFLAGS += -D_GNU_SOURCE -iquote . -iquote runtime $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
HARDEN   := -fPIE -fstack-protector-strong -ffunction-sections -fdata-sections
LDFLAGS  += -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
LDLIBS   := $(shell $(PKG_CONFIG) --libs-only-L $(PKGS) 2>/dev/null) \
	-l:libseccomp.a -l:libcap.a -l:libyajl_s.a -lmnl

ifeq ($(SANITIZE),1)
override CFLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
else ifeq ($(SANITIZE),fuzz)
override CFLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
WARN += -Wno-format-nonliteral -Wno-gnu-variable-sized-type-not-at-end
else
# The program copies itself before it enters a container: what only a debugger reads is in a file of its own.
SPLIT_DEBUG = objcopy --only-keep-debug $@ $@.debug && strip $@ && objcopy --add-gnu-debuglink=$@.debug $@
LDFLAGS  += -Wl,--gc-sections
CPPFLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
ifneq ($(filter true 1,$(CI) $(WERROR)),)
WARN += -Werror
endif
ALL_CFLAGS = -std=gnu17 $(CFLAGS) $(HARDEN) $(WARN)

all: $(BUILD)/ctr
unit: $(UNITS) $(TOOLS)
asan:
	+$(MAKE) BUILD=$(BUILD)/asan SANITIZE=1 all unit

$(BUILD)/ctr: $(OBJS)
	$(call say,LD)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
	$(Q)$(SPLIT_DEBUG)

# Everything but main(), for the unit tests.
$(BUILD)/libctr.a: $(LIB_OBJS)
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

$(UNITS) $(TOOLS): $(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/libctr.a
	$(call say,LD)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(BUILD)/libctr.a -lcmocka $(LDLIBS)

# ---- version: only the files that name it are rebuilt when it changes ----
GIT_DESC := $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null)
GIT_HASH := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
STAMP    := -DCTR_VERSION='"$(or $(GIT_DESC:v%=%),$(VERSION))"' -DCTR_COMMIT='"$(GIT_HASH)"'
VERSIONED := $(shell grep -lsE 'CTR_(VERSION|COMMIT)' $(SRCS) $(UNIT_SRC) /dev/null)
$(VERSIONED:%.c=$(BUILD)/%.o): CPPFLAGS += $(STAMP)
$(VERSIONED:%.c=$(BUILD)/%.o): $(BUILD)/version.stamp
$(BUILD)/version.stamp: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$(subst ",,$(STAMP))" | cmp -s - $@ || printf '%s\n' "$(subst ",,$(STAMP))" >$@

# ---- tests, benchmark, fuzzers, format ----
include tests/tests.mk

deps:
	@sh tests/deps.sh build
demo: deps
	+@$(MAKE) -j$(JOBS) all
	@BUILD=$(BUILD) bash tests/demo.sh
guest-kernel:
	@sh tests/deps.sh kernel
	@sh microvm/guest/kernel.sh $(BUILD)/guest/vmlinux

# ---- install ----
$(BUILD)/ctr.bash: $(BUILD)/ctr
	$(BUILD)/ctr completion bash >$@.tmp && mv $@.tmp $@
install: all $(BUILD)/ctr.bash
	$(INSTALL) -d $(bindir) $(mandir) $(compdir)
	$(INSTALL) -m 0755 $(BUILD)/ctr $(bindir)/ctr
	ln -sf ctr $(bindir)/ctr-vm
	$(INSTALL) -m 0644 docs/ctr.1 $(mandir)/ctr.1
	$(INSTALL) -m 0644 $(BUILD)/ctr.bash $(compdir)/ctr
	[ ! -e $(BUILD)/guest/vmlinux ] || $(INSTALL) -D -m 0644 $(BUILD)/guest/vmlinux $(libdir)/vmlinux
uninstall:
	rm -f $(libdir)/vmlinux $(bindir)/ctr $(bindir)/ctr-vm $(mandir)/ctr.1 $(compdir)/ctr
clean:
	rm -rf $(BUILD)

FORCE:
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all unit asan deps demo guest-kernel install uninstall clean FORCE
-include $(OBJS:.o=.d) $(UNITS:=.d) $(TOOLS:=.d)

# SPDX-License-Identifier: Apache-2.0
#
# Part of the Makefile: whatever is not the program itself. Every check-* is a part of check, callable alone.

deps-test:
	@sh tests/deps.sh build test fuzz
deps-machines:
	@sh tests/deps.sh vm engines
lint:
	@BUILD=$(BUILD) bash tests/run.sh lint
check: deps-test deps-machines
	+@$(MAKE) guest-kernel || echo "make check: without a kernel for micro-VMs: their tests are left out"
	+@$(MAKE) -j$(JOBS) all unit
	+@$(MAKE) -j$(JOBS) asan
	+@[ -z "$(FUZZ_CC)" ] || $(MAKE) -j$(JOBS) fuzzers
	@BUILD=$(BUILD) bash tests/run.sh
check-unit: deps-test
	+@$(MAKE) -j$(JOBS) unit
	@BUILD=$(BUILD) bash tests/run.sh unit
check-vm: deps-test
	@sh tests/deps.sh vm
	+@$(MAKE) guest-kernel
	+@$(MAKE) -j$(JOBS) all
	@BUILD=$(BUILD) bash tests/run.sh vm vm-kvm
check-engines: deps-test
	@sh tests/deps.sh engines
	+@$(MAKE) -j$(JOBS) all
	@BUILD=$(BUILD) bash tests/run.sh engines
# The container half's tests with every container a micro-VM: E2E_VM="--vm --accel kvm" E2E_FILES="smoke exec" choose.
check-e2e-vm: deps-test guest-kernel
	+@$(MAKE) -j$(JOBS) all
	@BUILD=$(BUILD) bash tests/run.sh e2e-vm
check-e2e: deps-test
	+@$(MAKE) -j$(JOBS) all
	@BUILD=$(BUILD) bash tests/run.sh e2e
# The first clang that has libFuzzer; make check goes without when there is none.
FUZZ_SECONDS ?= 600
FUZZ_CC      ?= $(shell sh tests/fuzz/clang.sh)
fuzzers:
	+@$(MAKE) BUILD=$(BUILD)/fuzz SANITIZE=fuzz CC=$(or $(FUZZ_CC),clang) $(BUILD)/fuzz/libctr.a
	+@$(MAKE) FUZZ_CC=$(or $(FUZZ_CC),clang) $(FUZZERS)
fuzz:
	@sh tests/deps.sh build fuzz
	+@$(MAKE) -j$(JOBS) fuzzers
	@sh tests/fuzz/run.sh $(BUILD)/fuzz $(FUZZ_SECONDS)
$(FUZZERS): $(BUILD)/fuzz/%: tests/fuzz/%.c $(BUILD)/fuzz/libctr.a
	$(call say,CC)
	$(Q)$(FUZZ_CC) -std=gnu17 $(CPPFLAGS) -U_FORTIFY_SOURCE -O1 -g $(WARN) -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $@ $< $(BUILD)/fuzz/libctr.a $(LDLIBS)
bench: deps
	@sh tests/deps.sh bench
	+@$(MAKE) -j$(JOBS) all $(BENCHES)
	@BUILD=$(BUILD) bash tests/bench/bench.sh
	@BUILD=$(BUILD) bash tests/bench/net.sh
$(BENCHES): $(BUILD)/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O2 $(WARN) -static -o $@ $<
format:
	clang-format -i $(wildcard $(DIRS:%=%/*.[ch]) tests/unit/*/*.[ch] tests/bench/*.c tests/fuzz/*.c tests/tools/*.c \
		tests/e2e/*.c tests/e2e/*/*.c)


.PHONY: deps-test deps-machines lint check check-unit check-e2e check-e2e-vm check-vm check-engines fuzz fuzzers bench format

# SPDX-License-Identifier: GPL-2.0-or-later
# The short names for what people do here; ninja and meson do the work.
#
#   make            build the programs into build/
#   make demo       install what is missing, build, boot a guest and show it running
#   make check      install what is missing, build, run the tests
#   make check-all  the same with the slow matrix
#   make perf       benchmarks against Debian's QEMU
#   make SUITE=unit check   only one suite

BUILD := build
SANITIZED := build-sanitized

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	scripts/setup.sh build
	./configure

$(SANITIZED)/build.ninja:
	mkdir -p $(SANITIZED)
	cd $(SANITIZED) && ../configure --enable-sanitizers

demo: all
	scripts/setup.sh build test
	scripts/demo.py --build $(BUILD)

check:
	scripts/setup.sh build test
	$(MAKE) $(BUILD)/build.ninja $(SANITIZED)/build.ninja
	scripts/check.py --build $(BUILD) --sanitized $(SANITIZED) $(if $(SUITE),--suite $(SUITE))

check-all:
	scripts/setup.sh build test
	$(MAKE) $(BUILD)/build.ninja $(SANITIZED)/build.ninja
	scripts/check.py --build $(BUILD) --sanitized $(SANITIZED) --slow

perf: all
	scripts/setup.sh build test
	tests/perf/run.py --build $(BUILD)
	tests/perf/block.py --build $(BUILD)

install: all
	ninja -C $(BUILD) install

clean:
	rm -rf $(BUILD) $(SANITIZED)

.PHONY: all demo check check-all perf install clean

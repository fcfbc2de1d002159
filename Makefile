# SPDX-License-Identifier: GPL-2.0-or-later
# Infini: see README.md.
#
#	make		builds everything into build/
#	make demo	two tenants share one device, in a virtual machine
#	make try	CMD='...' in a virtual machine that has Infini up
#	make check	runs the tests
#	make check-debug	the selftests and random calls under kernels that look for races
#	make lint	what can be found wrong without running anything
#	make check-docs	runs the command lines of the documents in a machine
#	make shares	measures what the scheduler promises
#	make fuzz	feeds what reads strangers' bytes with wrong ones, calls the module at random
#	make soak	kills clients, workers, infinid and the module under load, for MINUTES
#	make soak-containers	kills containers under load, 100 times
#	make bench	counts and times Infini beside its peers, and says which goals are met
#	make bench-containers	counts what a vdev costs the start of a container, in QEMU
#	make bench-core	counts what a job costs the scheduler, with 10^2 to 10^6 queues
#	make bench-trace	counts what watching with the BPF tools costs a tenant, in QEMU
#	make install	installs what was built
#	make deb	builds Debian packages into build/deb/SUITE
#	make check-packages	installs, uses, upgrades and purges them on a Debian that runs systemd
#	make clean	removes build/
#
# By default everything is built in and for the project's own machines: a Debian userland and
# stock kernels, fetched once and cached. HOST=1 builds with and for the running system.
#
#	V=1		show commands
#	LAYER=name	make check: only this layer (make check LAYER=help lists them)
#	MATRIX=full	make check: everything on every kernel, not only once each ioctl
#	CMD='...'	make try: shell commands ($$ for $)
#	SECONDS=N	make fuzz: how long for each target
#	MINUTES=N	make soak: how long (default 10)
#	CASES="..."	make shares: only these cases (tests/shares/run --help)
#	BACKEND=name	make shares: only on this backend: null, cuda, opencl, ggml, vulkan or remote
#	BENCH=name	make bench: only this bench
#	MODEL=...	make demo: stories (default), smollm2, or a path to a GGUF
#	HOST=1		the running system instead of the virtual machine
#	KERNEL=key	which stock kernel: a row of tests/vm/kernels.tab (default 6.12)
#	DESTDIR=, PREFIX=	make install: where to (default /usr/local)
#	SUITE=name	make deb: trixie (Debian 13, default) or forky (testing)

KERNEL ?= 6.12
PREFIX ?= /usr/local
Q := $(if $(V),,@)
MAKEFLAGS += --no-print-directory
BUILD := build

export V PREFIX DESTDIR MATRIX

ifdef HOST
inside :=
KDIR ?= /lib/modules/$(shell uname -r)/build
else
inside := tests/vm/chroot --
endif

PARTS := lib daemon ctl bpf frontends/ggml examples/opencl examples/ptx packaging/completions

SYSTEM_FILES := modules-load.d/infini.conf sysusers.d/infini.conf sysusers.d/infinid.conf \
	udev/rules.d/60-infini.rules

all: module user

# The first thing on a new machine: what we build with and in.
ready:
ifndef HOST
	$(Q)tests/vm/deps
	$(Q)tests/vm/fetch-kernel $(KERNEL)
	$(Q)tests/vm/root
endif

# Out of a copy, so that the source tree stays as it is.
module: ready
	$(Q)tests/vm/build-module $(BUILD)/kmod "$(if $(inside),$(KERNEL),$(KDIR))"

# The userland has no clang: BPF programs are compiled here.
user: ready
	$(Q)$(if $(inside),$(MAKE) -C bpf objects V=$(V))
	$(Q)$(inside) $(MAKE) user-parts V=$(V)

user-parts: $(PARTS:%=part-%)

$(PARTS:%=part-%): part-%:
	$(Q)$(MAKE) $(if $(V),,-s) -C $* all

part-daemon part-ctl part-bpf part-examples/opencl part-examples/ptx: part-lib
part-packaging/completions: part-ctl part-bpf

demo: all
	$(Q)tests/demo/run $(if $(HOST),--host) $(if $(MODEL),--model "$(MODEL)")

# CMD comes through the environment, because it holds quotes.
try: all
	$(if $(HOST),$(error make try is for the virtual machine; with HOST=1, make install))
	$(Q)tests/demo/try "$$CMD"

check: ready
	$(Q)python3 tests/check.py $(if $(LAYER),--layer "$(LAYER)")

check-debug: ready
	$(Q)tests/debug-check

# Beside the checkers, which tests/lint/deps installs, it needs the sources of User-mode Linux.
lint: ready
	$(Q)tests/lint/deps
	$(Q)tests/lint/run

check-docs: ready
	$(Q)tests/docs/run

# What the scheduler promises, measured. CASES="weights cap": only these.
shares: user
	$(Q)tests/shares/run $(BACKEND:%=--%) $(CASES)

soak: ready
	$(Q)tests/e2e/soak --minutes $(or $(MINUTES),10)

soak-containers: all
	$(Q)tests/containers/soak

# SECONDS=600: as long for each target, going on where the last run ended.
fuzz: ready
	$(Q)tests/fuzz/run $(if $(SECONDS),--seconds "$(SECONDS)")

# BENCH="roundtrip memory": only these; the report keeps the others' rows.
bench: ready
	$(Q)tests/bench/run $(BENCH)

bench-containers: all
	$(Q)tests/containers/cost

bench-core:
	$(Q)$(MAKE) -s -C tests/core bench

bench-trace: ready
	$(Q)tests/bpf/cost

install: install-user install-module
	$(Q)$(if $(DESTDIR),,systemd-sysusers "$(PREFIX)/lib/sysusers.d/infini.conf" \
		"$(PREFIX)/lib/sysusers.d/infinid.conf" || true)
	$(Q)$(if $(DESTDIR),,systemctl daemon-reload 2>/dev/null || true)
	$(Q)$(if $(DESTDIR),,udevadm control --reload || true)

install-user: user
	$(Q)for part in $(PARTS); do $(MAKE) $(if $(V),,-s) -C $$part install || exit 1; done
	$(Q)install -d "$(DESTDIR)$(PREFIX)/share/doc/infini/docs"
	$(Q)install -m 644 README.md LICENSE "$(DESTDIR)$(PREFIX)/share/doc/infini/"
	$(Q)install -m 644 docs/*.md "$(DESTDIR)$(PREFIX)/share/doc/infini/docs/"
	$(Q)for file in $(SYSTEM_FILES); do \
		install -D -m 644 packaging/$$file "$(DESTDIR)$(PREFIX)/lib/$$file" || exit 1; done

install-module: module
	$(Q)objcopy --strip-debug $(BUILD)/kmod/infini.ko $(BUILD)/kmod/infini-stripped.ko
	$(Q)install -D -m 644 $(BUILD)/kmod/infini-stripped.ko \
		"$(DESTDIR)/lib/modules/$$(modinfo -F vermagic $(BUILD)/kmod/infini.ko | cut -d' ' -f1)/extra/infini.ko"
	$(Q)$(if $(DESTDIR),,depmod "$$(modinfo -F vermagic $(BUILD)/kmod/infini.ko | cut -d' ' -f1)" || true)

deb:
	$(Q)$(if $(HOST),packaging/build-deb $(BUILD)/deb/host,tests/vm/deps && tests/packages/build $(SUITE:%=--suite %))

check-packages: ready
	$(Q)tests/packages/check

# The head of this file.
help:
	@sed -n '2,/^$$/s/^#\( \|$$\|\t\)/\1/p' $(firstword $(MAKEFILE_LIST)) | \
		sed 's/^ //; s/^\t/  /; s/\t\t*/\t/' | expand -t 24

clean:
	$(Q)rm -rf $(BUILD)

.PHONY: all ready module user user-parts demo try check lint check-docs check-debug shares fuzz soak soak-containers bench bench-containers bench-core bench-trace install install-user install-module deb check-packages help clean

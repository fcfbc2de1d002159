# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the checks in machines share: building, and machines whose kernel log is read after them.
# Sourced from the root of the tree; sets status to what they are to end with.
status=0

# In front of a command that wants no Vulkan: its loader starts Mesa's software driver in each process that loads
# ggml, only for ggml to leave it out. Emulated, that is some five seconds of a tenant's start.
# shellcheck disable=SC2034
without_vulkan=(env "VK_LOADER_DRIVERS_DISABLE=*")

# must_build WHAT CMD...: WHAT is empty or " of something". Checks that run at once build in turns.
must_build()
{
	mkdir -p build
	flock build/lock "${@:2}" || { echo "not ok 1 - build$1"; exit 1; }
}

# User-mode Linux, where compute runs at the host's speed, and the module for it.
build_uml()
{
	must_build " of User-mode Linux" tests/vm/uml-build --fast
	must_build " of the module for User-mode Linux" tests/vm/build-module build/kmod-uml-fast \
		"$(tests/vm/uml-build --fast --print KDIR)"
}

# log_is_clean LOG [WHERE]: says so of a machine's kernel log, or why not.
log_is_clean()
{
	if tests/vm/scan-log "$1"; then
		echo "ok 1000 - ${2:+$2: }the kernel log of the machine is clean"
	else
		echo "not ok 1000 - ${2:+$2: }the kernel log of the machine is clean"
		status=1
	fi
}

# machine DIR RUN OPTION... -- CMD...: runs CMD there, with build/DIR for /out.
machine()
{
	local out=$PWD/build/$1

	mkdir -p "$out"
	"$2" --share "$out" "${@:3}" || status=$?
	log_is_clean "$out/kernel.log"
}

# uml DIR MEM SECONDS CMD...
uml()
{
	machine "$1" tests/vm/uml-run --fast --mem "$2" --timeout "$3" -- "${@:4}"
}

# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Outside of a machine: the module for a kind of machine, and the kernel log of one that ran under
# "$out/MACHINE". Sourced from the root of the tree, with tree and out set.

# The kernel of a machine's name, and where its module is built.
kernel()
{
	local key=${1#qemu}

	printf '%s\n' "${key:+${key#-}}" | sed 's/^$/6.12/'
}

module()
{
	printf 'build/kmod%s\n' "$(sed 's/^qemu//; s/^-6.12$//; s/^uml$/-uml/' <<<"$1")"
}

# The module for machine $1.
build_module()
{
	local kdir

	case $1 in
	qemu*) tests/vm/build-module "$(module "$1")" "$(kernel "$1")" >&2 ;;
	uml)
		tests/vm/uml-build --kasan >&2
		kdir=$(tests/vm/uml-build --kasan --print KDIR)
		tests/vm/build-module "$(module uml)" "$kdir" >&2
		;;
	esac
}

# One plan for all: lines are numbered through and say where they ran.
number()
{
	awk -v where="$1" '/^TAP version|^1\.\.[0-9]+$/ { next }
		/^(not )?ok [0-9]+ - / { sub(/ [0-9]+ - /, " " ++n " - " where ": ") }
		{ print; fflush() }'
}

# One report is User-mode Linux's own: its flush_tlb_mm() walks a process's mappings without the
# lock, which lockdep sees whenever one process takes pages from another. Only that is left out.
without_known_reports()
{
	awk 'n && n > 5 && /BUG:|WARNING:|=====/ { show() }
		/WARNING: suspicious RCU usage/ { n = 1; block = ""; maple = flush = unmap = 0 }
		!n { print; next }
		{ block = block $0 "\n"; n++ }
		/lib\/maple_tree.c/ { maple = 1 }
		/flush_tlb_mm\+/ { flush = 1 }
		/unmap_mapping_range\+/ { unmap = 1 }
		/fork_handler\+0x0/ { show() }
		END { if (n) show() }
		function show() {
			if (maple && flush && unmap)
				print "left out: flush_tlb_mm() of User-mode Linux"
			else
				printf "%s", block
			n = 0
		}' "$1"
}

# KCSAN sees the whole kernel race. A race is ours when one of its two stacks goes through the module.
without_races_of_others()
{
	awk '/==========/ && !n { rule = $0; getline; if (!/BUG: KCSAN/) print rule; else { n = 1; block = rule "\n" } }
		!n { print; next }
		{ block = block $0 "\n" }
		/\[infini\]/ { ours = 1 }
		/==========/ {
			if (ours)
				printf "%s", block
			else
				others++
			n = ours = 0
		}
		END {
			if (ours)
				printf "%s", block
			print "left out: " others + 0 " races of the kernel with itself"
		}' "$1"
}

# known MACHINE: its log without what is known not to be ours.
known()
{
	if [ "$1" = qemu-kcsan ]; then
		without_races_of_others "$out/$1/kernel.log"
	else
		without_known_reports "$out/$1/kernel.log"
	fi
}

scan()
{
	known "$1" >"$out/$1/kernel-known.log"
	sed -n 's/^left out/# left out/p' "$out/$1/kernel-known.log" | sort | uniq -c | sed 's/^ *\([0-9]*\) # /# \1 times /'
	if tests/vm/scan-log "$out/$1/kernel-known.log" >"$out/$1/kernel-reports"; then
		printf 'ok 0 - kernel log\n'
	else
		sed 's/^/# /' "$out/$1/kernel-reports"
		printf 'not ok 0 - kernel log # see %s/%s/kernel.log\n' "$out" "$1"
	fi
}

# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Inside a machine: the module is loaded before a test and unloaded after it, and must leave nothing.
# Sourced; sets failed when something is wrong.

# record NAME STATUS SECONDS REASON: a line of the file $results, when there is one
record()
{
	[ -z "${results:-}" ] || printf '%s %s %s %s\n' "$1" "$2" "$3" "${4:-}" >>"$results"
}

# report NAME FAULT: a line of TAP and one of results; FAULT is empty when all is well.
report()
{
	if [ -z "$2" ]; then
		printf 'ok 0 - %s\n' "$1"
		record "${1// /-}" passed 0
	else
		printf '# %s\nnot ok 0 - %s\n' "$2" "$1"
		record "${1// /-}" failed 0 "$2"
		failed=1
	fi
}

# module_load MODULE
module_load()
{
	[ -d /sys/kernel/debug/tracing ] || mount -t debugfs none /sys/kernel/debug 2>/dev/null
	[ ! -e /sys/kernel/debug/kmemleak ] || echo clear >/sys/kernel/debug/kmemleak
	report "module: loads" "$(insmod "$1" 2>&1)"
	[ -z "$failed" ]
}

left_after_unload()
{
	local path

	for path in /dev/infini* /sys/class/infini /sys/module/infini /sys/kernel/debug/infini; do
		[ ! -e "$path" ] || printf '%s is still there; ' "$path"
	done
}

# module_unload MODULE
module_unload()
{
	report "module: nobody holds it" \
		"$(read -r n </sys/module/infini/refcnt; [ "$n" = 0 ] || echo "$n references")"
	report "module: unloads" "$(rmmod infini 2>&1)"
	report "module: leaves nothing" "$(left_after_unload)"
	report "module: loads again" "$(insmod "$1" 2>&1 && rmmod infini 2>&1)"
}

# Memory that nothing points to any more; objects younger than five seconds do not count.
module_leaks()
{
	local leak=/sys/kernel/debug/kmemleak

	[ -e "$leak" ] || return 0
	sleep 6
	echo scan >"$leak"
	sleep 1
	echo scan >"$leak"
	grep -A 20 'unreferenced object' "$leak" | tee /dev/kmsg | head -n 40 | sed 's/^/# /'
	report "module: no memory is lost" \
		"$(grep -c 'unreferenced object' "$leak" | sed '/^0$/d; s/$/ objects/')"
}

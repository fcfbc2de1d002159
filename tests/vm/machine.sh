# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
# What every kind of machine shares: its control directory and how its end is judged; sourced.

# machine_prepare: vm_ctl becomes a new control directory, vm_share where /out leads.
machine_prepare()
{
	local share=$1

	vm_ctl=$(mktemp -d)
	vm_pid='' vm_watchdog=''
	trap machine_cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	chmod 755 "$vm_ctl"
	cp "$vm_dir/guest-run" "$(command -v busybox)" "$vm_ctl/"
	if [ -n "$share" ]; then
		mkdir -p "$share"
		vm_share=$(realpath "$share")
	else
		mkdir "$vm_ctl/out"
		vm_share=$vm_ctl/out
	fi
	rm -f "$vm_share/kernel.log"
}

machine_cleanup()
{
	machine_kill
	rm -rf "$vm_ctl"
}

# Emulator and watchdog lead a process group each, so that nothing of them can stay behind.
machine_kill()
{
	local pid

	for pid in $vm_pid $vm_watchdog; do
		kill -KILL -- "-$pid" 2>/dev/null || true
		# swallows the shell's own line about the death
		wait "$pid" 2>/dev/null || true
	done
	vm_pid='' vm_watchdog=''
}

# machine_bind DIR[:PATH]: one more row of the caller's list "binds".
machine_bind()
{
	local source target

	source=$(realpath -e "${1%%:*}" 2>/dev/null) || die 2 "--bind $1: does not exist"
	[ -d "$source" ] || die 2 "--bind $1: not a directory"
	target=${1#*:}
	[[ $target == /* && $1 == *:* ]] || target=$source
	binds+=("$source:$target")
}

# The guest's terminal takes after ours.
machine_terminal()
{
	printf '%s %s\n' "${TERM:-dumb}" \
		"$(stty size 2>/dev/null </dev/tty || echo 24 80)" >"$vm_ctl/tty"
}

# machine_command CMD ARG...: what the guest runs, in our directory if it is shown there.
machine_command()
{
	{
		printf 'cd %s 2>/dev/null || cd %s\n' "${PWD@Q}" "${vm_tree@Q}"
		printf 'exec %s\n' "${*@Q}"
	} >"$vm_ctl/command"
}

# machine_wait SECONDS COMMAND...: runs the emulator in the background, bounded.
machine_wait()
{
	local seconds=$1

	shift
	# an end of input would make the emulator close the guest's output port
	mkfifo "$vm_ctl/input"
	exec 8<>"$vm_ctl/input"
	set -m
	"$@" <&8 &
	vm_pid=$!
	(sleep "$seconds" && : >"$vm_ctl/late" && kill -KILL -- "-$vm_pid") \
		>/dev/null 2>&1 8>&- &
	vm_watchdog=$!
	set +m
	vm_emulator_status=0
	wait "$vm_pid" 2>/dev/null || vm_emulator_status=$?
	machine_kill
	exec 8>&-
}

# The guest's own status, or 125 and one line that says what became of the machine.
machine_status()
{
	local seconds=$1 log=$vm_share/kernel.log status reason

	if [ -s "$vm_ctl/status" ]; then
		read -r status <"$vm_ctl/status"
		return "$status"
	fi
	reason=$(grep -aoE 'Kernel panic - not syncing.*|infini-vm: .*' "$log" 2>/dev/null |
		head -n 1) || true
	if [ -e "$vm_ctl/late" ]; then
		reason="no end within $seconds s${reason:+ ($reason)}"
	elif [ -z "$reason" ]; then
		reason="ended with status $vm_emulator_status and no word from the command"
	fi
	# the guesses of a stack trace would push out what was said before it
	[ ! -s "$log" ] || grep -av '] ? ' "$log" | tail -n 25 >&2
	note "machine failed: $reason"
	return 125
}

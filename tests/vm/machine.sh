# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
# What every kind of machine shares: its control directory and how its end is judged; sourced.

# machine_prepare: vm_ctl becomes a new control directory, vm_share where /out leads.
machine_prepare()
{
	local share=$1

	vm_ctl=$(mktemp -d)
	vm_pid=
	trap machine_cleanup EXIT
	trap 'machine_stop 130' INT
	trap 'machine_stop 143' TERM HUP
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
	[ -z "$vm_pid" ] || kill -KILL -- "-$vm_pid" 2>/dev/null || true
	rm -rf "$vm_ctl"
}

machine_stop()
{
	if [ -n "$vm_pid" ]; then
		kill -TERM "$vm_pid" 2>/dev/null || true
		wait "$vm_pid" 2>/dev/null || true
	fi
	exit "$1"
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
	# its own process group, so that nothing of it can stay behind
	set -m
	timeout --foreground -k 5 "$seconds" "$@" <&8 &
	vm_pid=$!
	set +m
	vm_emulator_status=0
	wait "$vm_pid" || vm_emulator_status=$?
	kill -KILL -- "-$vm_pid" 2>/dev/null || true
	exec 8>&-
	vm_pid=
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
	if [ "$vm_emulator_status" -eq 124 ] || [ "$vm_emulator_status" -eq 137 ]; then
		reason="no end within $seconds s${reason:+ ($reason)}"
	elif [ -z "$reason" ]; then
		reason="ended with status $vm_emulator_status and no word from the command"
	fi
	[ ! -s "$log" ] || tail -n 25 "$log" >&2
	note "machine failed: $reason"
	return 125
}

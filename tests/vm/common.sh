# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
# Paths, messages and cache helpers shared by the VM harness scripts; sourced, never run.

vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
vm_tree=$(cd "$vm_dir/../.." && pwd)
vm_cache=${XDG_CACHE_HOME:-$HOME/.cache}/infini
vm_name=${0##*/}

note()
{
	printf '%s: %s\n' "$vm_name" "$*" >&2
}

# die STATUS MESSAGE...
die()
{
	local status=$1

	shift
	note "$@"
	exit "$status"
}

need_command()
{
	local name

	for name in "$@"; do
		command -v "$name" >/dev/null ||
			die 1 "$name not found; run tests/vm/deps first"
	done
}

# The script again as root, for mounts and package installation.
become_root()
{
	[ "$(id -u)" -ne 0 ] || return 0
	command -v sudo >/dev/null ||
		die 1 "needs root for mounts and packages, and sudo is not installed"
	exec sudo --preserve-env=XDG_CACHE_HOME,HOME -- "$0" "$@"
}

# One builder per cache entry: the second caller waits, then finds it made.
cache_lock()
{
	mkdir -p "$vm_cache"
	exec 9>"$vm_cache/$1.lock"
	flock -n 9 || {
		note "waiting for another build of $1"
		flock 9
	}
}

# A scratch directory beside the cache, so that publishing it is one rename.
# Its name goes to the variable vm_scratch; what a killed build left is removed.
cache_scratch()
{
	local name=$1

	rm -rf --one-file-system "$vm_cache/.$name".??????
	vm_scratch=$(mktemp -d "$vm_cache/.$name.XXXXXX")
	trap 'rm -rf --one-file-system "$vm_scratch"' EXIT
	chmod 755 "$vm_scratch"
}

cache_publish()
{
	rm -rf --one-file-system "${vm_cache:?}/$1"
	mv -T "$vm_scratch" "$vm_cache/$1"
	trap - EXIT
}

# Debian mirror that this machine's own apt sources name; apt knows it once it has read its lists.
debian_mirror()
{
	local uri attempt

	for attempt in first second; do
		# shellcheck disable=SC2016
		uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
			2>/dev/null | grep -E '/debian/?$' | head -n 1) || true
		[ -z "$uri" ] || break
		[ "$attempt" = second ] || apt-get -qq update >&2 || true
	done
	[ -n "$uri" ] || die 1 "apt's sources name no Debian mirror; add one"
	printf '%s\n' "$uri"
}

# apt_private DIR SUITE...: an apt of its own in DIR that knows only these suites.
apt_private()
{
	local dir=$1 mirror suite

	shift
	mirror=$(debian_mirror)
	mkdir -p "$dir"/{state/lists/partial,cache/archives/partial,prefs}
	: >"$dir/status"
	for suite in "$@"; do
		printf 'deb [signed-by=%s] %s %s main\n' \
			/usr/share/keyrings/debian-archive-keyring.gpg "$mirror" "$suite"
		printf 'deb-src [signed-by=%s] %s %s main\n' \
			/usr/share/keyrings/debian-archive-keyring.gpg "$mirror" "$suite"
	done >"$dir/sources.list"
	cat >"$dir/apt.conf" <<-CONF
		Dir::State "$dir/state";
		Dir::State::status "$dir/status";
		Dir::Cache "$dir/cache";
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "-";
		Dir::Etc::preferences "-";
		Dir::Etc::preferencesparts "$dir/prefs";
		Acquire::Check-Valid-Until "false";
		Acquire::Languages "none";
		Acquire::Retries "3";
		APT::Sandbox::User "";
	CONF
	export APT_CONFIG="$dir/apt.conf"
	apt-get -qq update >&2
}

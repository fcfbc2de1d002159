# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
# Kernels built from Debian's source: taking it, building it, and what is kept to build modules; sourced.
# kernel_arch, kernel_package and kernel_suite say which.

# Parts that no configuration of ours compiles stay packed; Kconfig files are all needed.
unpack_source()
{
	local deb=$1 dir=$2 skip

	skip=(--exclude='*/arch/*/boot/dts/*' --exclude='*/tools/testing/*')
	for part in drivers/gpu/drm drivers/media drivers/staging drivers/infiniband sound; do
		skip+=(--exclude="*/$part/*.[chS]")
	done
	skip+=(--exclude='*/Documentation/*.rst' --exclude='*/drivers/net/*/*.[ch]')
	mkdir -p "$dir"
	dpkg-deb --fsys-tarfile "$deb" | tar xO "./usr/src/$kernel_package.tar.xz" |
		tar xJ -C "$dir" --strip-components=1 "${skip[@]}"
}

# take_source DIR: there it is, and nothing else of it stays.
take_source()
{
	local dir=$1 debs

	export CCACHE_DIR=$vm_cache/ccache CCACHE_BASEDIR=$vm_scratch CCACHE_NOHASHDIR=1
	note "downloading $kernel_package"
	apt_private "$vm_scratch/apt" "$kernel_suite" ||
		die 1 "cannot read suite $kernel_suite at $(debian_mirror)"
	(cd "$vm_scratch" && apt-get -qq download "$kernel_package" >&2)
	unset APT_CONFIG
	debs=("$vm_scratch"/*.deb)
	note "unpacking ${debs[0]##*/}"
	unpack_source "${debs[0]}" "$dir"
	rm -rf "$vm_scratch/apt" "${debs[@]}"
	mkdir "$dir/obj"
}

kernel_make()
{
	local src=$1

	shift
	nice -n 5 make -C "$src" "ARCH=$kernel_arch" O=obj CC="ccache gcc" HOSTCC="ccache gcc" \
		KBUILD_BUILD_TIMESTAMP=@0 KBUILD_BUILD_USER=infini KBUILD_BUILD_HOST=infini \
		"$@" >"$vm_scratch/make.log" 2>&1 || {
		tail -n 30 "$vm_scratch/make.log" >&2
		die 1 "building $kernel_package failed"
	}
}

# configure SRC: all that the fragment on standard input asks for, and nothing else.
configure()
{
	local src=$1 fragment=$vm_scratch/fragment missing

	cat >"$fragment"
	kernel_make "$src" KCONFIG_ALLCONFIG="$fragment" allnoconfig
	missing=$(grep '^CONFIG' "$fragment" | grep -vxFf "$src/obj/.config") || true
	[ -z "$missing" ] || die 1 "$kernel_package cannot be configured with: $missing"
	rm "$fragment"
}

# Keeps what module builds read: headers, scripts, makefiles and the built helpers.
prune()
{
	local src=$1

	[ -s "$src/obj/Module.symvers" ] || die 1 "$kernel_package left no Module.symvers"
	find "$src" -depth \( -name '*.o' -o -name '*.a' -o -name '.*.cmd' -o -name '*.c' \
		-o -name '*.S' -o -name Kconfig -o -name '*.dts*' \) \
		! -path '*/scripts/*' -type f -delete
	for part in samples Documentation drivers sound firmware crypto fs net mm; do
		rm -rf "${src:?}/$part" "$src/obj/$part"
	done
	rm -rf "$src/tools"
	# User-mode Linux needs no tools.
	[ ! -d "$src/obj/tools" ] || find "$src/obj/tools" -type f ! -path '*/objtool/objtool' -delete
	rm -f "$src/obj"/{vmlinux,linux,System.map}* "$src/obj"/.tmp_vmlinux* "$vm_scratch/make.log"
	find "$src" -type d -empty -delete
	# so that callers need not name the architecture
	# shellcheck disable=SC2016
	printf 'ARCH := %s\nexport ARCH\ninclude %s\n' "$kernel_arch" \
		'$(dir $(lastword $(MAKEFILE_LIST)))../Makefile' >"$src/obj/Makefile"
}

# find_built NAME HASH: the directory in the cache, if it is there.
find_built()
{
	local dirs

	dirs=("$vm_cache/$1"-*-"$2")
	[ ! -d "${dirs[0]}" ] || printf '%s\n' "${dirs[0]}"
}

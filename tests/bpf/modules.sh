# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# The module with BTF and without, for a stock kernel; sourced, in the source tree.

# build_modules KERNEL OUT: OUT/typed.ko with BTF, OUT/classic.ko without.
build_modules()
{
	local kernel=$1 out=$2 dir=build/kmod

	[ "$kernel" = 6.12 ] || dir=build/kmod-$kernel
	tests/vm/build-module "$dir" "$kernel" && cp "$dir/infini.ko" "$out/typed.ko" || return
	# Headers before 6.12 have nothing that module BTF could be made against. No -q: grep would end before
	# readelf has, which dies of that, and what has BTF would be given some of another pahole's.
	if ! readelf -S "$out/typed.ko" | grep '\.BTF ' >/dev/null; then
		LLVM_OBJCOPY=objcopy pahole -J --btf_base \
			"$(tests/vm/fetch-kernel "$kernel" --print VMLINUX)" "$out/typed.ko" || return
	fi
	objcopy --remove-section .BTF "$out/typed.ko" "$out/classic.ko"
}

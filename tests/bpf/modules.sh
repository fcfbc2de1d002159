# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# The module with BTF and without, for a stock kernel; sourced, in the source tree.

# A kernel that a newer compiler made than the machine has: with the userland's, from the same copy.
build_module()
{
	local kernel=$1 dir=$2 kdir

	tests/vm/fetch-kernel "$kernel" || return
	kdir=$(tests/vm/fetch-kernel "$kernel" --print KDIR)
	if [ "$(tests/vm/fetch-kernel "$kernel" --print TOOLCHAIN)" = host ]; then
		tests/vm/build-module "$dir" "$kdir"
		return
	fi
	mkdir -p "$dir/src"
	rsync -a --delete --include='*/' --include='*.[ch]' --include=Kbuild --exclude='*' \
		--filter='protect *' kmod uapi "$dir/src/" &&
		tests/vm/chroot --bind "${kdir%/usr/src/*}" -- make -s -C "$kdir" \
			"M=$PWD/$dir/src/kmod" W=1 KCFLAGS=-Werror modules &&
		cp "$dir/src/kmod/infini.ko" "$dir/infini.ko"
}

# build_modules KERNEL OUT: OUT/typed.ko with BTF, OUT/classic.ko without.
build_modules()
{
	local kernel=$1 out=$2 dir=build/kmod

	[ "$kernel" = 6.12 ] || dir=build/kmod-$kernel
	build_module "$kernel" "$dir" && cp "$dir/infini.ko" "$out/typed.ko" || return
	# Headers before 6.12 have nothing that module BTF could be made against. No -q: grep would end before
	# readelf has, which dies of that, and what has BTF would be given some of another pahole's.
	if ! readelf -S "$out/typed.ko" | grep '\.BTF ' >/dev/null; then
		LLVM_OBJCOPY=objcopy pahole -J --btf_base \
			"$(tests/vm/fetch-kernel "$kernel" --print VMLINUX)" "$out/typed.ko" || return
	fi
	objcopy --remove-section .BTF "$out/typed.ko" "$out/classic.ko"
}

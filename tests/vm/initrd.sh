# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
# Makes the small first root of a machine: busybox, guest-init and a few modules; sourced.

# module_files MODDIR NAME...: files to load, in order, dependencies first.
# A name without a file is built into the kernel, or does not exist in it.
module_files()
{
	local moddir=$1 name line word files

	shift
	for name in "$@"; do
		line=$(grep -E "(^|/)${name//[-_]/[-_]}\.ko[^:]*:" "$moddir/modules.dep" |
			head -n 1) || continue
		files=
		for word in ${line/:/ }; do
			files="$moddir/$word"$'\n'$files
		done
		printf '%s' "$files"
	done | awk '!seen[$0]++'
}

# make_initrd OUT [MODDIR NAME...]
make_initrd()
{
	local out=$1 moddir=${2:-} dir number=100 file target

	dir=$(mktemp -d)
	mkdir "$dir"/{bin,dev,proc,sys,ctl,lower,rw,newroot,modules}
	cp "$(command -v busybox)" "$dir/bin/busybox"
	install -m 755 "$vm_dir/guest-init" "$dir/init"
	if [ -n "$moddir" ]; then
		shift 2
		while read -r file; do
			target=$dir/modules/$number-$(basename "${file%.xz}")
			case $file in
			*.xz) xz -dc "$file" >"$target" ;;
			*) cp "$file" "$target" ;;
			esac
			number=$((number + 1))
		done < <(module_files "$moddir" "$@")
	fi
	(cd "$dir" && find . | cpio -o -H newc --quiet -R 0:0) >"$out"
	rm -rf "$dir"
}

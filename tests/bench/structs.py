#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the module's objects take, by the debugging information of a module for a stock kernel: prints
rows. Pages that they hold besides and the allocator's rounding are not in it."""
import os
import re
import subprocess
import sys

from row import failed, row, show

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODULE = "build/kmod/infini.ko"
# what it is, its structure, and what it may take
STRUCTS = [("vdev", "infini_vdev", "<= 8192"), ("queue", "infini_queue", "<= 1024"),
           ("job", "infini_kjob", "<= 512"), ("buffer", "infini_buffer", None),
           ("program", "infini_program", None), ("client", "infini_client", None),
           ("executor", "infini_executor", None), ("device", "infini_device", None)]


def main():
    subprocess.run(["make", "module"], cwd=TREE, stdout=sys.stderr, check=True)
    for name, struct, goal in STRUCTS:
        said = subprocess.run(["tests/vm/chroot", "--", "pahole", "-C", struct, MODULE], cwd=TREE,
                              stdout=subprocess.PIPE, text=True, check=False).stdout
        size = re.search(r"/\* size: (\d+), cachelines: (\d+)", said)
        holes = re.search(r"holes: \d+, sum holes: (\d+)", said)
        if not size:
            show(failed(f"struct {struct}", "pahole does not know it"))
            continue
        note = f"{size[2]} cache lines, {holes[1] if holes else 0} bytes of holes"
        show(row(f"structure of a {name}", int(size[1]), "bytes", goal=goal, note=note))


if __name__ == "__main__":
    main()

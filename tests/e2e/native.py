#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What needs compute at native speed: a hundred thousand preemptions, ggml's own operator tests, a
Vulkan device. TAP.

Runs under User-mode Linux, with one thread: there is one processor.
"""
import contextlib
import glob
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import every_operator  # noqa: E402  pylint: disable=wrong-import-position
import guest  # noqa: E402  pylint: disable=wrong-import-position
import infini  # noqa: E402  pylint: disable=wrong-import-position
from tap import Skip, Tap  # noqa: E402  pylint: disable=wrong-import-position

TOKENS = 1000
PREEMPTIONS_EACH = 1000
PREEMPTIONS = int(os.environ.get("PREEMPTIONS", "100000"))
CASES_EACH = int(os.environ.get("CASES_EACH", "12"))

# Mesa's software device takes seconds to compile each shader: few operators, and few shapes.
OPERATORS_VULKAN = [
    ("ADD,MUL,SCALE", "type=f32,ne=\\[10,5,4,[13]\\],nr=\\[[12],1,1,[12]\\]|ne=\\[10,10,10,10\\]"),
    ("GET_ROWS,SET_ROWS",
     "f32,.*n=256,m=5,r=4,be1=1|type=(f32|f16|q8_0).*ne=\\[256,5,1,3\\]"),
    ("ROPE", "type=f32,ne_a=\\[128,32,2,1\\],n_dims=128,mode=(0|2),n_ctx=512"),
    ("RMS_NORM", "ne=\\[64,5,4,3\\],(v=0,)?eps=0.000001"),
]


# One case of each, beside those.
ONCE_VULKAN = ("MUL_MAT", "MUL_MAT_ID", "FLASH_ATTN_EXT", "SOFT_MAX", "NORM", "CPY", "CONT", "CONCAT", "SWIGLU",
               "SILU", "GELU", "ARGSORT", "SUM_ROWS", "IM2COL")


def without_vulkan(environment):
    """Its loader takes longer to start Mesa's driver than these tenants take for a hundred tokens."""
    return dict(environment, VK_LOADER_DRIVERS_DISABLE="*")


def long_text(more, environment=None):
    """A thousand tokens from the same prompt."""
    return guest.whole_text(guest.completion("-c", "1200", "--ignore-eos", *more, tokens=TOKENS),
                            environment)


def case_preemptions(_):
    """1,000 tokens preempted at least 1,000 times give the same text, up to 100,000 preemptions"""
    want = long_text(guest.PLAIN)
    # It does not end in between: whoever starts anew preempts nobody meanwhile.
    hog = subprocess.Popen(
        ["llama-bench", "-m", guest.MODEL, "-p", "0", "-n", str(TOKENS), "-r", "1000000", "-t", "1", *guest.ON_VDEV],
        env=without_vulkan(infini.tenant("b")), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    try:
        guest.generating("b")
        total = rounds = 0
        while total < PREEMPTIONS:
            before = infini.vdevs()["a"]["stats"]["preemptions"]
            text = long_text(guest.ON_VDEV, without_vulkan(infini.tenant("a")))
            count = infini.vdevs()["a"]["stats"]["preemptions"] - before
            guest.same_text(text, want, f"round {rounds}, {count} preemptions")
            guest.check(count >= PREEMPTIONS_EACH, f"round {rounds}: {count} preemptions only")
            total += count
            rounds += 1
            print(f"# {rounds} texts, {total} preemptions", flush=True)
    finally:
        hog.kill()
        hog.wait()


def backend_ops():
    folder = subprocess.run("echo /usr/libexec/*/ggml/test-backend-ops", shell=True, text=True,
                            stdout=subprocess.PIPE, check=True)
    return folder.stdout.strip()


def operators(world, vdev, rows):
    """Runs rows of operators and cases on a vdev; returns how many cases passed."""
    passed = 0
    for number, (names, which) in enumerate(rows):
        begin = time.monotonic()
        status, out, err = guest.run([backend_ops(), "test", "-b", "INFINI0", "-o", names, "-p",
                                      which], infini.tenant(vdev), seconds=600)
        text = out.decode(errors="replace")
        with open(os.path.join(world.out, f"operators-{vdev}-{number}.log"), "w",
                  encoding="utf-8") as file:
            file.write(text + err)
        lines = [line for line in text.splitlines() if "FAIL" in line]
        # A case ends with ")" and its verdict; lines that sum up do not count.
        passed_now = sum("): " in line and "OK" in line for line in text.splitlines())
        guest.check(not status and not lines, f"{names}: status {status}: {lines[:3]}")
        guest.check(passed_now, f"{names}: no case ran")
        passed += passed_now
        print(f"# {names}: {passed_now} cases in {time.monotonic() - begin:.0f} s", flush=True)
    print(f"# {passed} cases passed", flush=True)


def case_operators(world):
    """test-backend-ops: of every operator that the vdev claims, cases of all kinds pass"""
    every_operator.check(world.out, "a", "CPU", each=CASES_EACH)


def lavapipe():
    """Mesa's Vulkan device in software, and what ggml needs to use it."""
    for what, pattern in (("Mesa's lavapipe", "/usr/share/vulkan/icd.d/lvp_icd*.json"),
                          ("ggml's Vulkan backend", "/usr/lib/*/ggml/*/libggml-vulkan.so")):
        if not glob.glob(pattern):
            raise Skip(f"{what} is not installed")


@contextlib.contextmanager
def vulkan_vdev(world):
    """infinid with Mesa's Vulkan device in software instead of the CPU, and a vdev "v" on it."""
    lavapipe()
    # ggml leaves software devices out unless they are asked for by number.
    os.environ["GGML_VK_VISIBLE_DEVICES"] = "0"
    world.daemon.stop()
    out = os.path.join(world.out, "vulkan")
    os.makedirs(out, exist_ok=True)
    other = infini.Daemon(out, ["vulkan0"], "[backend ggml]\ndevices = vulkan0\n",
                          "idle_exit_s = 2\n")
    other.start()
    try:
        world.vdev("v", device="vulkan0")
        yield out
        if "v" in infini.vdevs():
            world.gone("v")
    finally:
        other.stop()
        del os.environ["GGML_VK_VISIBLE_DEVICES"]
        world.daemon.start()


def case_vulkan(world):
    """a Vulkan device: the text of plain llama.cpp on that device, all layers offloaded"""
    with vulkan_vdev(world) as out:
        log = os.path.join(out, "completion.log")
        command = guest.completion("-c", "128", "-b", "64", "--no-warmup", "--ignore-eos", "-ngl",
                                   "99", "-lv", "4", "--log-file", log, tokens=12)
        text = guest.whole_text(command + ["-dev", "INFINI0"], infini.tenant("v"))
        with open(log, encoding="utf-8", errors="replace") as file:
            layers = infini.offloaded(file.read())
        guest.check(layers[0] == layers[1], f"{layers[0]} of {layers[1]} layers offloaded")
        stats = infini.vdevs()["v"]["stats"]
        guest.check(stats["tokens_generated"] >= 12, f"{stats['tokens_generated']} tokens counted")
        world.gone("v")
        guest.check(text == guest.whole_text(command + ["-dev", "Vulkan0"]), "another text")


def case_operators_vulkan(world):
    """test-backend-ops on a Vulkan device: cases that the vdev claims pass"""
    with vulkan_vdev(world) as out:
        operators(world, "v", OPERATORS_VULKAN)
        every_operator.check(out, "v", "Vulkan0", ONCE_VULKAN)


def main():
    tap = Tap()
    world = guest.World(sys.argv[1], "segment_us = 10\nthreads_max = 1\n")
    only = sys.argv[2:]
    infini.load_module()
    world.daemon.start()
    for name in ("a", "b"):
        world.vdev(name, "512M")
        infini.ctl("vdev", "set", name, "--quantum", "100us")
    for function in (case_vulkan, case_operators_vulkan, case_operators, case_preemptions):
        if not only or function.__name__.removeprefix("case_") in only:
            tap.case(function, world)
    infini.wait_until("clients are gone", lambda: not any(
        v["stats"]["clients"] for v in infini.vdevs().values()))
    infini.ctl("vdev", "delete", "b")
    tap.case(guest.case_unload, world)
    tap.end()


if __name__ == "__main__":
    main()

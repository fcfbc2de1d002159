#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""OpenCL C on vdevs of a CPU (PoCL): right numbers, and tenants who mean harm. TAP."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import infini  # noqa: E402  pylint: disable=wrong-import-position
from guest import check, run  # noqa: E402  pylint: disable=wrong-import-position
from tap import Tap, chosen  # noqa: E402  pylint: disable=wrong-import-position

EXAMPLES = os.path.join(infini.TREE, "build/examples/opencl")
SEND = os.path.join(infini.TREE, "build/e2e/send-kernel")
SECONDS = 600                   # a compiler under emulation
GOOD = "kernel void k(global int *a) { a[0] = 1; }"


def example(name, size, vdev):
    status, out, err = run([os.path.join(EXAMPLES, name), str(size)], infini.tenant(vdev), SECONDS)
    check(not status and b": 0 wrong" in out, f"{name} on {vdev}: {status}, {out} {err[-300:]}")


def ending(text, vdev, seconds=300):
    """How a job of the kernel ends."""
    status, out, err = run([SEND, text, str(seconds)], infini.tenant(vdev), SECONDS)
    check(not status, f"{status}: {err[-300:]}")
    return out.decode().strip()


def log(daemon):
    with open(daemon.log, encoding="utf-8", errors="replace") as file:
        return file.read()


def case_device(daemon):
    """infinid offers the device of the installed driver"""
    daemon.start()
    device = infini.devices()["opencl0"]
    check(device["backend"] == "opencl" and device["online"], f"{device}")
    for vdev in ("a", "b"):
        infini.ctl("vdev", "create", vdev, "--device", "opencl0", "--memory", "256M")


def case_numbers(_):
    """SAXPY and tiled SGEMM are right to the bit"""
    example("saxpy", 1 << 16, "a")
    example("sgemm", 64, "a")


def case_together(_):
    """two tenants at once: both are right"""
    before = infini.vdevs()["a"]["stats"]["preemptions"]
    long = subprocess.Popen([os.path.join(EXAMPLES, "saxpy"), str(1 << 20)],
                            env=infini.tenant("a"), stdout=subprocess.PIPE)
    try:
        example("sgemm", 64, "b")
        out, _ = long.communicate(timeout=SECONDS)
    finally:
        long.kill()
    check(not long.returncode and b": 0 wrong" in out, f"the long one: {long.returncode}, {out}")
    stopped = infini.vdevs()["a"]["stats"]["preemptions"] - before
    print(f"# {stopped} preemptions")


def case_build_error(daemon):
    """a source with an error: EINVAL, and the compiler's line in the log"""
    check(ending("kernel void k(global int *a) { a[0] = nonsense; }", "a") == "EINVAL", "taken")
    check("does not build: error: " in log(daemon) and "nonsense" in log(daemon),
          "the log does not say why")
    check(ending(GOOD, "a") == "done", "the worker is of no use after it")


def case_endless(_):
    """a kernel without an end: ETIMEDOUT, the other vdev works, and then this one again"""
    check(ending(GOOD, "a") == "done", "not even before")
    # The compiler's time counts.
    seconds = 10 if infini.user_mode_linux() else 60
    how = ending("kernel void k(global volatile int *a) { while (!a[1]) a[0]++; }", "a", seconds)
    check(how == "ETIMEDOUT", f"it ended with {how}")
    check(ending(GOOD, "b") == "done", "the other vdev suffers")
    check(ending(GOOD, "a") == "done", "the vdev does not come back")


def case_wild(daemon):
    """a kernel that writes to an address of its own: its worker dies, the next one serves"""
    how = ending("kernel void k(global int *a) { *(global volatile int *)8 = a[0]; }", "a")
    check(how == "EOWNERDEAD", f"it ended with {how}")
    infini.wait_until("the log says so", lambda: "killed by SIGSEGV" in log(daemon))
    check(ending(GOOD, "a") == "done", "the vdev does not come back")


def case_nothing_left(daemon):
    """infinid stops: no process of a compiler, no file, no mount is left"""
    for vdev in ("a", "b"):
        infini.wait_until(f"vdev {vdev} is free", lambda v=vdev:
                          not infini.vdevs()[v]["stats"]["clients"])
        infini.ctl("vdev", "delete", vdev)
    daemon.stop()
    status, out, _ = run(["pgrep", "-l", "^infini|^ld"])
    check(status == 1, f"still there: {out.decode()}")
    left = os.listdir("/run/infini/scratch")
    check(not left, f"files {left}")
    with open("/proc/mounts", encoding="utf-8") as file:
        check("/run/infini/scratch" not in file.read(), "a mount is left")
    check("forbids" not in log(daemon), "a worker was killed for a system call")


def main():
    tap = Tap()
    infini.load_module()
    daemon = infini.Daemon(sys.argv[1], ["opencl0"], "[backend ggml]\nenabled = no\n"
                           "[backend opencl]\nenabled = yes\n")
    tap.case(case_device, daemon)
    for function in chosen(globals(), sys.argv[2:]):
        if function not in (case_device, case_nothing_left):
            tap.case(function, daemon)
    tap.case(case_nothing_left, daemon)
    infini.unload_module()
    tap.end()


if __name__ == "__main__":
    main()

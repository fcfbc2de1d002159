#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two GPUs of the CUDA backend on a driver that needs none: kernels in PTX, faults, and a GPU that is
lost and comes back. TAP.

Runs under User-mode Linux, with one processor.
"""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import infini  # noqa: E402  pylint: disable=wrong-import-position
from guest import check, run  # noqa: E402  pylint: disable=wrong-import-position
from tap import Tap, chosen  # noqa: E402  pylint: disable=wrong-import-position

LIBRARY = os.path.join(infini.TREE, "build/tests/cuda/libcuda.so.1")
PTX = os.path.join(infini.TREE, "build/examples/ptx/ptx")
EXAMPLES = os.path.join(infini.TREE, "examples/ptx")
HEAD = ".version 6.0\n.target sm_50\n.address_size 64\n"
KERNELS = {
    "trap": HEAD + ".entry trap_now { trap; }\n",
    "illegal": HEAD + ".entry illegal { .reg .b64 %d; mov.u64 %d, 64; st.global.u32 [%d], 1; ret; }\n",
    "broken": HEAD + ".entry broken { frobnicate.u32 %r1; }\n",
}


class Pool:
    """Two GPUs with a vdev on each."""

    events = None

    def __init__(self, out):
        self.out = out
        self.lost = os.path.join(out, "lost")
        self.lose("")
        os.environ["FAKE_CUDA_CONTROL"] = self.lost
        self.daemon = infini.Daemon(out, ["cuda0", "cuda1"],
                                    "[backend ggml]\nenabled = no\n"
                                    f"[backend cuda]\nenabled = yes\nlibrary = {LIBRARY}\n")
        for name, text in KERNELS.items():
            with open(self.kernel(name), "w", encoding="utf-8") as file:
                file.write(text)

    def kernel(self, name):
        return os.path.join(self.out, name + ".ptx")

    def lose(self, numbers):
        """From now on the GPUs of these numbers are lost."""
        with open(self.lost, "w", encoding="utf-8") as file:
            file.write(numbers)

    def said(self):
        with open(self.daemon.log, encoding="utf-8") as file:
            return file.read()


def ptx(vdev, *words):
    status, out, err = run([PTX, *words], dict(os.environ, INFINI_VDEV=vdev, EXAMPLES=EXAMPLES))
    return status, out.decode(), err


def right(vdev, *words):
    status, out, err = ptx(vdev, *words)
    check(not status and "0 wrong" in out, f"{' '.join(words)} on {vdev}: {status}, {out!r}, {err!r}")


def case_devices(pool):
    """each GPU is a device of class gpu that yields between launches, with its PCI address"""
    pool.events = infini.Events(pool.out)
    pool.daemon.start()
    devices = infini.devices()
    for number, pci in enumerate(("0000:03:00.0", "0000:0a:00.0")):
        device = devices[f"cuda{number}"]
        check(device["class"] == "gpu" and device["yield_level"] == "launch" and
              device["backend"] == "cuda", f"{device}")
        check("Fake GPU" in device["description"], f"{device}")
        # There is no such GPU, so that its energy is looked for in vain.
        check(f"device cuda{number}: no energy reading: neither hwmon nor NVML has one for {pci}" in
              pool.said(), f"cuda{number} is not at {pci}")
    infini.ctl("vdev", "create", "a", "--device", "cuda0", "--memory", "16M")
    infini.ctl("vdev", "create", "b", "--device", "cuda1", "--memory", "16M")


def case_kernels(_):
    """saxpy and a tiled matrix product, through memory of the GPU, give what they should"""
    right("a", "saxpy", "10000")
    right("b", "saxpy", "1")
    right("a", "sgemm", "50")
    right("b", "sgemm", "16")


def case_refused(pool):
    """a text that does not compile is refused, and the log has the compiler's first line"""
    status, _, err = ptx("a", "run", pool.kernel("broken"), "broken")
    check(status == 1 and "Invalid argument" in err, f"{status}, {err!r}")
    check("ptx: fake ptxas, line 4: error: unknown instruction 'frobnicate.u32'" in pool.said(),
          "the log does not say so")
    status, _, err = ptx("a", "run", pool.kernel("broken"), "other")
    check(status == 1 and "Invalid argument" in err, f"{status}, {err!r}")
    check("PTX: there is no kernel of that name" in pool.said(), "the log does not say so")
    right("a", "saxpy", "100")


def case_memory(_):
    """more memory than the vdev's limit is refused to the client alone"""
    status, _, err = ptx("a", "saxpy", str(4 << 20))
    check(status == 1 and "No space left on device" in err, f"{status}, {err!r}")
    right("a", "saxpy", "100")


def case_fault(pool):
    """a kernel that faults ends its own job with EIO; the next job has a new context"""
    for name, kernel, why in (("trap", "trap_now", "CUDA_ERROR_LAUNCH_FAILED"),
                              ("illegal", "illegal", "CUDA_ERROR_ILLEGAL_ADDRESS")):
        before = infini.vdevs()["b"]["stats"]["jobs_failed"]
        status, _, err = ptx("a", "run", pool.kernel(name), kernel)
        check(status == 1 and "Input/output error" in err, f"{name}: {status}, {err!r}")
        check(f"cuda: the work of a job: {why}" in pool.said(), f"{name}: the log has no reason")
        pool.events.wait_why("executor-lost", "a", f"cuda: the work of a job: {why}")
        right("b", "saxpy", "100")
        right("a", "saxpy", "100")
        check(infini.vdevs()["b"]["stats"]["jobs_failed"] == before, "jobs of b failed")


def case_lost(pool):
    """a GPU that is lost fails its own vdev; when it is back, so is the vdev, without a restart"""
    pid = pool.daemon.process.pid
    right("a", "saxpy", "100")
    pool.lose("0")
    status, _, err = ptx("a", "saxpy", "100")
    check(status == 1 and ("Input/output error" in err or "Host is down" in err),
          f"{status}, {err!r}")
    right("b", "saxpy", "100")
    # Workers cannot open it, and pause longer and longer: nobody waits for ever.
    for _ in range(4):
        status, _, err = ptx("a", "saxpy", "100")
        check(status == 1 and ("Input/output error" in err or "Host is down" in err),
              f"{status}, {err!r}")
    infini.wait_until("the log has the reason", lambda:
                      "CUDA_ERROR_UNKNOWN" in pool.said() or
                      "CUDA_ERROR_DEVICE_UNAVAILABLE" in pool.said())
    pool.events.wait_why("executor-lost", "a", "CUDA_ERROR")
    check(not any(pool.events.why("executor-lost", "b")), "the other vdev's worker failed, too")
    pool.lose("")
    end = time.monotonic() + 60
    while ptx("a", "saxpy", "100")[0]:
        check(time.monotonic() < end, "the vdev of the lost GPU does not come back")
    right("a", "sgemm", "20")
    check(pool.daemon.process.poll() is None and pool.daemon.process.pid == pid, "infinid ended")


def case_end(pool):
    """infinid stops, and both GPUs with it"""
    for name in ("a", "b"):
        infini.wait_until(f"clients of {name} are gone", lambda:
                          not infini.vdevs()[name]["stats"]["clients"])
        infini.ctl("vdev", "delete", name)
    pool.daemon.stop()
    pool.events.stop()


def main():
    out, *words = sys.argv[1:]
    infini.load_module()
    pool, tap = Pool(out), Tap()
    for case in chosen(globals(), words):
        tap.case(case, pool)
    tap.end()


if __name__ == "__main__":
    main()

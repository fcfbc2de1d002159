#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Promises of the scheduler on the CUDA backend, in virtual time.

The driver is the one of tests/cuda: its GPU sleeps before each piece of work, so that a segment (a
launch between two events) lasts as long as three such pieces. The backend, its worker in its sandbox,
the module and infinid are the real ones; where only sleep lets time pass, what is measured is exact.
Prints TAP, writes OUT/cuda.json.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import null  # noqa: E402  pylint: disable=wrong-import-position
from world import Chip, Table, Vdevs, infini, load  # noqa: E402

LIBRARY = os.path.join(infini.TREE, "build/shares/libcuda.so.1")
PTX = os.path.join(infini.TREE, "examples/ptx/saxpy.ptx")
DELAY_US = 80
# Three delays, each up to the kernel's timer slack of 50 us longer.
SEGMENT_MS = 0.4
# Between half of this and all of it, the backend leaves a segment as long as it is.
SEGMENT_US = 270


def case_weights(table):
    """shares by weight"""
    null.weights(table, "weights 10:90 over 10 s", (10, 90), 1)
    null.weights(table, "weights 10:90, jobs of 50 ms", (10, 90), 1, tenant=null.HOG)
    null.weights(table, "weights 1:1:1:1", (100,) * 4, 1)
    null.weights(table, "weights 1:2:4:8", (100, 200, 400, 800), 1)


def case_floor(table):
    """a floor holds, and lent time returns"""
    null.floor(table, "floor 30 % against ten hogs", {"weight": 1000})
    null.floor_return(table, "floor 30 %: longest wait after idling", {"weight": 1000})


def case_latency(table):
    """a latency vdev does not wait behind a batch one"""
    null.latency(table, "latency class: p99 wait of four segments", SEGMENT_MS,
                 segment_us=1000 * SEGMENT_MS)


def case_rate(table):
    """a token rate holds"""
    null.rate(table, "100 tokens/s, of which the client tells", claims=1)
    table.limit("100 tokens/s in spite of a client that tells of none",
                "what a kernel in PTX computes are no tokens to the backend; a cap bounds such a vdev")


def case_whole(table):
    """kernels that may not be cut"""
    null.weights(table, "weights 10:90, jobs of one launch", (10, 90), 1,
                 tenant={**null.TENANT, "segments": 1})
    table.limit("preemption of a kernel that may not be cut",
                "level LAUNCH: what runs on a GPU is not interrupted; others wait for its end, at most for "
                "the job's timeout")


CASES = {"weights": case_weights, "cap": null.case_cap, "floor": case_floor,
         "hot_update": lambda table: null.hot_update(table, "hot update of 1:1 to 1:9"),
         "rate": case_rate, "latency": case_latency, "preemption": null.case_preemption,
         "timeout": null.case_timeout, "memory": null.case_memory, "whole": case_whole}
CASES["hot_update"].__doc__ = "a new weight holds at once"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("cases", nargs="*", help=f"only these: {' '.join(CASES)}")
    args = parser.parse_args()
    os.environ.update(FAKE_CUDA_DELAY_US=str(DELAY_US), FAKE_CUDA_MEMORY=str(2 << 30))
    Chip.device, Chip.words = "cuda0", {"ptx": PTX}
    null.SEGMENT_MS = SEGMENT_MS
    null.HOG = {"segments": 125, "segment_us": 1000 * SEGMENT_MS, "inflight": 2}
    null.TENANT = {"segments": 4, "segment_us": 1000 * SEGMENT_MS, "inflight": 2}
    infini.load_module()
    daemon = infini.Daemon(args.out, ["cuda0"], "[backend ggml]\nenabled = no\n"
                           f"[backend cuda]\nenabled = yes\nlibrary = {LIBRARY}\n",
                           f"idle_exit_s = 0\nsegment_us = {SEGMENT_US}\n")
    daemon.start()
    table = Table(args.out, "cuda")
    table.run(CASES, args.cases)
    daemon.stop()
    infini.unload_module()
    sys.exit(table.end())


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A Vulkan device that has no more memory for one vdev: that vdev's clients are told, nobody else notices,
and it is of use again without a restart of infinid. TAP.

Runs under User-mode Linux, with one processor and Mesa's device in software. That one never says no: a
buffer too many is one larger than libggml is told to ask of the driver. A driver that falls over when
there is no memory is what it is itself, when its worker may map no more.
"""
import os
import resource
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import guest  # noqa: E402  pylint: disable=wrong-import-position
import infini  # noqa: E402  pylint: disable=wrong-import-position
import native  # noqa: E402  pylint: disable=wrong-import-position
from tap import Tap, chosen  # noqa: E402  pylint: disable=wrong-import-position

FILL = os.path.join(infini.TREE, "build/e2e/fill")
MIB = 1 << 20
STEP = 16 * MIB
# What the device says that a buffer may have, and what it gives.
SAID, GIVEN = 256 * MIB, 64 * MIB
# What the driver can still map, and what a vdev is promised.
ROOM, LIMIT = 96 * MIB, "600M"
VDEVS = {"v": "vulkan0", "w": "vulkan0", "c": "cpu0"}


class World:
    """The daemon, what it hears, and the workers of the vdevs."""

    def __init__(self, out):
        native.lavapipe()
        # ggml leaves software devices out unless they are asked for by number.
        os.environ.update(GGML_VK_VISIBLE_DEVICES="0", GGML_VK_SUBALLOCATION_BLOCK_SIZE=str(SAID),
                          GGML_VK_FORCE_MAX_BUFFER_SIZE=str(GIVEN))
        self.out = out
        self.events = None
        self.workers = {}
        self.daemon = infini.Daemon(out, ["vulkan0", "cpu0"],
                                    "[backend ggml]\ndevices = vulkan0 cpu0\n",
                                    "idle_exit_s = 0\nthreads_max = 1\n")

    def log(self):
        with open(self.daemon.log, encoding="utf-8", errors="replace") as file:
            return file.read()


def fill(vdev, step, most):
    """Takes device memory up to @most bytes: what it got, and what it was refused with, if it was."""
    status, out, err = guest.run([FILL, str(step), str(most)], infini.tenant(vdev), 300)
    guest.check(not status, f"fill on {vdev}: {status}, {err[-300:]}")
    got, error = out.decode().split()
    return int(got), error


def has_memory(*vdevs):
    for vdev in vdevs:
        got = fill(vdev, STEP, 2 * ROOM)
        guest.check(got == (2 * ROOM, "done"), f"{vdev} has {got}")


def worker(vdev):
    return infini.vdevs()[vdev]["executor_pid"]


def address_space(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def text_on(vdev):
    return guest.whole_text(guest.completion(*guest.ON_VDEV, "--no-warmup", tokens=4),
                            infini.tenant(vdev))


def case_devices(world):
    """two vdevs on one Vulkan device and one on the CPU; all have memory"""
    world.events = infini.Events(world.out)
    world.daemon.start()
    for vdev, device in VDEVS.items():
        infini.ctl("vdev", "create", vdev, "--device", device, "--memory", LIMIT)
    has_memory(*VDEVS)
    world.workers = {vdev: worker(vdev) for vdev in VDEVS}


def case_refused(world):
    """more than the device gives: ENOMEM, the log has its words, and the same worker goes on"""
    got = fill("v", 2 * GIVEN, 2 * GIVEN)
    guest.check(got == (0, "ENOMEM"), f"{got}")
    guest.check("buffer size exceeds device buffer size limit" in world.log() or
                "Memory allocation of size" in world.log(), "the log does not say why")
    guest.check(infini.vdevs()["v"]["stats"]["memory_used_bytes"] < STEP, "memory stays charged")
    has_memory(*VDEVS)
    guest.check(world.workers == {vdev: worker(vdev) for vdev in VDEVS}, "a worker was started anew")


def case_client(_):
    """llama.cpp that wants more than the device gives ends with the reason"""
    client = guest.start(guest.completion(*guest.ON_VDEV, "-c", "65536"), "v")
    lines = guest.complaint(client, "a client without memory")
    print(f"# {lines[0]}", flush=True)
    guest.check(any("out of memory" in line for line in lines), f"{lines}")


def case_driver_dies(world):
    """a driver that dies of it: its vdev loses its memory, the event says why, the others have theirs"""
    pid = world.workers["v"]
    room = address_space(pid) + ROOM
    resource.prlimit(pid, resource.RLIMIT_AS, (room, resource.RLIM_INFINITY))
    got, error = fill("v", STEP, 4 * ROOM)
    print(f"# {got / MIB:.0f} MiB of {LIMIT}, then {error}", flush=True)
    guest.check(error == "EOWNERDEAD" and got <= ROOM, f"{got} bytes, then {error}")
    world.events.wait_why("executor-lost", "v", "killed by signal 11")
    has_memory("w", "c")
    lost = [vdev for vdev in ("w", "c") if world.events.why("executor-lost", vdev)]
    guest.check(not lost, f"workers of {lost} were lost")


def case_usable(_):
    """the vdev is of use again: memory, and the text of the plain CPU"""
    has_memory("v")
    want = guest.whole_text(guest.completion(*guest.PLAIN, "--no-warmup", tokens=4))
    guest.check(text_on("v") == want, "another text")


def case_end(world):
    """everything stops, and the module can be unloaded"""
    for vdev in VDEVS:
        infini.wait_until(f"clients of {vdev} are gone", lambda v=vdev:
                          not infini.vdevs()[v]["stats"]["clients"])
        infini.ctl("vdev", "delete", vdev)
    world.daemon.stop()
    world.events.stop()
    infini.unload_module()


def main():
    tap = Tap()
    world = World(sys.argv[1])
    infini.load_module()
    for case in chosen(globals(), sys.argv[2:]):
        tap.case(case, world)
    tap.end()


if __name__ == "__main__":
    main()

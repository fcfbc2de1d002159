#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What dies, and what happens then: the supervisor's row of the table in docs/recovery.md, under load.
TAP. Runs under User-mode Linux, where compute runs at the host's speed."""
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import guest  # noqa: E402  pylint: disable=wrong-import-position
import infini  # noqa: E402  pylint: disable=wrong-import-position
from keeper import Keeper  # noqa: E402  pylint: disable=wrong-import-position
from tap import Tap, chosen  # noqa: E402  pylint: disable=wrong-import-position

REPLACEMENTS = int(os.environ.get("REPLACEMENTS", "20"))
TOKENS = 400
# However slow the machine is on which this runs: nobody is given up who only takes long.
PATIENT = ("executor_wait_ms=120000", "grace_ms=120000", "default_timeout_ms=120000",
           "max_timeout_ms=120000")
SECTIONS = "[backend ggml]\ndevices = cpu0\n[backend null]\nenabled = yes\n"


class World(guest.World):
    """A guest.World whose infinid has a service manager."""

    def __init__(self, out, general=""):
        super().__init__(out)
        self.daemon = Keeper(out, ["cpu0", "null0"], SECTIONS, "idle_exit_s = 2\n" + general)

    def section(self, text):
        """Configure @text besides, from the next start of infinid."""
        with open(self.daemon.config, "r+", encoding="utf-8") as file:
            lines = file.read().split("# besides\n")[0]
            file.seek(0)
            file.truncate()
            file.write(f"{lines}# besides\n{text}")


def story(tokens=TOKENS):
    return guest.completion("-c", str(tokens + 64), "--ignore-eos", *guest.ON_VDEV, tokens=tokens)


def stats(vdev):
    return infini.vdevs()[vdev]["stats"]


def title(pid):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
            return file.read().rstrip("\0")
    except OSError:
        return ""


def zygotes():
    """Processes that workers of cpu0 are forked from."""
    return [int(pid) for pid in filter(str.isdigit, os.listdir("/proc")) if title(pid) == "infinid: device cpu0"]


def libraries(pid):
    """Where ggml's lie in its memory."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as lines:
        return {(line.split()[0], line.split()[-1]) for line in lines if "r-xp" in line and "libggml" in line}


class Tenant:
    """A llama-completion on a vdev, and what it is to say."""

    def __init__(self, vdev, want):
        self.vdev, self.want = vdev, want
        self.texts = 0
        self.process = None
        self.begin()

    def begin(self):
        self.process = guest.start(story(), self.vdev)

    def look(self):
        """The text, once it is there, is the right one; then the next is begun."""
        if self.process.poll() is not None:
            self.end()
            self.begin()

    def end(self):
        out, err = self.process.communicate(timeout=240)
        text = err.decode(errors="replace")
        guest.check(not self.process.returncode,
                    f"client {self.texts}: exit status {self.process.returncode}: {text[-300:]}")
        # 0.7.0 may exit before it has printed its last words; see whole_text().
        if "common_perf_print" in text:
            guest.same_text(out, self.want, f"client {self.texts}")
        else:
            guest.check(self.want.startswith(out), f"client {self.texts}: another text")
        self.texts += 1


def bereft(process, what):
    """A client whose worker has ended says so, unless it was between two jobs: what it has on this device
    is the module's, so the next worker goes on with it."""
    if process.wait(240):
        guest.complaint(process, what)
    else:
        print(f"# {what}: it was between two jobs", flush=True)
        process.communicate()


def wanted_text(world):
    """Of a vdev that nothing happens to, and how many tokens are counted for it."""
    before = stats("a")["tokens_generated"]
    runs = 0
    while True:
        text = guest.run(story(), infini.tenant("a"))
        runs += 1
        guest.check(not text[0], f"exit status {text[0]}: {text[2][-300:]}")
        if "common_perf_print" in text[2]:
            break
    count = stats("a")["tokens_generated"] - before
    guest.check(count and not count % runs, f"{count} tokens in {runs} runs")
    world.idle("a")
    return text[1], count // runs


def case_supervisor_replaced(world):
    """infinid killed and replaced under load: no client notices, tokens are counted once"""
    want, each = wanted_text(world)
    chance = random.Random(7)
    before = stats("a")
    # Held open, so that its worker does not retire between two texts.
    held = os.open(f"/dev/infini{infini.vdevs()['a']['id']}", os.O_RDWR)
    tenant = Tenant("a", want)
    guest.generating("a")
    worker = infini.vdevs()["a"]["executor_pid"]
    generation = stats("a")["executor_generation"]
    for number in range(REPLACEMENTS):
        # Some do not live to be ready, and some end as "systemctl restart" ends them.
        if number % 4 == 3:
            world.daemon.leave()
        else:
            world.daemon.kill()
        tenant.look()
        if number % 3:
            world.daemon.start()
        else:
            world.daemon.launch()
            time.sleep(chance.random())
    world.daemon.wait_ready()
    guest.check(infini.vdevs()["a"]["executor_pid"] == worker, "another worker serves now")
    guest.check(stats("a")["executor_generation"] == generation, "another generation serves now")
    tenant.end()
    os.close(held)
    world.idle("a")
    count = stats("a")["tokens_generated"] - before["tokens_generated"]
    guest.check(count == tenant.texts * each,
                f"{count} tokens counted for {tenant.texts} texts of {each}")
    print(f"# {REPLACEMENTS} times replaced, {tenant.texts} texts, {count} tokens", flush=True)


def case_supervisor_absent(world):
    """while there is no infinid: clients come and are served, a vdev without a worker waits for one"""
    world.vdev("fresh")
    tenant = guest.start(story(), "a")
    guest.generating("a")
    world.daemon.kill()
    # Served by the worker that is there.
    status, _, err = guest.run(story(8), infini.tenant("a"))
    guest.check(not status, f"on a: exit status {status}: {err[-300:]}")
    # Nothing new is created: no worker comes for this one until there is an infinid.
    waiting = guest.start(story(8), "fresh")
    infini.wait_until("a client of the other vdev is there", lambda: stats("fresh")["clients"])
    guest.check(not infini.vdevs()["fresh"]["executor_pid"], "there is a worker already")
    world.daemon.start()
    for process, what in ((waiting, "that waited"), (tenant, "that went on")):
        _, err = process.communicate(timeout=240)
        guest.check(not process.returncode, f"the client {what}: exit status "
                    f"{process.returncode}: {err.decode(errors='replace')[-300:]}")
    world.gone("fresh")


def case_supervisor_inherits(world):
    """a worker that an earlier infinid started is retired when idle, and its end is noticed"""
    tenant = guest.start(guest.completion(*guest.ON_VDEV, *guest.ENDLESS), "a")
    guest.generating("a")
    world.daemon.kill()
    world.daemon.start()
    worker = infini.vdevs()["a"]["executor_pid"]
    guest.kill_with_a_job("a")
    guest.complaint(tenant, "killed worker")
    status, _, err = guest.run(story(8), infini.tenant("a"))
    guest.check(not status, f"afterwards: exit status {status}: {err[-300:]}")
    second = infini.vdevs()["a"]["executor_pid"]
    guest.check(second and second != worker, f"worker {second} after {worker}")
    world.daemon.leave()
    world.daemon.start()
    infini.wait_until("the idle worker retires", lambda: not infini.vdevs()["a"]["executor_pid"])
    infini.wait_until("no worker is kept", lambda: not world.daemon.kept("worker"))


def case_zygote_dies(world):
    """who forks a CPU's workers is killed: the next worker starts without, and another one takes its place"""
    infini.wait_until("there is one", zygotes)
    zygote, = zygotes()
    os.kill(zygote, signal.SIGKILL)
    guest.check(not guest.run(story(8), infini.tenant("a"))[0], "no text without one")
    infini.wait_until("there is another one", lambda: zygotes() not in ([], [zygote]))
    infini.wait_until("the idle worker retires", lambda: not infini.vdevs()["a"]["executor_pid"])
    tenant = guest.start(guest.completion(*guest.ON_VDEV, *guest.ENDLESS), "a")
    guest.generating("a")
    # Libraries that it has mapped where the zygote has, which is nowhere twice.
    worker, (zygote,) = infini.vdevs()["a"]["executor_pid"], zygotes()
    guest.check(libraries(worker) == libraries(zygote), f"worker {worker} is no fork of {zygote}")
    tenant.kill()
    tenant.wait()


def case_worker_dies_unsupervised(world):
    """a worker killed while there is no infinid: its client is told, the next is served"""
    tenant = guest.start(guest.completion(*guest.ON_VDEV, *guest.ENDLESS), "a")
    guest.generating("a")
    world.daemon.kill()
    guest.kill_with_a_job("a")
    world.daemon.start()
    guest.complaint(tenant, "killed worker")
    status, _, err = guest.run(story(8), infini.tenant("a"))
    guest.check(not status, f"afterwards: exit status {status}: {err[-300:]}")
    world.idle("a")


def case_device_changed(world):
    """a device configured otherwise goes off line and comes back, and no other does"""
    world.vdev("other", device="null0")
    tenant = guest.start(story(), "a")
    guest.generating("a")
    before = infini.devices()
    world.daemon.kill()
    world.section("[device cpu0]\nmemory = 700M\n")
    world.daemon.start()
    bereft(tenant, "changed device")
    after = infini.devices()
    guest.check(after["cpu0"]["memory_bytes"] == 700 << 20, f"{after['cpu0']['memory_bytes']} bytes")
    guest.check(after["null0"] == before["null0"], f"{after['null0']}, not {before['null0']}")
    status, _, err = guest.run(story(8), infini.tenant("a"))
    guest.check(not status, f"afterwards: exit status {status}: {err[-300:]}")
    world.idle("a")
    world.gone("other")
    # Another text of the file, and the same device: nothing happens.
    world.daemon.kill()
    tenant = guest.start(story(), "a")
    world.daemon.start()
    _, err = tenant.communicate(timeout=240)
    guest.check(not tenant.returncode, f"exit status {tenant.returncode}: {err.decode()[-300:]}")
    world.section("")
    world.daemon.leave()
    world.daemon.start()


def case_module_in_use(world):
    """the module does not unload while anybody uses it"""
    tenant = guest.start(story(), "a")
    guest.generating("a")
    for what in ("a client and infinid", "a client"):
        status, _, err = guest.run(["rmmod", "infini"])
        guest.check(status and "in use" in err, f"used by {what}: status {status}: {err!r}")
        if world.daemon.process.poll() is None:
            world.daemon.kill()
    tenant.communicate(timeout=240)
    # A worker and the service manager are enough.
    status, _, err = guest.run(["rmmod", "infini"])
    guest.check(status and "in use" in err, f"used by a worker: status {status}: {err!r}")
    world.daemon.start()


def case_supervisor_stopped(world):
    """infinid stopped for good: devices go off line, workers end, clients are told"""
    tenant = guest.start(story(4000), "a")
    guest.generating("a")
    world.daemon.stop()
    guest.complaint(tenant, "stopped infinid")
    infini.wait_until("devices are off line",
                      lambda: not any(d["online"] for d in infini.devices().values()))
    infini.wait_until("no process is left", lambda: guest.run(["pgrep", "-f", "^infinid"])[0] == 1)
    world.daemon.start()
    status, _, err = guest.run(story(8), infini.tenant("a"))
    guest.check(not status, f"afterwards: exit status {status}: {err[-300:]}")


def main():
    tap = Tap()
    world = World(sys.argv[1], "segment_us = 100\nthreads_max = 1\n")
    infini.load_module(*PATIENT)
    world.daemon.start()
    world.vdev("a")
    for function in chosen(globals(), sys.argv[2:]):
        tap.case(function, world)
    infini.wait_until("clients are gone", lambda: not any(
        v["stats"]["clients"] for v in infini.vdevs().values()))
    tap.case(guest.case_unload, world)
    tap.end()


if __name__ == "__main__":
    main()

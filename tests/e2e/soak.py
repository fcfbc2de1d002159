#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients, workers, infinid and the module die and come back at random under llama.cpp, and nothing is
wrong for anybody else. TAP; numbers are printed.

Of three vdevs one is left in peace: its texts must be right and its tokens counted once, whatever happens
beside it. On the others clients are killed, workers are, and limits change; a client that was not killed
either says the right text or why it failed. infinid is replaced at any moment. Now and then all ends, the
module is loaded anew, and what the kernel holds is compared.

How often each dies comes from the environment (CLIENTS, WORKERS, DAEMONS, RELOADS), or MINUTES, for which
all goes on; SEED makes other random choices.
"""
import os
import random
import re
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import guest  # noqa: E402  pylint: disable=wrong-import-position
import infini  # noqa: E402  pylint: disable=wrong-import-position
from recovery import PATIENT, World  # noqa: E402  pylint: disable=wrong-import-position
from tap import Tap  # noqa: E402  pylint: disable=wrong-import-position

JOBS = "/sys/kernel/debug/infini/jobs"
CALM, WILD = "calm", ("wild0", "wild1")
CALM_TOKENS, WILD_TOKENS = 96, 48
KINDS = ("clients", "workers", "daemons", "reloads")
LEAK_BYTES = 24 << 20           # what the kernel's own caches come and go by

# What may be said of a vdev while it is used.
CHANGES = (("--weight", ("1", "100", "1000", "10000")), ("--quantum", ("100us", "2ms", "10ms")),
           ("--class", ("latency", "normal", "batch")), ("--cap", ("20%", "90%", "100%")),
           ("--memory", ("64M", "128M", "256M")))


def plan():
    """How many of each are to die; with MINUTES as many as there is time for."""
    minutes = float(os.environ.get("MINUTES", "0"))
    defaults = {"clients": 40, "workers": 12, "daemons": 10, "reloads": 2}
    wanted = {kind: int(os.environ.get(kind.upper(), defaults[kind])) for kind in KINDS}
    return wanted, time.monotonic() + 60 * minutes if minutes else None


def command(tokens):
    return guest.completion("-c", "256", "--ignore-eos", *guest.ON_VDEV, tokens=tokens)


def calm_tokens():
    return infini.vdevs()[CALM]["stats"]["tokens_generated"]


class Client:
    """A llama-completion, and what may have happened to it."""

    def __init__(self, vdev, tokens):
        self.vdev = vdev
        self.process = guest.start(command(tokens), vdev)
        self.killed = False
        self.bereft = False     # its worker was killed

    def kill(self):
        self.process.kill()
        self.killed = True

    def ended(self):
        return self.process.poll() is not None

    def judge(self, want, count):
        """What it said is right, or it says why not."""
        out, err = self.process.communicate(timeout=240)
        text = err.decode(errors="replace")
        status = self.process.returncode
        if status == 0:
            # 0.7.0 may exit before it has printed its last words; see guest.whole_text().
            whole = "common_perf_print" in text
            guest.check(out == want if whole else want.startswith(out),
                        f"{self.vdev}: another text: {out[-80:]!r}")
            count["texts"] += 1
        elif self.killed and status == -signal.SIGKILL:
            count["killed"] += 1
        else:
            guest.check(self.bereft, f"{self.vdev}: status {status}, and its worker was not killed: "
                        f"{text[-300:]}")
            guest.check(status > 0 or status == -signal.SIGABRT, f"{self.vdev}: crashed: {status}")
            guest.check("infini" in text, f"{self.vdev}: failed and does not say why: {text[-300:]}")
            count["told"] += 1


class Soak:
    """The machine and what was done to it."""

    def __init__(self, out):
        self.random = random.Random(int(os.environ.get("SEED", "1")))
        self.wanted, self.end = plan()
        self.done = dict.fromkeys(KINDS, 0)
        self.count = dict.fromkeys(("texts", "told", "killed", "changes", "looks", "calm"), 0)
        self.world = World(out, "segment_us = 100\nthreads_max = 1\n")
        self.clients = []
        self.texts = {}
        self.calm_tokens = self.calm_each = 0     # that are to be counted in all, and for a text
        self.kernel = []
        self.occupancy, self.since = {}, 0
        self.began = time.monotonic()

    # ---- up and down ----

    def up(self):
        infini.load_module(*PATIENT)
        self.world.daemon.start()
        for name in (CALM, *WILD):
            self.world.vdev(name, "128M")
        if not self.texts:
            self.learn()
        self.calm_tokens = calm_tokens()
        self.clients = [Client(CALM, CALM_TOKENS)]
        self.tend()
        self.occupancy, self.since = {}, 0
        self.look()

    def learn(self):
        """What is said on a vdev in peace, and how many tokens that makes."""
        for name, tokens in ((CALM, CALM_TOKENS), (WILD[0], WILD_TOKENS)):
            self.texts[name] = guest.whole_text(command(tokens), infini.tenant(name))
        self.texts[WILD[1]] = self.texts[WILD[0]]
        before = calm_tokens()
        status, _, err = guest.run(command(CALM_TOKENS), infini.tenant(CALM))
        guest.check(not status, f"exit status {status}: {err[-300:]}")
        infini.wait_until("clients are gone", self.nobody)
        self.calm_each = calm_tokens() - before

    def nobody(self):
        return not any(v["stats"]["clients"] for v in infini.vdevs().values())

    def down(self):
        """All ends, as it should: then nothing is left of it."""
        for client in self.clients:
            if client.vdev != CALM:
                client.kill()
        for client in self.clients:
            self.judge(client)
        infini.wait_until("clients are gone", self.nobody)
        self.account()
        # In use by infinid or a worker still.
        status, _, err = guest.run(["rmmod", "infini"])
        guest.check(status and "in use" in err, f"rmmod of a module in use: {status} {err!r}")
        if self.random.random() < 0.5:
            for name in infini.vdevs():
                infini.ctl("vdev", "delete", name)
        self.world.daemon.stop()
        infini.wait_until("no process is left", lambda: guest.run(["pgrep", "-f", "^infinid"])[0])
        infini.wait_until("the module unloads", lambda: not guest.run(["rmmod", "infini"])[0])
        left = [name for name in os.listdir("/dev") if name.startswith("infini")]
        guest.check(not left, f"nodes {left}")
        self.weigh()

    # ---- invariants ----

    def look(self):
        """What must be true at any time."""
        self.count["looks"] += 1
        begin = time.monotonic_ns()
        vdevs, devices = infini.vdevs(), infini.devices()
        end = time.monotonic_ns()
        for name, vdev in vdevs.items():
            stats = vdev["stats"]
            ended = stats["jobs_completed"] + stats["jobs_failed"]
            guest.check(ended <= stats["jobs_submitted"], f"{name}: {ended} jobs ended of "
                        f"{stats['jobs_submitted']}")
        for name, device in devices.items():
            used = device["occupancy_ns"] - self.occupancy.get(name, 0)
            if name in self.occupancy:
                guest.check(used <= device["slots"] * (end - self.since),
                            f"{name}: {used} ns in {end - self.since}")
            self.occupancy[name] = device["occupancy_ns"]
        self.since = begin
        self.look_at_jobs()

    def look_at_jobs(self):
        """A job is in one state, and a queue holds those that it says."""
        with open(JOBS, encoding="utf-8") as file:
            queue = held = None
            for line in [*file.read().splitlines(), "    queue end: held 0"]:
                match = re.match(r"    queue (\S+):.* held (\d+)", line)
                if match:
                    guest.check(queue is None or held == 0, f"queue {queue} holds {held} more")
                    queue, held = match[1], int(match[2])
                elif re.match(r"      job \d+: .* (dispatched|doomed) ", line):
                    held -= 1

    def account(self):
        """Nobody is there: what was counted is complete."""
        for name in infini.vdevs():
            self.world.idle(name)
            stats = infini.vdevs()[name]["stats"]
            ended = stats["jobs_completed"] + stats["jobs_failed"]
            guest.check(ended == stats["jobs_submitted"],
                        f"{name}: {ended} of {stats['jobs_submitted']} jobs ended")
        guest.check(calm_tokens() == self.calm_tokens,
                    f"{calm_tokens()} tokens counted, {self.calm_tokens} said")
        guest.check(not any(d["memory_used_bytes"] for d in infini.devices().values()),
                    "devices have memory in use")

    def weigh(self):
        """What the kernel holds after all has ended."""
        with open("/proc/sys/vm/drop_caches", "w", encoding="utf-8") as file:
            file.write("3")
        with open("/proc/meminfo", encoding="utf-8") as file:
            memory = {line.split(":")[0]: int(line.split()[1]) << 10 for line in file}
        with open("/proc/sys/fs/file-nr", encoding="utf-8") as file:
            files = int(file.read().split()[0])
        processes = sum(name.isdigit() for name in os.listdir("/proc"))
        self.kernel.append({"slab": memory["Slab"], "free": memory["MemFree"], "files": files,
                            "processes": processes})

    def leaks(self):
        """Between the first time that all had ended, when caches were filled, and the last."""
        first, last = self.kernel[0], self.kernel[-1]
        bad = [f"{what}: {first[what]}, then {last[what]}" for what, bound in
               (("slab", LEAK_BYTES), ("files", 64), ("processes", 8))
               if last[what] > first[what] + bound]
        if last["free"] + LEAK_BYTES < first["free"]:
            bad.append(f"free: {first['free']}, then {last['free']}")
        guest.check(not bad, f"after {len(self.kernel)} times: {'; '.join(bad)}")

    # ---- what happens ----

    def judge(self, client):
        want = self.texts[client.vdev]
        before = self.count["texts"]
        client.judge(want, self.count)
        if client.vdev == CALM:
            guest.check(self.count["texts"] == before + 1, "the client in peace has failed")
            self.calm_tokens += self.calm_each
            self.count["calm"] += 1

    def tend(self):
        """Judge who has ended; there are always some."""
        for client in [c for c in self.clients if c.ended()]:
            self.clients.remove(client)
            self.judge(client)
            if client.vdev == CALM:
                self.clients.append(Client(CALM, CALM_TOKENS))
        while sum(c.vdev != CALM for c in self.clients) < 2:
            self.clients.append(Client(self.random.choice(WILD), WILD_TOKENS))

    def kill_clients(self):
        client = self.random.choice([c for c in self.clients if c.vdev != CALM])
        time.sleep(self.random.random() * 0.5)
        if client.ended():
            return False
        client.kill()
        return True

    def kill_workers(self):
        vdev = self.random.choice(WILD)
        pid = infini.vdevs()[vdev]["executor_pid"]
        if not pid:
            return False
        # Those whose fault it cannot be have said so by now.
        self.tend()
        for client in self.clients:
            client.bereft |= client.vdev == vdev
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def kill_daemons(self):
        daemon = self.world.daemon
        if daemon.process.poll() is None and self.random.random() < 0.25:
            daemon.leave()
        else:
            daemon.kill()
        time.sleep(self.random.random() * 0.3)
        daemon.launch()
        if self.random.random() < 0.7:
            daemon.wait_ready()
        return True

    def kill_reloads(self):
        self.world.daemon.wait_ready()
        self.down()
        self.up()
        return True

    def change(self):
        option, values = self.random.choice(CHANGES)
        infini.ctl("vdev", "set", self.random.choice(WILD), option, self.random.choice(values))
        self.count["changes"] += 1

    def left(self):
        """Kinds that are to die still, as often as they are."""
        if self.end:
            return ["clients"] * 20 + ["workers"] * 6 + ["daemons"] * 2 + ["reloads"] \
                if time.monotonic() < self.end else []
        return [kind for kind in KINDS for _ in range(self.wanted[kind] - self.done[kind])]

    def say(self):
        print(f"# {time.monotonic() - self.began:.0f} s: killed " +
              ", ".join(f"{self.done[kind]} {kind}" for kind in KINDS) +
              f"; {self.count['texts']} texts right ({self.count['calm']} in peace), "
              f"{self.count['told']} failures told, {self.count['changes']} changes, "
              f"{self.count['looks']} looks", flush=True)

    def run(self):
        self.up()
        last = time.monotonic()
        while self.left():
            kind = self.random.choice(self.left())
            self.done[kind] += getattr(self, f"kill_{kind}")()
            if self.random.random() < 0.2:
                self.change()
            self.tend()
            self.look()
            if time.monotonic() > last + 30:
                last = time.monotonic()
                self.say()
        self.world.daemon.wait_ready()
        self.down()
        # To be compared with something.
        if len(self.kernel) == 1:
            self.up()
            self.down()


def case_kills(soak):
    """clients, workers, infinid and the module die at random: nothing is wrong for anybody else"""
    try:
        soak.run()
    finally:
        soak.say()


def case_leaks(soak):
    """the kernel holds what it held at first: slab, memory, files, processes"""
    for weight in (soak.kernel[0], soak.kernel[-1]) if soak.kernel else ():
        print("# " + ", ".join(f"{what} {amount}" for what, amount in weight.items()), flush=True)
    guest.check(len(soak.kernel) > 1, "not weighed twice")
    soak.leaks()


def main():
    tap = Tap()
    soak = Soak(sys.argv[1])
    tap.case(case_kills, soak)
    tap.case(case_leaks, soak)
    tap.end()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""From inside a worker that somebody has taken over: what its sandbox and its control group let. TAP.

The backend "rogue" has one device for each kind of worker and runs what attempts.c lists; "far" is a
remote device. A plain server stands for the remote machine.
"""
import contextlib
import os
import re
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import infini  # noqa: E402  pylint: disable=wrong-import-position
from guest import check  # noqa: E402  pylint: disable=wrong-import-position
from tap import Skip, Tap, chosen  # noqa: E402  pylint: disable=wrong-import-position

ATTEMPT = os.path.join(infini.TREE, "build/e2e/attempt")
GROUPS = "/sys/fs/cgroup/infinid"
WORKER_MEMORY = 64              # MiB
PORTS = (50098, 50099)          # a worker each
GENERAL = f"worker_memory = {WORKER_MEMORY}M\nthreads_max = 2\n"
CONFIG = f"""[backend rogue]
enabled = yes
[remote far]
endpoint = {" ".join(f"127.0.0.1:{port}" for port in PORTS)}
retry_s = 1
"""


class Machine:
    """infinid with the rogue backends, another vdev with a secret, and the remote machine."""

    def __init__(self, out):
        self.connections = []
        for port in PORTS:
            threading.Thread(target=self.serve, daemon=True,
                             args=[socket.create_server(("127.0.0.1", port))]).start()
        infini.BACKENDS = os.path.join(infini.TREE, "build/e2e/rogue")
        self.daemon = infini.Daemon(out, ["rogue-cpu", "rogue-gpu", "rogue-compiler", "far"], CONFIG,
                                    GENERAL)
        if os.path.exists(self.daemon.log):
            os.unlink(self.daemon.log)
        self.told = 0           # workers killed for a system call, so far

    def serve(self, server):
        """Whoever comes, workers and infinid's looks whether the machine is there."""
        while True:
            connection, _ = server.accept()
            self.connections = self.connections[-64:] + [connection]

    def log(self):
        with open(self.daemon.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    @contextlib.contextmanager
    def victim(self, device):
        """Another vdev of @device holds a secret: the process of its worker, which has to survive."""
        infini.ctl("vdev", "create", "victim", "--device", device, "--memory", "64M")
        holder = subprocess.Popen([ATTEMPT, "hold"], env=infini.tenant("victim"),
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            check(holder.stdout.readline() == b"held\n", "the victim does not hold its secret")
            pid = infini.vdevs()["victim"]["executor_pid"]
            yield pid
            check(infini.vdevs()["victim"]["executor_pid"] == pid, "the victim's worker has changed")
        finally:
            holder.communicate()
            infini.ctl("vdev", "delete", "victim", "--force")


def landlock():
    with open("/sys/kernel/security/lsm", encoding="utf-8") as file:
        return "landlock" in file.read()


def client(*words):
    done = subprocess.run([ATTEMPT, *words], env=infini.tenant("rogue"), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False, timeout=300)
    check(not done.returncode, f"attempt {' '.join(words)}: {done.stderr}")
    return done.stdout.strip()


def rogue(device, memory="64M"):
    """A new vdev: a worker that was killed would have the next one wait longer each time."""
    if "rogue" in infini.vdevs():
        infini.ctl("vdev", "delete", "rogue", "--force")
    infini.ctl("vdev", "create", "rogue", "--device", device, "--memory", memory)


def group_of(vdev, file):
    with open(f"{GROUPS}/worker-{infini.vdevs()[vdev]['id']}/{file}", encoding="utf-8") as opened:
        return opened.read().strip()


def attempts_on(machine, device):
    """Every attempt in a worker of @device. All are printed, none may be let."""
    if not landlock():
        raise Skip("this kernel has no Landlock")
    outcomes = []
    number = 0
    with machine.victim(device) as victim:
        while number is not None:
            rogue(device)
            lines = client(str(number), str(victim)).splitlines()
            outcomes += lines
            # Where the worker was killed the next one goes on.
            killed = lines and lines[-1].endswith(": killed")
            number = int(lines[-1].split()[0]) + 1 if killed else None
    for line in outcomes:
        print(f"# {line}")
    check(len(outcomes) > 100, f"{len(outcomes)} attempts")
    wrong = [line for line in outcomes if not re.search(r": (refused, E\w+|killed)$", line)]
    check(not wrong, "; ".join(wrong))
    killed = sum(line.endswith(": killed") for line in outcomes)
    told = len(re.findall(r"vdev rogue: worker \d+ was killed for a system call", machine.log()))
    print(f"# {len(outcomes)} attempts: {len(outcomes) - killed} refused, {killed} ended the worker")
    check(told == machine.told + killed, f"{killed} workers killed, {told - machine.told} told in the log")
    machine.told = told


# ---- cases ----

def case_plain(machine):
    """a worker that computes on the CPU reaches nothing but its vdev"""
    attempts_on(machine, "rogue-cpu")


def case_accelerator(machine):
    """nor does one of an accelerator"""
    attempts_on(machine, "rogue-gpu")


def case_compiler(machine):
    """nor does one that compiles what clients write"""
    attempts_on(machine, "rogue-compiler")


def case_remote(machine):
    """nor does one of a remote device, beside the connection that it has"""
    attempts_on(machine, "far")


def case_shown(machine):
    """infinid --show-sandbox knows a worker of each kind"""
    done = subprocess.run([infini.DAEMON, "--show-sandbox", "--config", machine.daemon.config],
                          stdout=subprocess.PIPE, text=True, check=False)
    check(not done.returncode, f"exit status {done.returncode}")
    for device in ("rogue-cpu", "rogue-gpu", "rogue-compiler", "far"):
        check(f"device {device} " in done.stdout, done.stdout)
    check(done.stdout.count("control group     worker_memory=") == done.stdout.count("control group "),
          done.stdout)


def case_memory(machine):
    """a worker that takes more memory than it may is killed alone, and the log says why"""
    with machine.victim("rogue-cpu"):
        rogue("rogue-cpu")
        check(client("take", "90") == "done, 0", "it may not even take what it may")
        check(group_of("rogue", "memory.max") == str((64 + WORKER_MEMORY) << 20),
              group_of("rogue", "memory.max"))
        got = client("take", "150")
        check(got == "EOWNERDEAD", got)
        infini.wait_until("the log says so", lambda: re.search(
            r"vdev rogue: worker \d+ was killed: it took more memory than its vdev's 64 MiB and "
            r"worker_memory together", machine.log()))
        # The next one serves, and a larger limit holds for it at once.
        check(client("take", "10") == "done, 0", "the next worker does not serve")
        infini.ctl("vdev", "set", "rogue", "--memory", "256M")
        infini.wait_until("the limit is larger", lambda: group_of("rogue", "memory.max") ==
                          str((256 + WORKER_MEMORY) << 20))
        check(client("take", "150") == "done, 0", "it may not take what it may now")


def case_threads(_):
    """a worker that starts threads without end has so many and no more"""
    rogue("rogue-cpu")
    status, count = client("threads", "10000").split(", ")
    most = int(group_of("rogue", "pids.max"))
    check(status == "done" and 0 < int(count) < most, f"{status}, {count} of {most}")
    check(most < 200, f"{most}")


def case_nothing_left(machine):
    """infinid stops: no control group is left"""
    infini.ctl("vdev", "delete", "rogue", "--force")
    machine.daemon.stop()
    check(not os.path.exists(GROUPS), f"{GROUPS} is still there")
    infini.unload_module()


def main():
    tap = Tap()
    infini.load_module()
    machine = Machine(sys.argv[1])
    machine.daemon.start()
    for case in chosen(globals(), sys.argv[2:]):
        tap.case(case, machine)
    tap.end()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a tenant may try from his container: the attacks of docs/security.md, in its order. TAP.

The tenant is user 1000 in namespaces of his own, with the vdev "mine" as /dev/infini. "other" belongs to
user 1001 and is bound to a control group. Both are on one device with one slot. After each attack both
work, infinid is the same process, and what the log has to say was said once.
"""
import contextlib
import errno
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import infini  # noqa: E402  pylint: disable=wrong-import-position
from guest import check  # noqa: E402  pylint: disable=wrong-import-position
from tap import Tap, chosen  # noqa: E402  pylint: disable=wrong-import-position

ATTACK = os.path.join(infini.TREE, "build/e2e/attack")
GROUP = "/sys/fs/cgroup/other"
CDI = "/var/run/cdi/infini.dev-vdev.json"
TENANT, OTHER = 1000, 1001
CONFIG = """[backend ggml]
enabled = no
[backend null]
enabled = yes
devices = null0
"""
ALONE = ["unshare", "--mount", "--pid", "--fork", "--ipc", "--uts", "--net", "--mount-proc", "sh", "-c",
         'mount --bind "$0" /dev/infini && exec "$@"']
# Docker's for a container without a user namespace, as far as they matter here.
ROOT_OF_CONTAINER = ["setpriv", "--bounding-set=-all,+dac_override,+mknod,+chown,+setuid,+setgid,+kill",
                     "--inh-caps=-all"]


def as_user(uid):
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--inh-caps=-all",
            "--bounding-set=-all", "--no-new-privs"]


def node_of(vdev):
    return infini.vdevs()[vdev]["node"]


def run(command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, timeout=120, **more)
    if done.stderr:
        print(f"# {done.stderr.strip()}")
    return done


def steps(command, **more):
    """What became of each step of an attack."""
    done = run(command, **more)
    check(not done.returncode and done.stdout, f"{command}: exit status {done.returncode}, "
          f"{done.stdout} {done.stderr}")
    for line in done.stdout.splitlines():
        print(f"# {line}")
    return dict(line.rsplit(": ", 1) for line in done.stdout.splitlines())


def from_container(*words, user=None):
    """An attack by the tenant from a container that has the vdev "mine"."""
    return steps([*ALONE, node_of("mine"), *(user or as_user(TENANT)), ATTACK, *map(str, words)])


def from_host(*words):
    """The same by the tenant's user in no container at all, which is more."""
    return steps([*as_user(TENANT), ATTACK, *map(str, words)],
                 env=dict(os.environ, INFINI_VDEV="mine"))


def all_are(got, *errors):
    wrong = {step: what for step, what in got.items() if what not in errors}
    check(not wrong, f"not refused as they should be: {wrong}")


class World:
    """The machine, and what its logs say."""

    def __init__(self, out):
        self.daemon = infini.Daemon(out, ["null0"], CONFIG)
        self.events = infini.Events(out)
        if os.path.exists(self.daemon.log):
            os.unlink(self.daemon.log)

    def prepare(self):
        self.daemon.start()
        os.mkdir(GROUP)
        infini.ctl("vdev", "create", "mine", "--device", "null0", "--memory", "64M", "--owner",
                   f"{TENANT}:{TENANT}", "--mode", "0600")
        infini.ctl("vdev", "create", "other", "--device", "null0", "--memory", "64M", "--owner",
                   f"{OTHER}:{OTHER}", "--mode", "0600", "--cgroup", GROUP)
        self.both_work()

    def log(self):
        with open(self.daemon.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    @staticmethod
    def kernel_log():
        return subprocess.run(["dmesg"], stdout=subprocess.PIPE, check=True).stdout.decode(
            errors="replace")

    @staticmethod
    def both_work():
        check(from_container("work")["work"] == "let", "the tenant's own vdev does not work")

        def enter():
            with open(f"{GROUP}/cgroup.procs", "w", encoding="utf-8") as file:
                file.write("0")

        got = steps([*as_user(OTHER), ATTACK, "work"], preexec_fn=enter,
                    env=dict(os.environ, INFINI_DEVICE=node_of("other")))
        check(got["work"] == "let", "the other's vdev does not work")

    @contextlib.contextmanager
    def told_once(self, read, pattern):
        """One line of a log more than before."""
        before = len(re.findall(pattern, read()))
        yield
        infini.wait_until(f"a line {pattern}", lambda: len(re.findall(pattern, read())) > before, 20)
        count = len(re.findall(pattern, read())) - before
        check(count == 1, f"{count} lines {pattern}")

    def kernel_tells(self, user, what):
        return self.told_once(self.kernel_log, f"infini: refused to user {user}, process \\d+: {what}\n")

    def kernel_tells_of_call(self, call, error):
        """That a call on his own vdev was refused."""
        return self.kernel_tells(TENANT, rf"{call} on vdev mine \(error {error}\)")

    def infinid_tells(self, pattern):
        return self.told_once(self.log, pattern)


# ---- what is not his ----

def case_mknod(world):
    """1: root of a container makes the node of another's vdev"""
    device = os.stat(node_of("other")).st_rdev
    with world.kernel_tells(0, "opening vdev other"):
        all_are(from_container("mknod", os.major(device), os.minor(device), user=ROOT_OF_CONTAINER),
                "EACCES", "EPERM")


def case_name(world):
    """2: another's vdev by its name, through the host's node: as if there were none"""
    with world.kernel_tells(TENANT, "opening vdev other"):
        all_are(steps([*ALONE[:-1], 'exec "$@"', "-", *as_user(TENANT), ATTACK, "name", "other"]), "ENOENT")


def case_node(world):
    """3: another's node, on the host"""
    with world.kernel_tells(TENANT, "opening vdev other"):
        all_are(from_host("open", node_of("other")), "EACCES")


def case_user_namespace(world):
    """4: another's node, as root of a user namespace"""
    with world.kernel_tells(TENANT, "opening vdev other"):
        all_are(steps([*as_user(TENANT), "unshare", "--user", "--map-root-user", "--mount", ATTACK, "open",
                       node_of("other")]), "EACCES")


def case_register(world):
    """5: a device of his own, whose executor he would be"""
    with world.kernel_tells(TENANT, "registering a device"):
        all_are(from_host("register"), "EPERM")


def case_administration(world):
    """6: the deletion of another's vdev, over netlink"""
    with world.kernel_tells(TENANT, "administration"):
        done = run([*as_user(TENANT), infini.CTL, "vdev", "delete", "other", "--force"])
        check(done.returncode == 1, f"exit status {done.returncode}")
    check("other" in infini.vdevs(), "it is deleted")


def case_administration_contained(_):
    """7: the same as root of user and network namespaces, with all capabilities there"""
    done = run([*as_user(TENANT), "unshare", "--user", "--map-root-user", "--net", infini.CTL, "vdev",
                "delete", "other", "--force"])
    check(done.returncode == 1, f"exit status {done.returncode}")
    check("other" in infini.vdevs(), "it is deleted")


def case_executor(world):
    """8: an executor's calls, on his own vdev's file"""
    with world.kernel_tells_of_call("ioctl 0x[0-9a-f]+", errno.ENOTTY):
        got = from_container("executor")
    check(len(got) == 4, f"{got}")
    all_are(got, "ENOTTY")


def case_process(_):
    """9: the worker's memory, environment and files by /proc and ptrace, on the host"""
    got = from_host("process", infini.vdevs()["other"]["executor_pid"])
    check(len(got) == 6, f"{got}")
    all_are(got, "EACCES", "EPERM")


def case_signals(world):
    """10: signals to workers and to infinid, on the host"""
    pids = [infini.vdevs()[name]["executor_pid"] for name in ("mine", "other")]
    all_are(from_host("signals", world.daemon.process.pid, *pids), "EPERM")
    check(pids == [infini.vdevs()[name]["executor_pid"] for name in ("mine", "other")], "a worker has gone")


# ---- what is wrong ----

def case_handles(world):
    """11: buffers, programs and queues of others by guessing their numbers"""
    with world.kernel_tells_of_call("(?:ioctl 0x[0-9a-f]+|mmap)", errno.ENOENT):
        got = from_container("handles")
    check(len(got) == 6, f"{got}")
    all_are(got, "ENOENT")


def case_map(world):
    """12: mappings beyond a buffer, and of what is read-only to write"""
    with world.kernel_tells_of_call("mmap", r"\d+"):
        got = from_container("map")
    for allowed in ("the timeline", "its own buffer"):
        check(got.pop(allowed) == "let", f"not even {allowed}")
    check(len(got) == 6, f"{got}")
    all_are(got, "EINVAL", "EACCES", "ENOENT", "EFAULT", "ENOMEM", "EOVERFLOW")


def case_nonsense(world):
    """13: giant batches, the kernel's addresses, counts that overflow"""
    with world.kernel_tells_of_call("ioctl 0x[0-9a-f]+", r"\d+"):
        got = from_container("nonsense")
    check(len(got) == 7, f"{got}")
    all_are(got, "EINVAL", "EFAULT", "E2BIG")


# ---- too much ----

def case_objects(world):
    """14: queues, programs and buffers without end"""
    with world.kernel_tells_of_call("ioctl 0x[0-9a-f]+", errno.ENOSPC):
        all_are(from_container("objects"), "ENOSPC")


def case_memory(world):
    """15: more memory than the vdev has"""
    with world.kernel_tells_of_call("ioctl 0x[0-9a-f]+", r"\d+"):
        all_are(from_container("memory"), "ENOSPC", "EINVAL")
    check(infini.vdevs()["mine"]["stats"]["memory_used_bytes"] == 0, "some of it is still charged")


def case_clients(world):
    """16: the vdev opened without end"""
    with world.kernel_tells(TENANT, "one client more of vdev mine"):
        all_are(from_container("clients"), "ENOSPC")


# ---- work that means harm ----

def case_garbage(world):
    """17: a program of control characters from a process named so: no log is its terminal"""
    with world.infinid_tells(r"vdev mine: .*null program: "):
        all_are(from_container("garbage"), "EINVAL")
    for name, text in (("infinid", world.log()), ("kernel", world.kernel_log())):
        wild = re.findall(r"[^\n]*[\x00-\x08\x0b-\x1f\x7f][^\n]*", text)
        check(not wild, f"the {name}'s log: {wild[:1]!r}")


def case_crash(world):
    """18: a program that kills its worker"""
    with world.infinid_tells(r"vdev mine: worker \d+ was killed by SIGABRT"):
        all_are(from_container("crash"), "EOWNERDEAD")
    world.events.wait_why("executor-lost", "mine",
                          "killed by signal 6; it said: null program: aborts, as it says")


def case_endless(world):
    """19: a program that never ends and does not yield, while the other works"""
    with world.infinid_tells(r"vdev mine: a job ran longer than its timeout"):
        all_are(from_container("endless"), "ETIMEDOUT")


def case_files(_):
    """20: what the daemon keeps: ledger, metrics, the file for container runtimes, debugfs"""
    all_are(from_host("files", "/var/lib/infini/ledger.db", "/sys/kernel/debug/infini"), "EACCES")
    all_are(from_host("connect", "/run/infini/metrics.sock"), "EACCES")
    infini.wait_until("the file for container runtimes", lambda: os.path.isfile(CDI))
    all_are(from_host("link", os.path.dirname(CDI)), "EACCES")
    check(os.path.isfile(CDI) and not os.path.islink(CDI), f"{CDI} is not what it was")
    done = run([*ALONE, node_of("mine"), "sh", "-c", "mount -t sysfs s /sys && ls /sys/class/infini"])
    check(not done.stdout.strip(), f"the container sees {done.stdout!r}")


def main():
    tap = Tap()
    infini.load_module("grace_ms=300")
    world = World(sys.argv[1])
    world.prepare()
    pid = world.daemon.process.pid
    for case in chosen(globals(), sys.argv[2:]):
        def attack(world, case=case):
            case(world)
            world.both_work()
            check(world.daemon.process.poll() is None and world.daemon.process.pid == pid,
                  "infinid has ended")
        attack.__doc__ = case.__doc__
        tap.case(attack, world)
    for vdev in ("mine", "other"):
        infini.ctl("vdev", "delete", vdev)
    world.daemon.stop()
    world.events.stop()
    infini.unload_module()
    tap.end()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Containers that get vdevs from runtimes as they are, in one machine. TAP.

The image is the machine's own Debian with Debian's llama.cpp: what it has of ours comes by CDI.
"""
import json
import os
import re
import signal
import subprocess
import sys
import time

import runtime
from runtime import Container, check, idle, infini, llama, loaded, out, podman, run, start, stats
from tap import Tap, chosen

WINDOW_NS = 5e9


class World:
    """The machine that the cases share."""

    def __init__(self, folder):
        self.out = folder
        plugin = f"plugin = {infini.PLUGIN}\nlibrary = {runtime.LIBRARY}\n"
        self.daemon = infini.Daemon(folder, ["cpu0", "null0"],
                                    f"[cdi]\n{plugin}[backend ggml]\ndevices = cpu0\n"
                                    "[backend null]\nenabled = yes\ndevices = null0\n",
                                    "idle_exit_s = 5\nledger = /tmp/ledger.db\n")

    def vdev(self, name, *words, device="null0", memory="64M"):
        infini.ctl("vdev", "create", name, "--device", device, "--memory", memory, *words)
        infini.wait_until(f"containers learn of vdev {name}", lambda: known(name), 20)

    def gone(self, name):
        idle(name)
        infini.ctl("vdev", "delete", name)


def known(name):
    """The file has it, as "cdi list" reads it."""
    return any(row["device"] == f"infini.dev/vdev={name}" and row["state"] == "ready"
               for row in json.loads(infini.ctl("cdi", "list", "--json")))


def node(name):
    return f"/dev/infini{infini.vdevs()[name]['id']}"


def inside(*commands, options=(), **more):
    """Lines that /inside prints in a container, for one command of it after the other."""
    script = "\n".join(f"/inside {command}" for command in commands)
    return out(podman(*options, "--", "sh", "-c", script, **more)).splitlines()


# ---- what a container has ----

def case_nothing_of_ours(_):
    """the image has nothing of ours, and a container without a vdev no node"""
    found = out(["find", runtime.IMAGE, "-xdev", "-iname", "*infini*", "!", "-name",
                 "*infiniband*"]).splitlines()
    check(not found, f"in the image: {found}")
    names = out(podman("ls", "/dev")).split()
    check(not [name for name in names if name.startswith("infini")], f"nodes {names}")


def case_generate(_):
    """plain Debian llama.cpp in a container: the text of the plain CPU, and no vendor's node"""
    plain = llama("-dev", "none", tokens=6)
    plain[plain.index("-m") + 1] = runtime.MODEL
    want, _ = runtime.whole_text(plain)
    text, err = runtime.whole_text(podman(*runtime.WITH_MODEL, "sh", "-c", 'ls /dev >&2; exec "$@"', "sh",
                                          *llama(*runtime.ON_VDEV, tokens=6), vdevs=["light"]))
    names = err.splitlines()
    check("infini" in names, f"no /dev/infini: {names[:30]}")
    foreign = [name for name in names if re.match(r"nvidia|dri$|accel|kfd|vfio|render", name)]
    check(not foreign, f"vendor nodes: {foreign}")
    check(text.strip() and text == want, f"text {text!r}, of the CPU {want!r}")
    idle("light")


def case_weights(_):
    """two containers generate on two vdevs of one device with weights 1 : 3"""
    forever = llama(*runtime.ON_VDEV, "--ignore-eos", "--no-warmup", "-c", "256", "--context-shift",
                    tokens=1000000)
    tenants = [start(name, *runtime.WITH_MODEL, *forever, vdevs=[name])
               for name in ("light", "heavy")]
    try:
        for tenant in tenants:
            loaded(tenant.name, 2)
        print("# %.2f : 1 of occupancy, weights 3 : 1, over %.1f s" % share(WINDOW_NS))
    finally:
        for tenant in tenants:
            tenant.end()
    idle("light")
    idle("heavy")


def share(window_ns):
    """Occupancy of heavy per light until both have @window_ns together; both want all of it."""
    first = {name: stats(name)["occupancy_ns"] for name in ("light", "heavy")}
    while True:
        for box in Container.started:
            box.check_it_runs()
        used = {name: stats(name)["occupancy_ns"] - first[name] for name in first}
        if sum(used.values()) >= window_ns:
            ratio = used["heavy"] / max(used["light"], 1)
            check(2.0 < ratio < 4.0, f"occupancy 1 : {ratio:.2f}, weights 1 : 3: {used}")
            return ratio, sum(used.values()) / 1e9
        time.sleep(0.2)


def case_limit(world):
    """the memory limit holds in a container: one clear line"""
    world.vdev("small", device="cpu0", memory="1M")
    status, _, err = run(podman(*runtime.WITH_MODEL, *llama(*runtime.ON_VDEV, tokens=2),
                                vdevs=["small"]))
    lines = [line for line in err.splitlines() if "infini" in line and "limit" in line]
    check(status and lines, f"status {status}: {err[-300:]}")
    world.gone("small")


def case_two_vdevs(_):
    """two vdevs in one container: the last one is /dev/infini, INFINI_DEVICE chooses the other"""
    a, b = node("a"), node("b")
    for first, last, name in (("a", "b", "crun"), ("b", "a", "runc")):
        lines = inside(f"open /dev/infini {a} {b}", "vdev", options=("-e", f"INFINI_DEVICE={a}"),
                       vdevs=[first, last], runtime=name)
        check(lines == [f"/dev/infini vdev {last}", f"{a} vdev a", f"{b} vdev b", "vdev a"],
              f"{name}: {lines}")


def case_read_only(_):
    """a read-only root: the vdev and the libraries are there"""
    script = f"/inside vdev; ls /usr/lib/infini; touch /usr/lib/infini/x 2>&1 | tail -c 22"
    lines = out(podman("--read-only", "--", "sh", "-c", script, vdevs=["a"])).splitlines()
    check(lines[:3] == ["vdev a", "libggml-infini.so", "libinfini.so.0"], f"{lines}")
    check(lines[3:] == ["Read-only file system"], f"{lines}")


# ---- what a container may not ----

def case_mknod(_):
    """no vdev given: a node made with CAP_MKNOD does not open"""
    major = os.major(os.stat("/dev/infini").st_rdev)
    tries = [f"mknod {major} {minor}" for minor in (0, infini.vdevs()["a"]["id"])]
    for name in ("crun", "runc"):
        lines = inside(*tries, options=("--cap-add", "MKNOD"), runtime=name)
        check(len(lines) == 2 and all(line.split()[-1] in ("EPERM", "EACCES") for line in lines),
              f"{name}: {lines}")


def case_user_namespace(_):
    """user namespaces: the vdev's owner opens it; what the runtime lets through the module refuses"""
    mine, other = node("user"), node("a")
    for name in ("crun", "runc"):
        mapped = ("--uidmap", f"0:{runtime.USER}:65536")
        more = {"runtime": name, "image": runtime.USER_IMAGE}
        lines = inside("vdev", options=(*mapped, "-e", f"INFINI_DEVICE={mine}"), vdevs=["user"],
                       **more)
        check(lines == ["vdev user"], f"{name}, its own: {lines}")
        raw = [word for path in ("/dev/infini", mine, other) for word in ("--device", path)]
        lines = inside(f"open /dev/infini {other} {mine}", "vdev",
                       options=(*mapped, *raw, "-e", "INFINI_VDEV=a"), **more)
        check(lines == ["/dev/infini control", f"{other} EACCES", f"{mine} vdev user", "ENOENT"],
              f"{name}, all nodes given: {lines}")


def case_reach(_):
    """one container reaches no buffer, queue, program, event or name of another that works"""
    other = start("other", "/inside", "load", vdevs=["b"])
    try:
        loaded("b")
        lines = inside(f"reach b {node('b').removeprefix('/dev/infini')}", vdevs=["a"])
        reached = dict(line.split() for line in lines)
        check(len(reached) == 8 and "REACHED" not in reached.values(), f"{reached}")
        check(reached["list"] == reached["events"] == "ENOENT", f"{reached}")
        loaded("b")
    finally:
        other.end()
    idle("b")


def case_bound(_):
    """a vdev bound to a container's control group is closed to everybody else"""
    box = start("box", "--cgroup-parent", "/bound", "--", "/inside", "load", vdevs=["bound"])
    try:
        loaded("bound")
        infini.ctl("vdev", "set", "bound", "--cgroup", "/bound")
        lines = inside("vdev", vdevs=["bound"])
        check(lines == ["EACCES"], f"another container: {lines}")
        lines = out([runtime.INSIDE, "open", node("bound")]).splitlines()
        check(lines == [f"{node('bound')} EACCES"], f"root on the host: {lines}")
        check(out(["podman", "exec", "box", "/inside", "vdev"]).strip() == "vdev bound",
              "the container itself")
    finally:
        box.end()
        infini.ctl("vdev", "set", "bound", "--cgroup", "none")
    idle("bound")


# ---- what is not there ----

def case_no_such_vdev(_):
    """a vdev that is not there: the runtime names it and starts nothing"""
    status, _, err = run(podman("true", vdevs=["nosuch"]))
    check(status == 126 and "infini.dev/vdev=nosuch" in err, f"status {status}: {err}")


def case_node_gone(world):
    """a stale file: the runtime names the missing node; cdi list calls it stale"""
    world.vdev("brief")
    with open(runtime.SPEC, encoding="utf-8") as file:
        stale = file.read()
    path = node("brief")
    infini.ctl("vdev", "delete", "brief")
    infini.wait_until("containers forget vdev brief", lambda: not known("brief"), 20)
    world.daemon.stop()
    runtime.write(runtime.SPEC, stale)
    rows = json.loads(infini.ctl("cdi", "list", "--json"))
    states = {row["device"]: row["state"] for row in rows}
    check(states["infini.dev/vdev=brief"] == "stale" and states["infini.dev/vdev=a"] == "ready",
          f"{states}")
    status, _, err = run(podman("true", vdevs=["brief"]))
    check(status and path in err, f"status {status}: {err}")
    infini.ctl("cdi", "generate", "--plugin", infini.PLUGIN, "--library", runtime.LIBRARY)
    check(not known("brief") and known("a"), "generate left it stale")
    world.daemon.start()


def case_no_daemon(world):
    """infinid is down: the container starts and llama.cpp says why it cannot"""
    world.daemon.stop()
    check(os.path.exists(runtime.SPEC), "the file went with infinid")
    status, text, err = run(podman(*runtime.WITH_MODEL, *llama(*runtime.ON_VDEV, tokens=2),
                                   vdevs=["light"]))
    lines = [line for line in err.splitlines() if "infinid" in line]
    check(status and lines, f"status {status}: {text[-100:]} {err[-300:]}")
    status, _, err = infini.ctl_try("run", "--device", "null0", "--memory", "1M", "--", "true")
    check(status == 1 and "infinid" in err, f"infinictl run: {status}: {err}")
    world.daemon.start()


def case_spec_removed(_):
    """the file goes while a container runs: it goes on, the next is not started"""
    box = start("box", "/inside", "load", vdevs=["a"])
    try:
        loaded("a")
        infini.ctl("cdi", "remove")
        loaded("a")
        status, _, err = run(podman("true", vdevs=["a"]))
        check(status and "infini.dev/vdev=a" in err, f"status {status}: {err}")
    finally:
        box.end()
        infini.ctl("cdi", "generate", "--plugin", infini.PLUGIN, "--library", runtime.LIBRARY)
    idle("a")


# ---- who is killed ----

def killed(victims, name="a"):
    """A container on @name under load, of which @victims are killed; then whatever is left."""
    box = start("box", "/inside", "load", vdevs=[name])
    try:
        loaded(name)
        pids = box.state()
        box.orphan(pids["init"])
        for victim in victims:
            runtime.kill(pids[victim])
        if "init" not in victims:
            loaded(name)
            runtime.kill(pids["init"])
        idle(name)
    finally:
        box.end()
    left = [who for who, pid in pids.items() if runtime.alive(pid)]
    check(not left, f"{victims} killed: still there: {left}")


def rounds(number):
    """@number times: kill somebody, and the vdev is as before."""
    kinds = (("init",), ("conmon",), ("podman",), ("podman", "conmon"),
             ("podman", "conmon", "init"))
    for done in range(number):
        killed(kinds[done % len(kinds)])
        check(infini.vdevs()["a"]["stats"]["memory_used_bytes"] == 0, "memory is left")
        if not (done + 1) % 10:
            print(f"# {done + 1} kills, nothing left", flush=True)


def case_killed(_):
    """init, conmon, podman killed under load, each and together: nothing is left, at once"""
    rounds(int(os.environ.get("INFINI_ROUNDS", "5")))


# ---- vdevs on demand ----

ON_DEMAND = ("run", "--device", "null0", "--memory", "8M", "--name", "job", "--")


def on_demand(*words, **more):
    return podman(*words, before=(infini.CTL, *ON_DEMAND, "podman"), **more)


def ended(name="job", seconds=runtime.PATIENCE_S):
    infini.wait_until(f"vdev {name} is removed", lambda: name not in infini.vdevs() and
                      name not in runtime.groups(), seconds)


def case_run_plain(_):
    """infinictl run: a plain command has a vdev of its own, of all options, and its status"""
    script = f'{runtime.INSIDE} vdev; echo $INFINI_DEVICE; {infini.CTL} vdev show job --json; exit 7'
    status, text, err = run([infini.CTL, *ON_DEMAND[:-1], "--weight", "7", "--class", "batch",
                             "--", "sh", "-c", script])
    check(status == 7, f"status {status}: {err}")
    first, second, shown = text.split("\n", 2)
    vdev = json.loads(shown)
    check(first == "vdev job" and second == f"/dev/infini{vdev['id']}", f"{first} {second}")
    check(vdev["weight"] == 7 and vdev["class"] == "batch", shown)
    ended()
    status, _, err = run([infini.CTL, *ON_DEMAND, "/nonexistent"])
    check(status == 127 and "/nonexistent" in err, f"status {status}: {err}")
    ended()


def case_run_podman(_):
    """infinictl run -- podman run: the container's vdev is nobody else's and goes with it"""
    for name in ("crun", "runc"):
        box = Container("box", on_demand("--name", "box", "--", "/inside", "load", runtime=name))
        infini.wait_until("vdev job is there", lambda: "job" in infini.vdevs(), 30)
        try:
            loaded("job")
            lines = out([runtime.INSIDE, "open", node("job")]).split()
            check(lines[-1] == "EACCES", f"{name}: root on the host: {lines}")
        finally:
            box.end()
        ended()


def case_run_says_where(_):
    """infinictl run -- podman run with {} of the user's own: in the group all the same"""
    for words in (("--device", "{}"), ("--device", "{}", "--cgroup-parent", "{cgroup}")):
        text = out(on_demand(*words, "--", "/inside", "vdev"))
        check(text.strip() == "vdev job", f"{words}: {text}")
        ended()


def case_run_killed(_):
    """infinictl run: podman and conmon killed leave the vdev to the container, init's end removes it"""
    box = Container("box", on_demand("--name", "box", "--", "/inside", "load"))
    infini.wait_until("vdev job is there", lambda: "job" in infini.vdevs(), 30)
    try:
        loaded("job")
        pids = box.state()
        box.orphan(pids["init"])
        for victim in ("podman", "conmon"):
            runtime.kill(pids[victim])
            loaded("job")
        runtime.kill(pids["init"])
        ended()
    finally:
        box.end()


def case_run_ends_without_infinid(world):
    """infinictl run: a new infinid keeps the vdev of a command, and removes what ended meanwhile"""
    job = subprocess.Popen([infini.CTL, *ON_DEMAND, "sleep", "1000"])
    infini.wait_until("vdev job is there", lambda: "job" in infini.vdevs(), 30)
    world.daemon.kill()
    world.daemon.start()
    check("job" in infini.vdevs(), "a new infinid took the vdev away")
    world.daemon.kill()
    job.send_signal(signal.SIGKILL)
    job.wait()
    check("job" in infini.vdevs(), "who removed it?")
    world.daemon.start()
    ended()


# ---- containerd ----

def case_containerd(world):
    """containerd over CRI, on the host's network: its container has its vdev and no other's"""
    import cri  # pylint: disable=import-outside-toplevel
    containerd = cri.Containerd(os.path.join(world.out, "containerd.log"))
    try:
        containerd.start_pod()
        first = containerd.start("first", ["/inside", "load"], ["a"])
        second = containerd.start("second", ["/inside", "wait"], ["b"])
        none = containerd.start("none", ["/inside", "wait"])
        loaded("a")
        lines = containerd.exec(second, "/inside", "open", "/dev/infini", node("a"), node("b"))
        check(lines == ["/dev/infini vdev b", f"{node('a')} ENOENT", f"{node('b')} vdev b"],
              f"{lines}")
        lines = containerd.exec(second, "/inside", "reach", "a", node("a").removeprefix("/dev/infini"))
        reached = dict(line.split() for line in lines)
        check(len(reached) == 8 and "REACHED" not in reached.values(), f"{reached}")
        lines = containerd.exec(none, "/inside", "open", "/dev/infini", node("a"))
        check(lines == ["/dev/infini ENOENT", f"{node('a')} ENOENT"], f"{lines}")
        try:
            containerd.start("bad", ["/inside", "wait"], ["nosuch"])
            raise infini.Trouble("a vdev that is not there is accepted")
        except infini.Trouble as error:
            check("infini.dev/vdev=nosuch" in str(error), f"{error}")
        for box in (first, second, none):
            containerd.remove(box)
        idle("a")
    finally:
        containerd.stop()


# ---- users ----

def case_rootless(world):
    """rootless podman: a user's own vdev works, another's is refused by the module"""
    uid = 1000
    for path, line in (("/etc/passwd", f"tester:x:{uid}:{uid}::/tmp/home:/bin/sh\n"),
                       ("/etc/group", f"tester:x:{uid}:\n"),
                       ("/etc/subuid", "tester:200000:65536\n"),
                       ("/etc/subgid", "tester:200000:65536\n")):
        with open(path, "a", encoding="utf-8") as file:
            file.write(line)
    world.vdev("tester", "--owner", "tester")
    runtime.write("/tmp/home/.config/containers/storage.conf", '[storage]\ndriver = "vfs"\n')
    os.makedirs("/run/user/1000")
    out(["chown", "-R", "tester:tester", "/tmp/home", "/run/user/1000"])
    for name in ("", "run", "etc", "dev", "proc", "sys", "usr/lib", "tmp", "root"):
        os.chown(os.path.join(runtime.USER_IMAGE, name), uid, uid)
    user = ["setpriv", "--reuid", "tester", "--regid", "tester", "--clear-groups", "env", "-i",
            "HOME=/tmp/home", "XDG_RUNTIME_DIR=/run/user/1000", f"PATH={os.environ['PATH']}"]
    for vdev, want in (("tester", "vdev tester"), ("a", "EACCES")):
        command = podman("-e", f"INFINI_DEVICE={node(vdev)}", "--", "/inside", "vdev",
                         vdevs=[vdev], image=runtime.USER_IMAGE)
        text = out(user + command, cwd="/tmp/home")
        check(text.strip() == want, f"vdev {vdev}: {text}")


# ---- no runtime at all ----

def unshared(vdev, *options, node_of=None):
    """What /inside finds at /dev/infini that unshare(1) made a vdev's node, and which processes it sees."""
    script = (f'mount --bind {node(node_of or vdev)} /dev/infini && '
              f'{runtime.INSIDE} open /dev/infini {node(vdev)} && '
              f'{runtime.INSIDE} vdev && echo $$')
    return ["unshare", "--mount", *options, "sh", "-c", script]


def case_unshare(_):
    """unshare: a vdev's node bound over /dev/infini in a mount, PID and user namespace"""
    lines = out(unshared("a")).splitlines()
    check(lines[:3] == ["/dev/infini vdev a", f"{node('a')} vdev a", "vdev a"], f"{lines}")
    lines = out(unshared("a", "--pid", "--fork", "--mount-proc", "--net")).splitlines()
    check(lines == ["/dev/infini vdev a", f"{node('a')} vdev a", "vdev a", "1"], f"{lines}")
    lines = out([runtime.INSIDE, "open", "/dev/infini"]).splitlines()
    check(lines == ["/dev/infini control"], f"the host's own node is another: {lines}")
    user = ("setpriv", "--reuid", str(runtime.USER), "--regid", str(runtime.USER),
            "--clear-groups", "--")
    mapped = ("--user", "--map-root-user", "--pid", "--fork")
    lines = out([*user, *unshared("user", *mapped)]).splitlines()
    check(lines == ["/dev/infini vdev user", f"{node('user')} vdev user", "vdev user", "1"],
          f"its owner: {lines}")
    lines = out([*user, *unshared("a", *mapped, node_of="user")]).splitlines()
    check(lines[:2] == ["/dev/infini vdev user", f"{node('a')} EACCES"], f"another's: {lines}")
    lines = out([*user, *unshared("a", *mapped)]).splitlines()
    check(lines == ["/dev/infini EACCES", f"{node('a')} EACCES", "EACCES", "1"],
          f"bound over it: {lines}")
    os.makedirs("/sys/fs/cgroup/elsewhere", exist_ok=True)
    infini.ctl("vdev", "set", "user", "--cgroup", "/elsewhere")
    try:
        lines = out([*user, *unshared("user", *mapped)]).splitlines()
        check(lines == ["/dev/infini EACCES", f"{node('user')} EACCES", "EACCES", "1"],
              f"bound to another control group: {lines}")
    finally:
        infini.ctl("vdev", "set", "user", "--cgroup", "none")
    idle("a")
    idle("user")


# ---- who it was ----

def case_named(_):
    """infinitop --by cgroup names the container as podman ps does"""
    box = start("box", "/inside", "load", vdevs=["a"])
    try:
        loaded("a")
        short = out(["podman", "ps", "--format", "{{.ID}}"]).strip()
        text = out([os.path.join(infini.TREE, "build/bpf/infinitop"), "--batch", "--by", "cgroup",
                    "--interval", "1s", "--duration", "3s"])
        check(f"libpod {short}" in text, f"container {short} is not in {text}")
    finally:
        box.end()


def named_in_metrics():
    """Labels of the containers that infinid tells a monitoring system of."""
    text = out(["curl", "-sS", "--max-time", "60", "--unix-socket", "/run/infini/metrics.sock",
                "http://infinid/metrics"])
    return [dict(re.findall(r'(\w+)="([^"]*)"', line)) for line in
            re.findall(r"^infini_vdev_container_info\{(.*)\} 1$", text, re.MULTILINE)]


# Its processes have the vdev open from control groups that it makes, of odd names.
SPREAD = """for n in 1 2 3; do
	group="/sys/fs/cgroup/odd\\"$n"
	mkdir "$group"
	(echo 0 >"$group/cgroup.procs" && exec /inside load) &
done
wait"""


def case_metrics(_):
    """the metrics name a container while it has the vdev, once, whatever groups it makes"""
    check(not named_in_metrics(), f"already there: {named_in_metrics()}")
    box = start("box", "--privileged", "--", "sh", "-c", SPREAD, vdevs=["a"])
    try:
        infini.wait_until("three processes have the vdev", lambda: stats("a")["clients"] == 3, 120)
        loaded("a")
        full = out(["podman", "ps", "--no-trunc", "--format", "{{.ID}}"]).strip()
        rows = named_in_metrics()
        check(len(rows) == 1, f"{rows}")
        row = rows[0]
        check(row["vdev"] == "a" and row["device"] == "null0", f"{row}")
        check(row["container"] == full[:12] and row["runtime"] == "libpod", f"{full}: {row}")
        check(row["cgroup"].endswith(f"/libpod-{full}"), f"{full}: {row}")
        check(os.path.isdir("/sys/fs/cgroup" + row["cgroup"]), f"no such group: {row}")
    finally:
        box.end()
    idle("a")
    check(not named_in_metrics(), f"still there: {named_in_metrics()}")


def main():
    world = World(sys.argv[1])
    tap = Tap()
    runtime.prepare()
    runtime.prepare_user()
    # Emulation beside other work may take longer than five seconds to start a worker.
    infini.load_module("executor_wait_ms=120000")
    world.daemon.start()
    world.vdev("light", device="cpu0", memory="256M")
    world.vdev("heavy", "--weight", "300", device="cpu0", memory="256M")
    for name in ("a", "b", "bound"):
        world.vdev(name)
    world.vdev("user", "--owner", f"{runtime.USER}:{runtime.USER}")
    for case in chosen(globals(), sys.argv[2:]):
        tap.case(case, world)
    world.daemon.stop()
    tap.end()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-2.0-or-later
"""Containers in the machine: podman over the machine's own Debian, which has nothing of ours."""
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import infini  # noqa: E402  pylint: disable=wrong-import-position
from tap import check  # noqa: E402  pylint: disable=wrong-import-position

INSIDE = os.path.join(infini.TREE, "build/containers/inside")
LIBRARY = os.path.join(infini.TREE, "build/lib/libinfini.so.0")
MODEL = os.path.join(infini.TREE, "tests/model/stories.gguf")
IMAGE = "/img"
USER_IMAGE = "/img-user"
USER = 100000
GROUPS = "/sys/fs/cgroup/infini"
SPEC = "/var/run/cdi/infini.dev-vdev.json"

CONTAINERS_CONF = """[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
[containers]
log_driver = "none"
netns = "none"
"""
STORAGE_CONF = """[storage]
driver = "vfs"
graphroot = "/tmp/storage/graph"
runroot = "/tmp/storage/run"
"""


def run(command, seconds=240, **more):
    """A command to its end: status, output, complaints."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=seconds, check=False, **more)
    return (done.returncode, done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace").strip())


def out(command, **more):
    status, text, err = run(command, **more)
    check(not status, f"{' '.join(command)}: status {status}: {err[-400:]}")
    return text


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def mount(kind, source, target, options=None):
    os.makedirs(target, exist_ok=True)
    subprocess.run(["mount", *kind, *(["-o", options] if options else []), source, target],
                   check=True)


def prepare():
    """The image is the machine's root without what is mounted on it: plain Debian."""
    mount(["--bind"], "/", IMAGE)
    mount(["-t", "tmpfs"], "storage", "/tmp/storage")
    write("/etc/containers/containers.conf", CONTAINERS_CONF)
    write("/etc/containers/storage.conf", STORAGE_CONF)


def prepare_user():
    """The same for a user namespace, whose root may make the places for mounts in it."""
    mount(["-t", "tmpfs"], "user", "/tmp/user")
    for name in ("upper", "work"):
        os.mkdir(f"/tmp/user/{name}")
    mount(["-t", "overlay"], "overlay", USER_IMAGE,
          f"lowerdir={IMAGE},upperdir=/tmp/user/upper,workdir=/tmp/user/work")
    for name in ("", "run", "etc", "dev", "proc", "sys", "usr/lib", "tmp", "root"):
        os.chown(os.path.join(USER_IMAGE, name), USER, USER)


def podman(*words, vdevs=(), runtime="crun", image=IMAGE + ":O", before=("podman",)):
    """The command that runs @words in a container; options stand before "--"."""
    options, command = (), words
    if "--" in words:
        at = words.index("--")
        options, command = words[:at], words[at + 1:]
    return [*before, "run", "--rm", "--runtime", runtime, "-v", f"{INSIDE}:/inside:ro",
            *(f"--device=infini.dev/vdev={vdev}" for vdev in vdevs), *options,
            "--rootfs", image, *command]


def llama(*more, tokens=24):
    """Without Mesa's software driver, which takes seconds to start here."""
    return ["env", "VK_LOADER_DRIVERS_DISABLE=*", "llama-completion", "-m", "/model.gguf", "-no-cnv", "-p",
            "Once upon a time", "-n", str(tokens), "--temp", "0", "-t", "1", "-fit", "off", "--simple-io", *more]


def whole_text(command):
    """What llama-completion says, and its complaints; its statistics come after that."""
    text, err = infini.whole(command, "common_perf_print")
    return text.decode(), err


ON_VDEV = ("-ngl", "99", "-dev", "INFINI0")
WITH_MODEL = ("-v", f"{MODEL}:/model.gguf:ro", "--")


def stats(vdev):
    return infini.vdevs()[vdev]["stats"]


LEFT = ("clients", "queues", "buffers", "programs", "memory_used_bytes")
PATIENCE_S = 600        # a runtime on a machine that others keep busy


def wait_for(vdev, what, condition, seconds):
    """What the vdev was doing is part of the trouble."""
    try:
        infini.wait_until(f"{what} vdev {vdev}", condition, seconds)
    except infini.Trouble as error:
        row = infini.vdevs()[vdev]
        state = {key: row["stats"][key] for key in (*LEFT, "tokens_generated")}
        raise infini.Trouble(f"{error}; executor {row['executor']}, {state}") from None


def idle(vdev, seconds=PATIENCE_S):
    """Nothing of any client is left in @vdev, its memory back to zero."""
    wait_for(vdev, "all counters are zero of", lambda: not any(
        stats(vdev)[key] for key in LEFT), seconds)


def loaded(vdev, jobs=2, seconds=PATIENCE_S):
    """Wait until @vdev has done some more work; no longer than there are containers to do it."""
    have = stats(vdev)["tokens_generated"]

    def done():
        for box in Container.started:
            box.check_it_runs()
        return stats(vdev)["tokens_generated"] >= have + jobs

    wait_for(vdev, "work is done on", done, seconds)


class Container:
    """A container under way, of a name."""

    started = []

    def __init__(self, name, command):
        self.name = name
        self.init = None
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.started.append(self)

    def orphan(self, init):
        """Its podman or conmon is about to be killed: from now on the container is its process @init."""
        self.init = init

    def check_it_runs(self):
        """A podman that ended of itself says why, unless it lost its conmon; the container goes on."""
        if self.init:
            if not alive(self.init):
                raise infini.Trouble(f"container {self.name} ended with what was killed of it")
            return
        status = self.process.poll()
        if status not in (None, -signal.SIGKILL):
            said = self.process.stderr.read().decode(errors="replace").strip()
            raise infini.Trouble(f"container {self.name} ended with status {status}: {said}")

    def state(self):
        """Processes of the container's own (init) and its monitor."""
        state = json.loads(out(["podman", "inspect", self.name]))[0]["State"]
        return {"init": state["Pid"], "conmon": state["ConmonPid"],
                "podman": self.process.pid}

    def end(self):
        """Whatever is left of it."""
        if self in self.started:
            self.started.remove(self)
        try:
            self.process.kill()
        except ProcessLookupError:
            pass
        status, text, _ = run(["podman", "inspect", self.name])
        if not status and json.loads(text)[0]["State"]["Pid"]:
            kill(json.loads(text)[0]["State"]["Pid"])
        self.process.communicate(timeout=PATIENCE_S)
        self.remove()

    def remove(self):
        """A podman without its conmon may take it for running still, until its end is noticed."""
        said = ""

        def removed():
            nonlocal said
            said = run(["podman", "rm", "-f", "-t", "0", self.name])[2]
            return run(["podman", "container", "exists", self.name])[0] == 1

        try:
            infini.wait_until(f"container {self.name} is removed", removed, PATIENCE_S)
        except infini.Trouble as error:
            raise infini.Trouble(f"{error}: {said.strip()}") from None


def start(name, *words, **more):
    between = () if "--" in words else ("--",)
    command = podman("--name", name, *between, *words, **more)
    return Container(name, command)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def groups():
    """Commands that "infinictl run" has under way."""
    return sorted(entry.name for entry in os.scandir(GROUPS) if entry.is_dir())

# SPDX-License-Identifier: GPL-2.0-or-later
"""Infini from the build folder, for programs that run as root inside a machine."""
import atexit
import json
import os
import shutil
import signal
import subprocess
import time

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CTL = os.path.join(TREE, "build/ctl/infinictl")
DAEMON = os.path.join(TREE, "build/daemon/infinid")
BACKENDS = os.path.join(TREE, "build/daemon/backends")
PLUGIN = os.path.join(TREE, "build/frontends/ggml/libggml-infini.so")
RPC_SERVER = os.path.join(TREE, "build/e2e/rpc-server")
# On 9p a file loses lines when somebody looks at it while another appends to it.
LOCAL_LOG = "/run/infinid.log"


def user_mode_linux():
    """Compute runs at the host's speed, and nothing is emulated."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return "User Mode Linux" in file.read()


def module():
    """The one for the kernel that runs."""
    return os.path.join(TREE, "build", "kmod-uml-fast" if user_mode_linux() else "kmod", "infini.ko")


class Trouble(Exception):
    """Something that should have worked did not; the text is for people."""


def run(command, env=None, seconds=240):
    """A command to its end: status, output, complaints."""
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=seconds, check=False)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def whole(command, last, env=None, seconds=240):
    """What a tool of llama.cpp says and complains of. 0.7.0 may exit before its log thread has printed the last
    words, on any device: then @last is missing, too."""
    for _ in range(20):
        status, text, err = run(command, env, seconds)
        if status:
            raise Trouble(f"exit status {status}: {err[-300:]}")
        if last in text.decode(errors="replace") + err:
            return text, err
        print(f"# {command[0]} lost what follows {text[-20:]!r}, byte {len(text)}", flush=True)
    raise Trouble(f"{command[0]} lost its last words twenty times")


def ctl_try(*words):
    """infinictl: its status, what it printed and what it complained of."""
    done = subprocess.run([CTL, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False, timeout=120)
    return done.returncode, done.stdout, done.stderr.strip()


def ctl(*words):
    status, out, err = ctl_try(*words)
    if status:
        raise Trouble(f"infinictl {' '.join(words)}: {err}")
    return out


def devices():
    return {d["name"]: d for d in json.loads(ctl("device", "list", "--json"))}


def vdevs():
    """All vdevs by name, read in one go."""
    return {v["name"]: v for v in json.loads(ctl("vdev", "list", "--json"))}


def wait_until(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Trouble(f"{what}: not within {seconds} s")
        time.sleep(0.1)


def load_module(*parameters, path=None):
    if not os.path.exists("/dev/infini"):
        subprocess.run(["insmod", path or module(), *parameters], check=True)


def unload_module():
    subprocess.run(["rmmod", "infini"], check=True)


def keep_log(path):
    if os.path.exists(LOCAL_LOG):
        shutil.copyfile(LOCAL_LOG, path)


class Daemon:
    """An infinid in the foreground, with a configuration of its own."""

    def __init__(self, out, wanted, sections, general=""):
        self.out, self.wanted = out, wanted
        self.config = os.path.join(out, "infinid.conf")
        self.log = os.path.join(out, "infinid.log")
        if not user_mode_linux():
            atexit.register(keep_log, self.log)
            self.log = LOCAL_LOG
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f"[infinid]\nbackend_dir = {BACKENDS}\n{general}{sections}")
        self.process = None

    def start(self):
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([DAEMON, "--foreground", "--config", self.config],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(f"infinid registers {', '.join(self.wanted)} (see {self.log})", self.ready, 300)

    def ready(self):
        if self.process.poll() is not None:
            with open(self.log, encoding="utf-8") as file:
                raise Trouble(f"infinid ended: {file.read().strip().splitlines()[-1:]}")
        known = devices()
        return all(name in known and known[name]["online"] for name in self.wanted)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(60):
            raise Trouble(f"infinid ended with {self.process.returncode}; see {self.log}")

    def kill(self):
        self.process.kill()
        self.process.wait()


class Events:
    """What infinictl hears of devices and vdevs from now on, kept in a file."""

    def __init__(self, out):
        self.path = os.path.join(out, "events.jsonl")
        with open(self.path, "w", encoding="utf-8") as file:
            self.process = subprocess.Popen([CTL, "events", "--json"], stdout=file,
                                            stdin=subprocess.DEVNULL)

    def why(self, event, name):
        """The reasons of all events of that kind of a vdev or device; None for one without."""
        with open(self.path, encoding="utf-8") as file:
            events = [json.loads(line) for line in file if line.endswith("\n")]
        return [e.get("reason") for e in events
                if e["event"] == event and name in (e.get("vdev"), e.get("device"))]

    def wait_why(self, event, name, reason):
        """Until one of these has @reason in it."""
        wait_until(f"event {event} of {name} with the reason {reason!r}", lambda: any(
            reason in (why or "") for why in self.why(event, name)))

    def stop(self):
        self.process.terminate()
        self.process.wait()


def rpc_server(endpoint, log, environment=None):
    """ggml's RPC server, as on another machine; what it says is added to the file @log."""
    with open(log, "a", encoding="utf-8") as file:
        return subprocess.Popen([RPC_SERVER, endpoint], env=environment, stdin=subprocess.DEVNULL,
                                stdout=file, stderr=file)


def tenant(vdev):
    """The environment of a process that uses @vdev."""
    return dict(os.environ, INFINI_VDEV=vdev, GGML_BACKEND_PATH=PLUGIN)


def offloaded(log):
    """Layers offloaded and layers there are, from llama.cpp's own log."""
    words = log.replace("/", " ").split()
    if "offloaded" not in words:
        return 0, -1
    at = words.index("offloaded")
    return int(words[at + 1]), int(words[at + 2])

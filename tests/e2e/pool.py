#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A pool of unlike devices in one machine: which of them a vdev gets, and what one's failure does to the
others. TAP.

Runs under User-mode Linux, with one processor. "far" is a remote device: ggml's RPC server on the
loopback, two of them, because each has one client at a time.
"""
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import every_operator  # noqa: E402  pylint: disable=wrong-import-position
import guest  # noqa: E402  pylint: disable=wrong-import-position
import infini  # noqa: E402  pylint: disable=wrong-import-position
import native  # noqa: E402  pylint: disable=wrong-import-position
from tap import Tap, chosen  # noqa: E402  pylint: disable=wrong-import-position

ENDPOINTS = ("127.0.0.1:50052", "127.0.0.1:50053")
CONFIG = f"""[backend ggml]
devices = cpu0
[remote far]
endpoint = {" ".join(ENDPOINTS)}
retry_s = 1
"""

# What a server computes with this machine's CPU, in small cases.
OPERATORS = [
    ("RMS_NORM,SOFT_MAX,ARGSORT,SCALE,SUM_ROWS", "^(?!.*[0-9]{4})"),
    ("GET_ROWS", "type=(f32|q8_0),n=256,m=5,r=4,be1=1,be2=1,v=0"),
    ("ROPE", "type=f32,ne_a=\\[128,32,2,1\\],n_dims=128,.*ff=0,v=0"),
    ("MUL_MAT", "type_a=(f32|f16|q4_0|q8_0|q4_K),type_b=f32,m=16,n=(1|8),k=256,bs=\\[1,1\\],nr=\\[1,1\\]"),
]


class Servers:
    """Those of the remote machine."""

    def __init__(self, out):
        self.out, self.processes = out, []

    def start(self):
        for number, endpoint in enumerate(ENDPOINTS):
            self.processes.append(
                infini.rpc_server(endpoint, os.path.join(self.out, f"server-{number}.log")))

    def kill(self):
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes = []


class Pool:
    """The machine, its daemon, and machines beside it."""

    def __init__(self, out):
        self.out = out
        self.servers = Servers(out)
        # What it says is counted; a run before this one said it, too.
        for name in ("infinid.log", "server-0.log", "server-1.log"):
            if os.path.exists(os.path.join(out, name)):
                os.unlink(os.path.join(out, name))
        self.daemon = infini.Daemon(out, ["cpu0"], CONFIG, "idle_exit_s = 1\nthreads_max = 1\n")

    def log(self):
        with open(self.daemon.log, encoding="utf-8", errors="replace") as file:
            return file.read()


def remote():
    """What is known of the remote machine besides its devices; nothing until infinid has written it."""
    remotes = json.loads(infini.ctl("device", "list", "--all", "--json"))["remotes"]
    return remotes[0] if remotes else {}


def vdev(name, device):
    infini.ctl("vdev", "create", name, "--device", device, "--memory", "512M")


def online(name):
    return infini.devices().get(name, {}).get("online", False)


def text_on(name, tokens=24):
    return guest.whole_text(guest.completion(*guest.ON_VDEV, tokens=tokens), infini.tenant(name))


def tokens_of(name):
    return infini.vdevs()[name]["stats"]["tokens_generated"]


def plain_text(tokens=24):
    return guest.whole_text(guest.completion(*guest.PLAIN, tokens=tokens))


# ---- a remote machine ----

def case_remote_absent(pool):
    """a server that is not there: infinid serves all the same, and says why once"""
    why = f"server {ENDPOINTS[0]} cannot be reached: Connection refused"
    infini.wait_until("the reason", lambda: remote().get("why") == why)
    guest.check(remote()["name"] == "far" and remote()["endpoint"] == ENDPOINTS[0], f"{remote()}")
    table = infini.ctl("device", "list", "--all")
    guest.check(any("far" in line and why in line for line in table.splitlines()), table)
    vdev("local", "cpu0")
    guest.check(text_on("local") == plain_text(), "another text")
    # Time for some more looks.
    time.sleep(3)
    guest.check(pool.log().count(why) == 1, pool.log())


def case_remote_comes(pool):
    """the server comes: its device is there, with what is known of it"""
    pool.servers.start()
    infini.wait_until("far is on line", lambda: online("far"))
    far = infini.devices()["far"]
    guest.check(far["class"] == "gpu" and far["yield_level"] == "segment" and far["backend"] == "ggml",
                f"{far}")
    guest.check(ENDPOINTS[0] in far["description"], f"{far}")
    guest.check(far["memory_bytes"] > 0 and remote()["why"] is None, f"{far} {remote()}")


def case_remote_text(_):
    """the text of plain llama.cpp on the CPU, all layers offloaded; tokens are counted"""
    vdev("r", "far")
    guest.check(text_on("r") == plain_text(), "another text")
    stats = infini.vdevs()["r"]["stats"]
    guest.check(stats["tokens_generated"] >= 24, f"{stats}")


def case_remote_operators(pool):
    """test-backend-ops on the remote vdev: every case that it claims passes, and a case of every operator"""
    native.operators(pool, "r", OPERATORS)
    every_operator.check(pool.out, "r", "CPU")


def case_remote_two(_):
    """two vdevs at once, one for each server; a third waits until one leaves"""
    for name in ("s", "t"):
        vdev(name, "far")
    running = [guest.start(guest.completion(*guest.ON_VDEV, "--ignore-eos", "-c", "700",
                                            tokens=600), name) for name in ("r", "s")]
    try:
        for name in ("r", "s"):
            guest.generating(name)
        status, _, err = guest.run(guest.completion(*guest.ON_VDEV), infini.tenant("t"))
        guest.check(status and "infini" in err, f"status {status}: {err[-300:]}")
    finally:
        for process in running:
            process.kill()
            process.communicate()
    guest.check(text_on("t") == plain_text(), "another text")


def case_remote_killed(pool):
    """the server dies in the middle: its vdev says why, others go on; it comes back: all is well"""
    long = guest.completion(*guest.ON_VDEV, "--ignore-eos", "-c", "1100", tokens=1000)
    before = {name: tokens_of(name) for name in ("r", "local")}
    far, local = guest.start(long, "r"), guest.start(long, "local")
    infini.wait_until("both generate", lambda: all(
        tokens_of(name) >= before[name] + 3 for name in before), 120)
    pool.servers.kill()
    lines = guest.complaint(far, "server killed")
    print(f"# {lines[0]}", flush=True)
    infini.wait_until("far is off line", lambda: not online("far"))
    guest.check("cannot be reached" in (remote()["why"] or ""), f"{remote()}")
    guest.check(online("cpu0"), "cpu0 is off line")
    status, _, err = guest.run(guest.completion(*guest.ON_VDEV), infini.tenant("r"))
    guest.check(status and "infini" in err, f"status {status}: {err[-300:]}")
    _, err = local.communicate(timeout=300)
    guest.check(not local.returncode, f"the other vdev's client failed: {err[-300:]}")
    made = tokens_of("local") - before["local"]
    guest.check(made >= 999, f"the other vdev made {made} of 1000 tokens")
    pool.servers.start()
    infini.wait_until("far is on line again", lambda: online("far"))
    guest.check(text_on("r") == plain_text(), "another text")


def case_unload(pool):
    """everything stops, and the module can be unloaded"""
    for name in infini.vdevs():
        infini.ctl("vdev", "delete", name)
    pool.servers.kill()
    pool.daemon.stop()
    infini.unload_module()


def main():
    tap = Tap()
    pool = Pool(sys.argv[1])
    infini.load_module()
    pool.daemon.start()
    for case in chosen(globals(), sys.argv[2:]):
        tap.case(case, pool)
    tap.end()


if __name__ == "__main__":
    main()

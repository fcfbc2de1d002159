# SPDX-License-Identifier: GPL-2.0-or-later
"""llama.cpp in three ways inside a machine: on its own CPU device, through Infini, through ggml's RPC."""
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import infini  # noqa: E402  pylint: disable=wrong-import-position

MODELS = "/models"
ENDPOINT = "127.0.0.1:50052"
PLAIN, INFINI, RPC = "plain llama.cpp", "Infini", "ggml-rpc"


def model(name):
    """The file of a model: of this tree, or one with random weights."""
    if name == "stories":
        return os.path.join(infini.TREE, "tests/model/stories.gguf")
    return os.path.join(MODELS, f"random-{name}.gguf")


def words(way):
    """What a llama.cpp program is told to compute there."""
    return {PLAIN: ["-ngl", "0", "-dev", "none"], INFINI: ["-ngl", "99", "-dev", "INFINI0"],
            RPC: ["-ngl", "99", "-rpc", ENDPOINT, "-dev", "RPC0"]}[way]


def environment(way, vdev="a"):
    env = infini.tenant(vdev) if way == INFINI else dict(os.environ)
    # Software devices that ggml would look at first.
    env["VK_LOADER_DRIVERS_DISABLE"] = "*"
    return env


def bench_words(way, name, prompt, tokens, runs, *more):
    return ["llama-bench", "-m", model(name), "-p", str(prompt), "-n", str(tokens), "-r", str(runs),
            "-t", "1", *words(way), *more]


def bench(way, name, prompt, tokens, runs, *more):
    """Nanoseconds of a token, a sample for each run; what the program said besides."""
    env = dict(environment(way), INFINI_TRACE="1")
    done = subprocess.run([*bench_words(way, name, prompt, tokens, runs, *more), "-o", "json"], env=env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False)
    if done.returncode:
        raise infini.Trouble(f"llama-bench, {way}, {name}: status {done.returncode}: {done.stderr[-300:]}")
    test = json.loads(done.stdout)[0]
    return [ns / (prompt or tokens) for ns in test["samples_ns"]], done.stderr


class World:
    """The module, infinid with the CPU, vdevs, and a server of ggml's RPC; one thread everywhere."""

    def __init__(self, out, vdevs=("a",), memory="1G", idle_exit_s=0):
        self.vdevs, self.memory, self.out, self.server = vdevs, memory, out, None
        infini.load_module()
        self.daemon = infini.Daemon(out, ["cpu0"], "[backend ggml]\ndevices = cpu0\n",
                                    f"threads_max = 1\nidle_exit_s = {idle_exit_s}\n")

    def __enter__(self):
        self.daemon.start()
        for name in self.vdevs:
            infini.ctl("vdev", "create", name, "--device", "cpu0", "--memory", self.memory)
        return self

    def serve(self):
        """ggml-rpc is there from now on."""
        self.server = infini.rpc_server(ENDPOINT, os.path.join(self.out, "rpc-server.log"), environment(RPC))
        infini.wait_until("the RPC server listens", self.listens)

    @staticmethod
    def listens():
        port = f":{int(ENDPOINT.split(':')[1]):04X} "
        with open("/proc/net/tcp", encoding="ascii") as file:
            return any(port in line for line in file if " 0A " in line)

    def __exit__(self, *_):
        if self.server:
            self.server.kill()
            self.server.wait()
        for name in self.vdevs:
            infini.ctl_try("vdev", "delete", name, "--force")
        self.daemon.stop()
        infini.unload_module()


class Endless:
    """A llama-bench that generates for ever and can be halted; every @tokens tokens it says so."""

    def __init__(self, way, name, tokens, vdev="a"):
        self.process = subprocess.Popen(
            [*bench_words(way, name, 0, tokens, 10 ** 6), "--progress", "-o", "json"],
            env=environment(way, vdev), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        self.wait(1)

    def wait(self, rounds):
        """Until it has said so that often."""
        os.set_blocking(self.process.stderr.fileno(), True)
        for line in self.process.stderr:
            rounds -= b"generation run" in line
            if not rounds:
                return
        raise infini.Trouble(f"llama-bench ended with {self.process.wait()}")

    def rounds(self):
        """How many times it said so since the last call."""
        os.set_blocking(self.process.stderr.fileno(), False)
        return (self.process.stderr.read() or b"").count(b"generation run")

    def halt(self):
        self.process.send_signal(signal.SIGSTOP)

    def go(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        self.process.kill()
        self.process.wait()


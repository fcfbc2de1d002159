#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What users do with Infini, in one machine: unmodified llama.cpp tools, and mistakes. TAP."""
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import infini  # noqa: E402  pylint: disable=wrong-import-position
from infini import run, whole  # noqa: E402  pylint: disable=wrong-import-position
from tap import Tap, check  # noqa: E402  pylint: disable=wrong-import-position

MODEL = os.path.join(infini.TREE, "tests/model/stories.gguf")
FAKE_CLIENT = os.path.join(infini.TREE, "build/e2e/send-program")
TEXT = ("Once upon a time, there was a kind girl named Lily. She lived in a tall house. "
        "One day she saw a little fox. The fox was sad. Lily gave the fox some bread. ") * 8
PORT = 18080


def completion(*more, tokens=24, model=MODEL):
    return ["llama-completion", "-m", model, "-no-cnv", "-p", "Once upon a time", "-n",
            str(tokens), "--temp", "0", "-t", "1", "-fit", "off", "--simple-io", *more]


ON_VDEV = ("-ngl", "99", "-dev", "INFINI0")
PLAIN = ("-dev", "none")
# Generates until it is ended.
ENDLESS = ("--ignore-eos", "-c", "512", "--context-shift", "-n", "1000000")


def whole_text(command, env=None, seconds=240):
    """What llama-completion says; its statistics come after that."""
    return whole(command, "common_perf_print", env, seconds)[0]


def same_text(text, want, what):
    """Both are the same, or where they part is told."""
    at = len(os.path.commonprefix([text, want]))
    check(text == want, f"{what}: {len(text)} bytes, {len(want)} wanted, the same up to {at}: "
          f"{text[at:at + 60]!r}, not {want[at:at + 60]!r}")


class World:
    """The machine that the cases share."""

    def __init__(self, out, general=""):
        self.out = out
        self.daemon = infini.Daemon(out, ["cpu0", "null0"],
                                    "[backend ggml]\ndevices = cpu0\n[backend null]\n"
                                    "enabled = yes\n", "idle_exit_s = 2\n" + general)

    def vdev(self, name, memory="256M", weight="100", device="cpu0"):
        infini.ctl("vdev", "create", name, "--device", device, "--memory", memory, "--weight",
                   weight)

    def idle(self, name):
        """Every counter of what a client can hold is back to zero."""
        def zero():
            stats = infini.vdevs()[name]["stats"]
            return not any(stats[key] for key in ("clients", "queues", "buffers", "programs",
                                                  "memory_used_bytes"))
        infini.wait_until(f"counters of vdev {name} are zero", zero, 60)

    def gone(self, name):
        self.idle(name)
        infini.ctl("vdev", "delete", name)


def start(command, vdev):
    return subprocess.Popen(command, env=infini.tenant(vdev), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def generating(vdev, tokens=3):
    """Wait until @vdev has made some tokens more."""
    have = infini.vdevs()[vdev]["stats"]["tokens_generated"]
    infini.wait_until(f"vdev {vdev} generates", lambda:
                      infini.vdevs()[vdev]["stats"]["tokens_generated"] >= have + tokens, 120)


def has_a_job(vdev):
    """Its worker has one in hand."""
    with open("/sys/kernel/debug/infini/jobs", encoding="utf-8") as file:
        held = re.search(rf'^vdev \d+ "{vdev}" .*\n.*\n.*\n  executor .* holds (\d+) ', file.read(), re.MULTILINE)
    return held and int(held[1])


def kill_with_a_job(vdev):
    """One that is killed between two jobs takes none along: what a vdev has on this device is the module's, and the
    next worker goes on with it."""
    def stopped():
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] == "T"

    def caught():
        os.kill(pid, signal.SIGSTOP)
        infini.wait_until(f"worker {pid} stops", stopped)
        if has_a_job(vdev):
            return True
        os.kill(pid, signal.SIGCONT)
        return False

    pid = infini.vdevs()[vdev]["executor_pid"]
    infini.wait_until(f"worker {pid} has a job", caught)
    os.kill(pid, signal.SIGKILL)


def complaint(process, what):
    """The one line that a failing tenant shows; it must end by itself and not with a crash."""
    _, err = process.communicate(timeout=120)
    lines = [line for line in err.decode(errors="replace").splitlines() if "infini" in line]
    check(process.returncode != 0, f"{what}: the client ended as if all were well")
    check(process.returncode > 0 or process.returncode == -signal.SIGABRT,
          f"{what}: the client crashed with {process.returncode}")
    check(lines, f"{what}: no line says why")
    return lines


# ---- unmodified llama.cpp ----

def case_completion(world):
    """llama-completion: the text of the plain CPU device, all layers offloaded"""
    log = os.path.join(world.out, "completion.log")
    text = whole_text(completion(*ON_VDEV, "-lv", "4", "--log-file", log), infini.tenant("a"))
    same_text(text, whole_text(completion(*PLAIN)), "the vdev against the plain CPU")
    with open(log, encoding="utf-8", errors="replace") as file:
        layers = infini.offloaded(file.read())
    check(layers[0] == layers[1], f"{layers[0]} of {layers[1]} layers offloaded")


def case_bench(_):
    """llama-bench runs on the vdev"""
    status, text, err = run(["llama-bench", "-m", MODEL, "-p", "16", "-n", "8", "-r", "1", "-t",
                             "1", *ON_VDEV, "-o", "json"], infini.tenant("a"))
    check(not status, f"exit status {status}: {err[-300:]}")
    rows = json.loads(text)
    check(len(rows) == 2 and all(row["avg_ts"] > 0 for row in rows), f"rows {rows}")


def case_perplexity(world):
    """llama-perplexity: the digits of the plain CPU device"""
    path = os.path.join(world.out, "text")
    with open(path, "w", encoding="utf-8") as file:
        file.write(TEXT)
    command = ["llama-perplexity", "-m", MODEL, "-f", path, "-c", "64", "-t", "1", "-fit", "off"]
    results = []
    for device, env in ((ON_VDEV, infini.tenant("a")), (PLAIN, None)):
        text, err = whole([*command, *device], "PPL = ", env)
        results.append(re.findall(r"PPL = ([\d.]+ \+/- [\d.]+)", text.decode() + err))
    check(results[0] and results[0] == results[1], f"digits {results}")


def case_embedding(_):
    """llama-embedding: the numbers of the plain CPU device"""
    results = []
    for device, env in ((ON_VDEV, infini.tenant("a")), (PLAIN, None)):
        text, _ = whole(["llama-embedding", "-m", MODEL, "-p", "a little fox", "-t", "1", "-fit", "off",
                         "--embd-output-format", "json", "--pooling", "mean", *device], "\n  ]\n}", env)
        results.append(json.loads(text)["data"][0]["embedding"])
    check(results[0] == results[1], "the numbers differ")


class Server:
    """A llama-server on a vdev."""

    def __init__(self, world, vdev):
        self.url = f"http://127.0.0.1:{PORT}"
        with open(os.path.join(world.out, "server.log"), "wb") as log:
            self.process = subprocess.Popen(
                ["llama-server", "-m", MODEL, "--host", "127.0.0.1", "--port", str(PORT), "-np",
                 "2", "-t", "1", "-fit", "off", "--no-webui", "--slot-save-path", world.out,
                 *ON_VDEV], env=infini.tenant(vdev), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log)
        infini.wait_until("llama-server is healthy", self.healthy, 180)

    def healthy(self):
        check(self.process.poll() is None, "llama-server ended; see server.log")
        try:
            return self.get("/health")["status"] == "ok"
        except OSError:
            return False

    def get(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data,
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=240) as answer:
            return json.load(answer)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        check(self.process.wait(60) is not None, "llama-server did not stop")


def case_server(world):
    """llama-server: two parallel completions with curl; the counters agree with predicted_n"""
    server = Server(world, "a")
    try:
        before = infini.vdevs()["a"]["stats"]
        commands = [["curl", "-sS", f"{server.url}/v1/completions", "-H",
                     "Content-Type: application/json", "-d",
                     json.dumps({"prompt": prompt, "max_tokens": 24, "temperature": 0})]
                    for prompt in ("Once upon a time", "The little fox")]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            answers = [json.loads(out) for status, out, _ in pool.map(run, commands)
                       if not status]
        check(len(answers) == 2 and all(a["choices"][0]["text"].strip() for a in answers),
              f"answers {answers}")
        predicted = sum(a["timings"]["predicted_n"] for a in answers)
        prompt = sum(a["timings"]["prompt_n"] for a in answers)
        after = infini.vdevs()["a"]["stats"]
        generated = after["tokens_generated"] - before["tokens_generated"]
        evaluated = after["tokens_evaluated"] - before["tokens_evaluated"]
        check(generated == predicted, f"vdev list: {generated} tokens, llama-server: {predicted}")
        check(evaluated - generated + len(answers) == prompt,
              f"vdev list: {evaluated} evaluated, llama-server: {prompt} of prompts")
        table = infini.ctl("stats", "a", "--json")
        check(json.loads(table)[0]["stats"]["tokens_generated"] == after["tokens_generated"],
              "infinictl stats and vdev list differ")
    finally:
        server.stop()


def case_slot(world):
    """llama-server: a slot saved and restored goes on as if nothing had been"""
    server = Server(world, "a")
    try:
        ask = {"prompt": "Once upon a time, there was a", "n_predict": 8, "temperature": 0,
               "id_slot": 0, "cache_prompt": True}
        first = server.get("/completion", ask)["content"]
        saved = server.get("/slots/0?action=save", {"filename": "slot.bin"})
        check(saved["n_saved"] > 0, f"saved {saved}")
        server.get("/slots/0?action=erase", {})
        restored = server.get("/slots/0?action=restore", {"filename": "slot.bin"})
        check(restored["n_restored"] == saved["n_saved"], f"restored {restored}")
        check(server.get("/completion", ask)["content"] == first, "the text changed")
    finally:
        server.stop()


# ---- mistakes ----

def case_no_vdev(_):
    """an unknown vdev: one clear line"""
    lines = complaint(start(completion(*ON_VDEV), "nosuch"), "unknown vdev")
    check(any("nosuch" in line for line in lines), f"lines {lines}")


def case_infinictl_words(_):
    """infinictl: unknown options, units and names have status 2 or 1 and one line"""
    for words, want in ((("--nosuch",), 2), (("vdev", "create", "x", "--memory", "2Q"), 2),
                        (("vdev", "delete", "nosuch"), 1),
                        (("vdev", "create", "x", "--device", "nosuch", "--memory", "1G"), 1),
                        (("vdev", "create", "x", "--device", "cpu0", "--memory", "900T"), 1),
                        (("vdev", "set", "a", "--weight", "0"), 2)):
        status, _, err = infini.ctl_try(*words)
        check(status == want and err, f"{words}: status {status}, said {err!r}")


def case_doctor(_):
    """infinictl doctor: nothing is wrong on a machine where everything runs"""
    status, text, err = infini.ctl_try("doctor", "--json")
    rows = {row["check"]: row for row in json.loads(text)}
    wrong = [row for row in rows.values() if row["health"] == "wrong"]
    check(not status and not wrong, f"status {status}: {err} {wrong}")
    # User-mode Linux is built without.
    check(rows["btf"]["health"] == ("warning" if infini.user_mode_linux() else "ok"), f"{rows['btf']}")
    for name in ("kernel", "module", "landlock", "cgroups", "devices", "daemon"):
        check(rows[name]["health"] == "ok", f"{rows[name]}")


def case_too_small(world):
    """a vdev too small for the model: one clear line, nothing left behind"""
    world.vdev("small", "1M")
    lines = complaint(start(completion(*ON_VDEV), "small"), "1 MiB vdev")
    check(any("small" in line and "limit" in line for line in lines), f"lines {lines}")
    world.gone("small")


def case_limit_half_way(world):
    """the memory limit reached half-way through a load: one clear line, nothing left behind"""
    size = os.path.getsize(MODEL)
    world.vdev("half", str(size + (size >> 2)))
    lines = complaint(start(completion(*ON_VDEV, "-lm", "none"), "half"), "limit half-way")
    check(any("limit" in line for line in lines), f"lines {lines}")
    world.gone("half")


def case_delete_in_use(world):
    """deleting a vdev in use: refused without --force, with it the client says what happened"""
    world.vdev("busy")
    client = start(completion(*ON_VDEV, *ENDLESS), "busy")
    generating("busy")
    status, _, err = infini.ctl_try("vdev", "delete", "busy")
    check(status == 1 and "--force" in err, f"status {status}, said {err!r}")
    infini.ctl("vdev", "delete", "busy", "--force")
    complaint(client, "forced delete")
    check("busy" not in infini.vdevs(), "the vdev is still listed")


def case_kill_client(world):
    """a client killed while it generates leaves nothing behind"""
    client = start(completion(*ON_VDEV, *ENDLESS), "a")
    generating("a")
    client.kill()
    client.communicate()
    world.idle("a")


def case_kill_worker(world):
    """a worker killed while it generates: the client says so, the next one is served"""
    client = start(completion(*ON_VDEV, *ENDLESS), "a")
    generating("a")
    kill_with_a_job("a")
    complaint(client, "killed worker")
    status, _, err = run(completion(*ON_VDEV, tokens=4), infini.tenant("a"))
    check(not status, f"afterwards: exit status {status}: {err[-300:]}")
    world.idle("a")


def case_kill_infinid(world):
    """infinid killed while a client generates: an error to print, and a new infinid serves"""
    client = start(completion(*ON_VDEV, *ENDLESS), "a")
    generating("a")
    world.daemon.kill()
    complaint(client, "killed infinid")
    status, _, err = run(completion(*ON_VDEV, tokens=4), infini.tenant("a"))
    check(status and "infini" in err, f"without infinid: status {status}: {err[-300:]}")
    world.daemon.start()
    status, _, err = run(completion(*ON_VDEV, tokens=4), infini.tenant("a"))
    check(not status, f"afterwards: exit status {status}: {err[-300:]}")
    world.idle("a")


def case_truncated_model(world):
    """a truncated GGUF: llama.cpp's own error, nothing left behind"""
    path = os.path.join(world.out, "cut.gguf")
    with open(MODEL, "rb") as whole, open(path, "wb") as cut:
        cut.write(whole.read(os.path.getsize(MODEL) // 2))
    status, _, _ = run(completion(*ON_VDEV, model=path), infini.tenant("a"))
    check(status > 0, f"exit status {status}")
    world.idle("a")


def case_random_program(world):
    """a random file as program: refused with EINVAL, the worker lives on"""
    def deaths():
        with open(world.daemon.log, encoding="utf-8", errors="replace") as file:
            return [line for line in file if re.search(r"vdev a: worker \d+ (failed|was killed)", line)]

    before = deaths()
    status, out, err = run([FAKE_CLIENT, "/bin/true"], infini.tenant("a"))
    check(not status and b"EINVAL" in out, f"status {status}: {out} {err}")
    status, _, err = run(completion(*ON_VDEV, tokens=4), infini.tenant("a"))
    check(not status, f"afterwards: exit status {status}: {err[-300:]}")
    # One that was idle for long has stopped, and another came: that is no death.
    check(deaths() == before, f"the worker died of it: {deaths()[len(before):]}")
    world.idle("a")


CASES = [value for name, value in list(globals().items()) if name.startswith("case_")]


def case_before_the_module(out):
    """the module is not loaded: one clear line from the tools and the plugin"""
    for command in ([infini.CTL, "vdev", "list"],
                    [infini.DAEMON, "--foreground"]):
        status, _, err = run(command)
        check(status == 1 and "modprobe infini" in err, f"{command[0]}: {status} {err!r}")
    lines = complaint(start(completion(*ON_VDEV), "a"), "no module")
    check(any("modprobe" in line or "module" in line for line in lines), f"lines {lines}")
    check(os.path.isdir(out), "no output directory")


def case_before_the_daemon(_):
    """infinid is not running: infinictl says so"""
    infini.load_module()
    status, out, err = infini.ctl_try("vdev", "create", "a", "--memory", "64M")
    check(status == 1 and "infinid" in err, f"status {status}, said {out!r} {err!r}")


def case_unload(world):
    """infinid stops, the module is unloaded, no process, node or vdev is left"""
    infini.ctl("vdev", "delete", "a")
    world.daemon.stop()
    status, out, _ = run(["pgrep", "-l", "^infini"])
    check(status == 1, f"still there: {out.decode()}")
    infini.unload_module()
    left = [name for name in os.listdir("/dev") if name.startswith("infini")]
    check(not left, f"nodes {left}")


def main():
    out = sys.argv[1]
    only = sys.argv[2:]
    tap = Tap()
    if not only:
        tap.case(case_before_the_module, out)
        tap.case(case_before_the_daemon, out)
    world = World(out)
    infini.load_module()
    world.daemon.start()
    world.vdev("a")
    for function in CASES:
        if not only or function.__name__.removeprefix("case_") in only:
            tap.case(function, world)
    tap.case(case_unload, world)
    tap.end()


if __name__ == "__main__":
    main()

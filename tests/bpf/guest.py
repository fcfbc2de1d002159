#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The BPF tools as root in a machine: what they count, and that nothing of them is left. TAP."""
import json
import os
import pty
import signal
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import infini  # noqa: E402  pylint: disable=wrong-import-position

TOOLS = ("infinitop", "infinilat")
TOP, LAT = (os.path.join(infini.TREE, "build/bpf", name) for name in TOOLS)
LOAD = os.path.join(infini.TREE, "build/shares/load")
PINS = "/sys/fs/bpf/infini"
SAME = ("jobs_completed", "jobs_failed", "tokens_evaluated", "tokens_generated", "tokens_prompt",
        "tokens_scored", "tokens_embedded", "prompts", "dispatches", "preemptions", "queue_wait_ns")


def ensure(true, what):
    if not true:
        raise infini.Trouble(what)


def command(*words, **options):
    """Its status, what it printed and what it complained of."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, timeout=60, **options)
    return done.returncode, done.stdout, done.stderr.strip()


def one_line(status, reason, *words, **options):
    """Each tool ends with @status after one line that holds @reason."""
    for tool in (TOP, LAT):
        got, out, err = command(tool, *words, **options)
        ensure(got == status and not out and reason in err and "\n" not in err
               and err.startswith(os.path.basename(tool) + ": "),
               f"{tool} {' '.join(words)}: status {got}, said {err!r}, printed {out!r}")


def programs():
    """Names of the BPF programs of the tools that the kernel holds."""
    return [p["name"] for p in json.loads(command("bpftool", "-j", "prog", "show")[1])
            if p.get("name", "").startswith(("top_", "lat_"))]


def module_counters():
    return {v["name"]: v["stats"] for v in json.loads(infini.ctl("stats", "--json"))}


class Tool:
    """infinitop or infinilat, attached and running once this is made."""

    def __init__(self, *words, tool=TOP):
        self.process = subprocess.Popen([tool, "--json", "--interval", "200ms", *words],
                                        stdout=subprocess.PIPE, text=True)
        self.lines = []
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        ensure(line, "the tool ended by itself")
        self.lines.append(json.loads(line))

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.lines += map(json.loads, self.process.stdout.read().splitlines())
        return self.process.wait(20)

    def rows(self):
        return {row["vdev"]: row for row in self.lines[-1]["rows"]}


def tenants(milliseconds):
    """Two tenants of different weight and shape, until the time is over."""
    return [LOAD, "-d", str(milliseconds),
            "-t", "vdev=a,segments=4,segment_us=500,inflight=4,tokens=3",
            "-t", "vdev=b,segments=200,segment_us=500,inflight=2,tokens=7,clients=2"]


def work(milliseconds):
    """Load until both tenants have been given tokens: how fast a machine is, is no matter here."""
    before = module_counters()
    for _ in range(10):
        status, _, err = command(*tenants(milliseconds))
        ensure(not status, f"the load ended with {status}: {err}")
        if all(now["tokens_generated"] > before[name]["tokens_generated"]
               for name, now in module_counters().items()):
            return
    ensure(False, "a tenant got no tokens")


def same(tool, before=None):
    """The tool's totals are what the module counted since @before."""
    rows, module = tool.rows(), module_counters()
    ensure(not tool.lines[-1]["lost"], f"{tool.lines[-1]['lost']} events lost")
    for name in ("a", "b"):
        total = rows[name]["total"]
        for key in SAME:
            want = module[name][key] - (before[name][key] if before else 0)
            ensure(total[key] == want, f"{name}: {key} is {total[key]}, the module counted {want}")
        ensure(total["tokens_generated"] > 0, f"{name} generated nothing")
        print(f"# {name}: {total['tokens_generated']} tokens, {total['jobs_completed']} jobs, "
              f"{total['dispatches']} dispatches, {total['preemptions']} preemptions")


def case_without_module():
    """without the module: one line, exit 1"""
    one_line(1, "not loaded", "--json")


def case_words():
    """wrong words: one line, exit 2; help and version: exit 0"""
    for words, reason in ((("--nonsense",), "unknown option"), (("word",), "not an option"),
                          (("--by", "colour"), "--by"),
                          (("--interval", "1ms"), "from 0.05"), (("--interval", "x"), "duration"),
                          (("--duration", "-1s"), "duration"), (("--vdev",), "needs a value")):
        one_line(2, reason, *words)
    for words in (("--sort", "x"), ("--pid", "1x")):
        status, out, err = command(TOP, *words)
        ensure(status == 2 and words[0] in err and not out, f"infinitop {words}: {err!r}")
    for tool in (TOP, LAT):
        for word in ("--help", "-h", "--version"):
            status, out, err = command(tool, word)
            ensure(not status and os.path.basename(tool) in out and not err, f"{tool} {word}")


def case_without_root():
    """without root: one line, exit 1"""
    one_line(1, "root", "--json", user=65534)


def case_exact():
    """two tenants: infinitop's counts are the module's, exactly"""
    before = module_counters()
    tool = Tool()
    work(2000)
    ensure(tool.end() == 0, "infinitop did not end well")
    same(tool, before)
    ensure(any(row["generated_per_s"] > 0 and row["itl_p50_ns"] > 0
               for line in tool.lines for row in line["rows"]), "no rates, no times")


def case_histograms():
    """infinilat: as many waits as dispatches, as many runs and yields as can be"""
    before = module_counters()
    tool = Tool(tool=LAT)
    work(2000)
    ensure(tool.end() == 0, "infinilat did not end well")
    rows, module = tool.rows(), module_counters()
    for name in ("a", "b"):
        row = rows[name]
        dispatches = module[name]["dispatches"] - before[name]["dispatches"]
        preemptions = module[name]["preemptions"] - before[name]["preemptions"]
        ensure(row["queue_wait"]["count"] == row["run"]["count"] == dispatches,
               f"{name}: {row['queue_wait']['count']} waits, {row['run']['count']} runs, "
               f"{dispatches} dispatches")
        for kind in ("queue_wait", "run", "yield", "itl"):
            ensure(sum(b["count"] for b in row[kind]["buckets"]) == row[kind]["count"],
                   f"{name}: {kind} does not add up")
            # Of b's long jobs not two of one client need end in time.
            ensure(row[kind]["count"] or (name, kind) == ("b", "itl"), f"{name}: no {kind}")
        print(f"# {name}: {dispatches} waits and runs, {preemptions} preemptions, "
              f"{row['yield']['count']} yields, p50 {row['yield']['p50_ns'] / 1000:.0f} us")


def case_screen():
    """the full screen: keys group, sort and quit"""
    child, terminal = pty.fork()
    if not child:
        os.execve(TOP, [TOP, "--interval", "200ms"], dict(os.environ, TERM="xterm"))
    shown = b""
    for key, wanted in ((b"", b"by vdev"), (b"g", b"cgroup"), (b"s", b"prompt"), (b"q", None)):
        os.write(terminal, key)
        end = time.monotonic() + 20
        while wanted and wanted not in shown:
            ensure(time.monotonic() < end, f"{wanted} was not shown: {shown[-300:]}")
            shown += os.read(terminal, 65536)
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        pass
    ensure(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "it did not end well")
    ensure(not programs(), "programs are left")


def case_processes():
    """by process and control group: their sums are the vdevs'"""
    before = module_counters()
    tools = [Tool("--by", by) for by in ("process", "cgroup")]
    os.makedirs("/sys/fs/cgroup/tenants", exist_ok=True)
    load = subprocess.Popen(tenants(1500), stdout=subprocess.DEVNULL, preexec_fn=lambda: open(
        "/sys/fs/cgroup/tenants/cgroup.procs", "w", encoding="utf-8").write(str(os.getpid())))
    ensure(load.wait(60) == 0, "the load failed")
    for tool in tools:
        ensure(tool.end() == 0, "infinitop did not end well")
        same(tool, before)
    ensure(tools[0].rows()["a"]["pid"] == load.pid, "the process is not the tenant")
    ensure(tools[1].rows()["a"]["cgroup"] == "/tenants",
           f"the control group is {tools[1].rows()['a']['cgroup']}")


def case_filters():
    """--vdev and --pid show only what they name; --duration ends it"""
    status, out, _ = command(TOP, "--json", "--vdev", "b", "--duration", "300ms")
    rows = [row["vdev"] for row in json.loads(out.splitlines()[-1])["rows"]]
    ensure(not status and rows == ["b"], f"--vdev b shows {rows}")
    status, out, _ = command(TOP, "--json", "--pid", "1", "--duration", "300ms")
    ensure(not status and not json.loads(out.splitlines()[-1])["rows"], "--pid 1 shows rows")
    status, out, _ = command(TOP, "--batch", "--duration", "300ms")
    ensure(not status and out.splitlines()[0].split()[:2] == ["VDEV", "GEN/S"],
           f"--batch prints {out!r}")


def case_pins():
    """--pin: bpftool shows named fields while it runs, and nothing is left after"""
    tool = Tool("--pin")
    work(800)
    status, out, err = command("bpftool", "-j", "map", "dump", "pinned",
                               f"{PINS}/infinitop/top_rows")
    ensure(not status, err)
    entry = json.loads(out)[0]["formatted"]
    ensure({"vdev", "pid", "cgroup"} <= entry["key"].keys() and
           {"generated", "itl"} <= entry["values"][0]["value"].keys(), f"unnamed: {out[:300]}")
    ensure(tool.end() == 0 and not os.path.exists(PINS), "pins are left")


def case_killed():
    """kill -9 under load: nothing is left, and the next one counts right"""
    load = subprocess.Popen(tenants(2500), stdout=subprocess.DEVNULL)
    for _ in range(3):
        tool = Tool("--pin")
        ensure(programs(), "bpftool shows no program of infinitop")
        tool.end(signal.SIGKILL)
        infini.wait_until("programs of a killed infinitop are gone", lambda: not programs(), 20)
    ensure(load.wait(60) == 0, "the load failed")
    before = module_counters()
    tool = Tool("--pin")
    work(1000)
    ensure(tool.end() == 0 and not os.path.exists(PINS), "pins of a killed infinitop are left")
    same(tool, before)


def unload_with_tool():
    """The module stays while a tool is attached, and goes once the tool has been killed."""
    tool = Tool()
    status, _, _ = command("rmmod", "infini")
    ensure(status, "the module went away under a tool")
    tool.end(signal.SIGKILL)
    infini.wait_until("rmmod", lambda: not command("rmmod", "infini")[0], 30)
    ensure(not programs(), "programs are left")


class World:
    """The module, infinid with the null backend, and two vdevs."""

    def __init__(self, out, module):
        self.out, self.module = out, module

    def __enter__(self):
        infini.load_module(self.module)
        self.daemon = infini.Daemon(self.out, ["null0"], "[backend null]\nenabled = yes\n",
                                    "idle_exit_s = 0\n")
        self.daemon.start()
        infini.ctl("vdev", "create", "a", "--device", "null0", "--memory", "60M")
        infini.ctl("vdev", "create", "b", "--device", "null0", "--memory", "60M", "--weight", "300")

    def __exit__(self, *_):
        for name in ("a", "b"):
            infini.ctl_try("vdev", "delete", name, "--force")
        self.daemon.stop()


class Tap:
    """Runs cases, one line each."""

    def __init__(self):
        self.number, self.failed = 0, 0

    def run(self, case, name):
        self.number += 1
        begin = time.monotonic()
        try:
            case()
            print(f"ok {self.number} - {name}", flush=True)
        except Exception as trouble:  # pylint: disable=broad-except
            if not isinstance(trouble, infini.Trouble):
                traceback.print_exc(file=sys.stdout)
            self.failed += 1
            print(f"# {trouble}\nnot ok {self.number} - {name}", flush=True)
        print(f"# {time.monotonic() - begin:.1f} s")


def main():
    out, typed, classic = sys.argv[1:4]
    tap = Tap()
    for case in (case_without_module, case_words):
        tap.run(case, case.__doc__)
    for module, kind in ((typed, "typed"), (classic, "classic")):
        cases = [case_exact, case_histograms, case_killed]
        if module == typed:
            cases += [case_without_root, case_processes, case_filters, case_pins, case_screen]
        with World(out, module):
            ensure(os.path.exists("/sys/kernel/btf/infini") == (kind == "typed"),
                   f"the module is not the {kind} one")
            for case in cases:
                tap.run(case, f"{kind}: {case.__doc__}")
        tap.run(unload_with_tool, f"{kind}: rmmod with a tool attached, and after kill -9 of it")
    print(f"1..{tap.number}")
    sys.exit(1 if tap.failed else 0)


if __name__ == "__main__":
    main()

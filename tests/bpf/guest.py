#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The BPF tools as root in a machine: what they count, and that nothing of them is left. TAP."""
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import llama
from tools import (CPU, LAT, LOAD, PINS, SNOOP, TOOLS, TOP, Tap, Tool, World, command, ensure, infini,
                   module_counters, module_did, one_line, programs, tenants, work)

TOKENS = ("tokens_evaluated", "tokens_generated", "tokens_prompt", "tokens_scored",
          "tokens_embedded", "prompts")
SAME = TOKENS + ("jobs_completed", "jobs_failed", "dispatches", "preemptions", "queue_wait_ns")


def same(tool, before):
    """infinitop's totals are what the module counted since @before."""
    rows, module = tool.rows(), module_did(before)
    for name in ("a", "b"):
        total = rows[name]["total"]
        for key in SAME:
            want = module[name][key]
            ensure(total[key] == want, f"{name}: {key} is {total[key]}, the module counted {want}")
        ensure(total["tokens_generated"] > 0, f"{name} generated nothing")
        print(f"# {name}: {total['tokens_generated']} tokens, {total['jobs_completed']} jobs, "
              f"{total['dispatches']} dispatches, {total['preemptions']} preemptions")


def same_histograms(tool, before):
    """infinilat: as many waits and runs as the module counted dispatches since @before."""
    rows, module = tool.rows(), module_did(before)
    for name in ("a", "b"):
        row, dispatches = rows[name], module[name]["dispatches"]
        ensure(row["queue_wait"]["count"] == row["run"]["count"] == dispatches,
               f"{name}: {row['queue_wait']['count']} waits, {row['run']['count']} runs, "
               f"{dispatches} dispatches")


def same_jobs(tool, before):
    """infinisnoop: its lines add up to what the module counted since @before."""
    module = module_did(before)
    ensure(tool.lines[-1]["type"] == "end" and tool.lines[-1]["shown"] == len(tool.lines) - 2,
           f"the last line is {tool.lines[-1]}")
    for name in ("a", "b"):
        jobs = tool.jobs(name)
        done = [job for job in jobs if job["status"] == "ok"]
        sums = {"jobs_completed": len(done), "jobs_failed": len(jobs) - len(done)}
        for key in TOKENS + ("preemptions", "queue_wait_ns"):
            sums[key] = sum(job[key] for job in jobs)
        # Waits that a job's end cut short are no waits for a dispatch.
        for key in sums if not module[name]["jobs_failed"] else set(sums) - {"queue_wait_ns"}:
            ensure(sums[key] == module[name][key],
                   f"{name}: {key} is {sums[key]}, the module counted {module[name][key]}")
        for job in jobs:
            ensure(not job["unseen_ns"] and
                   job["total_ns"] == job["queue_wait_ns"] + job["run_ns"] ==
                   job["done_ns"] - job["arrived_ns"], f"{name}: times do not add up: {job}")
            ensure(job["run_ns"] == 0 or
                   job["arrived_ns"] <= job["dispatched_ns"] <= job["done_ns"],
                   f"{name}: out of order: {job}")
        print(f"# {name}: {len(jobs)} jobs, {sums['preemptions']} preemptions, "
              f"{sum(job['yields_asked'] for job in jobs)} yields asked")


SAMES = {TOP: same, LAT: same_histograms, SNOOP: same_jobs}


def case_without_module():
    """without the module: one line, exit 1"""
    one_line(1, "not loaded", "--json")


def case_words():
    """wrong words: one line, exit 2; help and version: exit 0"""
    for tools, words, reason in (
            (TOOLS, ("--nonsense",), "unknown option"), (TOOLS, ("word",), "not an option"),
            (TOOLS, ("--duration", "-1s"), "duration"), (TOOLS, ("--vdev",), "needs a value"),
            ((TOP, LAT), ("--by", "colour"), "--by"),
            ((TOP, LAT), ("--interval", "1ms"), "from 0.05"),
            ((TOP, LAT), ("--interval", "x"), "duration"),
            ((TOP,), ("--sort", "x"), "--sort"), ((TOP, SNOOP), ("--pid", "1x"), "--pid"),
            ((SNOOP,), ("--slower-than", "x"), "duration"), ((SNOOP,), ("--idle", "0"), "from 0.05"),
            ((SNOOP,), ("--buffer", "3"), "at least 4"), ((SNOOP,), ("--buffer", "1M"), "--buffer")):
        one_line(2, reason, *words, tools=tools)
    for tool in TOOLS:
        for word in ("--help", "-h", "--version"):
            status, out, err = command(tool, word)
            ensure(not status and os.path.basename(tool) in out and not err, f"{tool} {word}")


def case_without_root():
    """without root: one line, exit 1"""
    one_line(1, "root", "--json", user=65534)


def case_no_vdev():
    """a vdev that does not exist: one line, exit 1"""
    one_line(1, "no vdev \"c\"", "--vdev", "c", tools=(LAT, SNOOP))


def case_without_records():
    """without BTF of the module and without tracefs: one line, exit 1"""
    places = [line.split()[1] for line in open("/proc/mounts", encoding="utf-8")
              if line.split()[2] in ("tracefs", "debugfs")]
    for place in reversed(places):
        subprocess.run(["umount", "-l", place], check=True)
    try:
        one_line(1, "no tracefs", "--json")
    finally:
        subprocess.run(["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"], check=True)


def case_exact():
    """two tenants: what all three tools count at the same time is the module's, exactly"""
    before = module_counters()
    tools = [Tool(tool=tool) for tool in TOOLS]
    work(2000)
    for tool in tools:
        tool.end_well()
    for tool, check in zip(tools, SAMES.values()):
        check(tool, before)
    ensure(any(row["generated_per_s"] > 0 and row["itl_p50_ns"] > 0
               for line in tools[0].lines for row in line["rows"]), "no rates, no times")


def case_few():
    """a small load: each tool counts as many jobs and tokens as were asked for"""
    for tool in TOOLS:
        before = module_counters()
        running = Tool(tool=tool)
        for name in ("a", "b"):
            # Until all of them are done, however slow the machine.
            load = subprocess.Popen([LOAD, "-d", "60000",
                                     "-t", f"vdev={name},jobs=20,tokens=3,segment_us=100"],
                                    stdout=subprocess.DEVNULL)
            infini.wait_until(f"20 jobs on {name}", lambda vdev=name: module_did(before)[vdev][
                "tokens_generated"] == 60)
            load.kill()
            load.wait()
        SAMES[tool](running.end_well(), before)
    ensure(not programs(), "programs are left")


def case_histograms():
    """infinilat: buckets add up, and every kind has its times"""
    tool = Tool(tool=LAT)
    work(2000)
    for name, row in tool.end_well().rows().items():
        for kind in ("queue_wait", "run", "yield", "itl"):
            ensure(sum(b["count"] for b in row[kind]["buckets"]) == row[kind]["count"],
                   f"{name}: {kind} does not add up")
            # Of b's long jobs not two of one client need end in time.
            ensure(row[kind]["count"] or (name, kind) == ("b", "itl"), f"{name}: no {kind}")
        print(f"# {name}: {row['yield']['count']} yields, p50 {row['yield']['p50_ns'] / 1000:.0f} us")


def case_late():
    """infinisnoop attached in the middle of jobs: it says what it did not see"""
    before = module_counters()
    load = subprocess.Popen(tenants(60000), stdout=subprocess.DEVNULL)
    infini.wait_until("a preemption", lambda: module_did(before)["b"]["preemptions"])
    tool = Tool(tool=SNOOP)
    attached_ns = tool.lines[0]["time_ns"]
    attached = module_counters()
    infini.wait_until("all that ran has ended",
                      lambda: module_did(attached)["b"]["jobs_completed"] > 4)
    load.kill()
    load.wait()
    jobs = tool.end_well().jobs("b")
    ensure(all(job["total_ns"] == job["queue_wait_ns"] + job["run_ns"] + job["unseen_ns"]
               for job in jobs), "times do not add up")
    late = [job for job in jobs if job["unseen_ns"]]
    ensure(late and all(job["arrived_ns"] < attached_ns for job in late),
           f"jobs that were running already: {late}")
    print(f"# {len(late)} of {len(jobs)} jobs were running already")


def case_lost():
    """infinisnoop without room: what it did not show, it counts"""
    before = module_counters()
    tool = Tool("--buffer", "4", tool=SNOOP)
    tool.process.send_signal(signal.SIGSTOP)
    work(2000)
    tool.process.send_signal(signal.SIGCONT)
    ensure(tool.end() == 0, "infinisnoop did not end well")
    end, module = tool.lines[-1], module_did(before)
    jobs = sum(module[name]["jobs_completed"] + module[name]["jobs_failed"] for name in module)
    ensure(end["lost"] > 0 and end["shown"] + end["lost"] == jobs,
           f"{end['shown']} shown, {end['lost']} lost, {jobs} jobs")
    print(f"# {end['shown']} shown, {end['lost']} lost")


def case_snoop_filters():
    """infinisnoop: --vdev, --pid, --slower-than and --requests show what they name"""
    tools = [Tool(*words, tool=SNOOP) for words in
             ((), ("--vdev", "b"), ("--pid", "1"), ("--slower-than", "20ms"), ("--requests",))]
    work(2000)
    every, on_b, nobody, slow, requests = (tool.end_well() for tool in tools)
    ensure(on_b.lines[1:-1] == every.jobs("b"), "--vdev b shows something else")
    ensure(len(nobody.lines) == 2, f"--pid 1 shows {nobody.lines}")
    ensure(slow.lines[1:-1] == [job for job in every.lines[1:-1] if job["total_ns"] >= 20000000],
           "--slower-than 20ms shows something else")
    for name in ("a", "b"):
        for key in ("tokens_generated", "preemptions"):
            # Of b's clients one may have got nothing but preemptions.
            want = sum(job[key] for job in every.jobs(name)
                       if job["client"] in {r["client"] for r in requests.jobs(name)})
            got = sum(request[key] for request in requests.jobs(name))
            ensure(got == want if key == "tokens_generated" else got <= want,
                   f"{name}: {key} of requests is {got}, of jobs {want}")
    status, out, _ = command(SNOOP, "--duration", "300ms")
    ensure(not status and out.splitlines()[0].split()[:2] == ["ARRIVE", "VDEV"],
           f"--duration prints {out!r}")


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
    pids = work(1000, preexec_fn=lambda: open(
        "/sys/fs/cgroup/tenants/cgroup.procs", "w", encoding="utf-8").write(str(os.getpid())))
    by_process, by_cgroup = (tool.end_well() for tool in tools)
    same(by_cgroup, before)
    ensure({row["cgroup"] for row in by_cgroup.rows().values()} == {"/tenants"},
           f"control groups are {by_cgroup.rows()}")
    module = module_did(before)
    for name in ("a", "b"):
        rows = [row for row in by_process.lines[-1]["rows"] if row["vdev"] == name]
        ensure({row["pid"] for row in rows} == set(pids), f"{name}: processes are not the tenants")
        got = sum(row["total"]["tokens_generated"] for row in rows)
        ensure(got == module[name]["tokens_generated"], f"{name}: processes generated {got}")


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


# Of each tool a map with what its entries hold, and types that its BTF names.
MAPS = ((TOP, "top_rows", {"vdev", "pid", "cgroup"}, {"generated", "itl"}, "top_row"),
        (LAT, "lat_rows", {"vdev", "cgroup"}, {"wait", "yield"}, "lat_row"),
        (SNOOP, "snoop_stays", {"client", "seqno"}, {"waited_ns", "preempted"}, "snoop_stays"))


def dumped(tool, name, key, value):
    """bpftool shows an entry of the tool's pinned map, with names."""
    status, out, err = command("bpftool", "-j", "map", "dump", "pinned",
                               f"{PINS}/{os.path.basename(tool)}/{name}")
    ensure(not status, err)
    entries = json.loads(out)
    if not entries:
        return False
    entry = entries[0]["formatted"]
    held = entry["values"][0]["value"] if "values" in entry else entry["value"]
    ensure(key <= entry["key"].keys() and value <= held.keys(), f"{name}: unnamed: {out[:300]}")
    return True


def case_pins():
    """--pin: bpftool shows programs, maps and types by name while a tool runs, and none after"""
    for tool, name, key, value, kind in MAPS:
        running = Tool("--pin", tool=tool)
        load = subprocess.Popen(tenants(3000), stdout=subprocess.DEVNULL)
        infini.wait_until(f"{name} has entries", lambda row=(tool, name, key, value): dumped(*row))
        ensure(load.wait(60) == 0, "the load failed")
        shown = [p for p in json.loads(command("bpftool", "-j", "prog", "show")[1])
                 if p.get("name", "").endswith("_complete") or p.get("name") == "lat_preempt"]
        ensure(shown and all("btf_id" in p and "map_ids" in p for p in shown),
               f"{os.path.basename(tool)}: its programs are {programs()}")
        types = command("bpftool", "btf", "dump", "id", str(shown[0]["btf_id"]))[1]
        ensure(f"STRUCT '{kind}'" in types, f"no {kind} in the program's types")
        running.end_well()
        ensure(not os.path.exists(PINS), f"pins of {os.path.basename(tool)} are left")
    types = command("bpftool", "btf", "dump", "file", "/sys/kernel/btf/infini",
                    "-B", "/sys/kernel/btf/vmlinux")[1]
    ensure("STRUCT 'infini_kjob'" in types and "'tokens_generated'" in types,
           "the module's types are not named")


def case_killed():
    """kill -9 of each tool under load: nothing is left, and the next one counts right"""
    load = subprocess.Popen(tenants(4000), stdout=subprocess.DEVNULL)
    for tool in TOOLS:
        running = Tool("--pin", tool=tool)
        ensure(programs(), f"bpftool shows no program of {os.path.basename(tool)}")
        running.end(signal.SIGKILL)
        infini.wait_until(f"programs of a killed {os.path.basename(tool)} are gone",
                          lambda: not programs(), 20)
    ensure(load.wait(60) == 0, "the load failed")
    before = module_counters()
    tools = [Tool("--pin", tool=tool) for tool in TOOLS]
    work(1000)
    for tool in tools:
        tool.end_well()
    ensure(not os.path.exists(PINS), "pins of a killed tool are left")
    for tool, check in zip(tools, SAMES.values()):
        check(tool, before)


ONE_LINER = "tracepoint:infini:infini_tokens { @generated[args.vdev] = sum(args.generated); }"


def case_bpftrace():
    """bpftrace: the line of docs/tracepoints.md counts tokens as the module does"""
    with open(os.path.join(infini.TREE, "docs/tracepoints.md"), encoding="utf-8") as text:
        ensure(ONE_LINER in text.read(), "docs/tracepoints.md has another line")
    before = module_counters()
    trace = subprocess.Popen(["bpftrace", "-e", ONE_LINER], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    ensure("Attach" in trace.stdout.readline(), "bpftrace does not attach")
    infini.wait_until("bpftrace is attached", lambda: any(
        p["type"] == "tracepoint" for p in
        json.loads(command("bpftool", "-j", "prog", "show")[1])))
    work(1000)
    trace.send_signal(signal.SIGINT)
    said, _ = trace.communicate(timeout=60)
    ids = {name: vdev["id"] for name, vdev in infini.vdevs().items()}
    for name, did in module_did(before).items():
        want = f"@generated[{ids[name]}]: {did['tokens_generated']}\n"
        ensure(want in said, f"no {want!r} in {said!r}")


def case_record():
    """the record of docs/tracepoints.md is what the kernel says of each event of a job"""
    with open(os.path.join(infini.TREE, "docs/tracepoints.md"), encoding="utf-8") as text:
        told = re.findall(r"^\| (\d+) \| `(\w+)` \| ([su]\d+) \|", text.read(), re.MULTILINE)
    ensure(told[0] == ("8", "device", "u32"), f"docs/tracepoints.md begins with {told[0]}")
    for event in ("job_submit", "job_dispatch", "job_yield", "job_preempt", "tokens", "job_complete",
                  "job_timeout"):
        with open(f"/sys/kernel/tracing/events/infini/infini_{event}/format", encoding="ascii") as file:
            fields = re.findall(r"field:([su]\d+) (\w+);\s+offset:(\d+);", file.read())
        ensure([(at, name, kind) for kind, name, at in fields] == told,
               f"infini_{event} has {fields}")


def unload_with_tools():
    """The module stays while a tool is attached, and goes once it has been killed."""
    for tool in TOOLS:
        running = Tool(tool=tool)
        status, _, _ = command("rmmod", "infini")
        ensure(status, f"the module went away under {os.path.basename(tool)}")
        running.end(signal.SIGKILL)
    infini.wait_until("rmmod", lambda: not command("rmmod", "infini")[0], 30)
    ensure(not programs(), "programs are left")


BOTH = [case_exact, case_killed]
TYPED = [case_histograms, case_late, case_lost, case_snoop_filters, case_without_root, case_no_vdev,
         case_processes, case_filters, case_pins, case_screen, case_bpftrace, case_record]
LLAMA = [llama.case_direct, llama.case_not_twice, llama.case_batches, llama.case_no_library]
CLASSIC = [case_late, case_without_records]


def main():
    out, typed, classic, scope = sys.argv[1:5]
    tap = Tap()
    if scope == "all":
        for case in (case_without_module, case_words):
            tap.run(case, case.__doc__)
    for module, kind, more in ((typed, "typed", TYPED), (classic, "classic", CLASSIC)):
        with World(out, module):
            ensure(os.path.exists("/sys/kernel/btf/infini") == (kind == "typed"),
                   f"the module is not the {kind} one")
            for case in BOTH + more if scope == "all" else [case_few]:
                tap.run(case, f"{kind}: {case.__doc__}")
        if scope == "all" and kind == "typed":
            with World(out, module, CPU):
                for case in LLAMA:
                    tap.run(case, case.__doc__)
        tap.run(unload_with_tools, f"{kind}: rmmod with each tool attached, and after kill -9 of it")
    tap.end()


if __name__ == "__main__":
    main()

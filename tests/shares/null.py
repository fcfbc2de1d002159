#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Promises of the scheduler on the null backend, in virtual time: what is measured is exact.

Runs under User-mode Linux with time-travel=inf-cpu. The module, infinid, its workers and the
clients are the real ones; only sleep lets time pass. Prints TAP, writes OUT/null.json.
"""
import argparse
import errno
import json
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import (  # noqa: E402
    QUANTUM_MS, Chip, Table, Vdevs, fill, infini, jain, load, worst_error)

SECONDS = 10
SEED = 20260101

# A backlogged tenant: jobs of 50 ms that can be stopped every quarter of a millisecond.
SEGMENT_MS = 0.25
HOG = {"segments": 200, "segment_us": 1000 * SEGMENT_MS, "inflight": 2}
# Another, whose jobs are half a quantum.
TENANT = {"segments": 4, "segment_us": 250, "inflight": 2}

# What a tenant may try to get more: a word for people, and what changes in its load.
LIES = {
    "timeouts of ten minutes": {"timeout_ms": 600000},
    "claims of a million tokens": {"claims": 1 << 20},
    "4096 queues on 64 opens": {"clients": 64, "queues": 64, "inflight": 1},
    "thousands of tiny jobs": {"segments": 1, "segment_us": 50, "inflight": 64},
}
ALL_LIES = {"clients": 16, "queues": 64, "segments": 1, "segment_us": 200, "inflight": 2,
            "timeout_ms": 1, "claims": 1 << 20}


def weights(table, name, parts, within_pct, tenant=None, last=None, device=None):
    """Backlogged vdevs share by weight. @last: how the last of them lies."""
    names = [chr(ord("a") + i) for i in range(len(parts))]
    tenant = tenant or TENANT
    loads = [(vdev, tenant) for vdev in names]
    if last:
        loads[-1] = (names[-1], {**tenant, **last})
    with Vdevs(f"{1000 // len(parts)}M", device,
               **{vdev: {"weight": part} for vdev, part in zip(names, parts)}):
        run = load(loads, SECONDS)
    table.ratio(name, [part / min(parts) for part in parts], [run.got(vdev) for vdev in names],
                within_pct, min(run.backlogged(vdev) for vdev in names))


def case_weights(table):
    """shares by weight"""
    weights(table, "weights 10:90 over 10 s", (10, 90), 1)
    weights(table, "weights 10:90, jobs of 50 ms", (10, 90), 1, tenant=HOG)
    weights(table, "weights 1:1:1:1", (100,) * 4, 1)
    weights(table, "weights 1:2:4:8", (100, 200, 400, 800), 1)
    weights(table, "weights 1:1:2 on a device with two slots", (100, 100, 200), 1, device="null1")


def case_many(table):
    """64 vdevs of random weights"""
    chance = random.Random(SEED)
    parts = {f"v{i}": chance.randint(100, 1000) for i in range(64)}
    smallest = min(parts.values()) / sum(parts.values())
    seconds = round(1.25 * QUANTUM_MS / 1000 / (0.02 * smallest))
    tenant = {"segments": 2, "segment_us": 1000, "inflight": 2}
    with Vdevs("8M", **{name: {"weight": part} for name, part in parts.items()}):
        run = load([(name, tenant) for name in parts], seconds)
    got = [run.got(name) for name in parts]
    together = min(run.backlogged(name) for name in parts)
    error = worst_error(list(parts.values()), got)
    detail = f"{seconds} s, smallest share {100 * smallest:.2f} %, seed {SEED}"
    table.add("64 random weights, worst error of a share", 2, error, "<", "%",
              max(0.0, 50 * (error - 2)), error < 2 and together >= 0.999, detail)
    index = jain([g / part for g, part in zip(got, parts.values())])
    table.add("64 random weights, Jain's index", 0.999, index, ">", "",
              max(0.0, 100 * (1 - index / 0.999)), index > 0.999, detail)


def closed_loop(table, name, job_ms, think_ms, promised, **lie):
    """A lone decode stream of weight 9 that thinks, beside a backlogged weight 1."""
    segment_ms = 0.05
    hog = {"segments": 1000, "segment_us": 1000 * segment_ms, **lie}
    loop = {"segments": job_ms / segment_ms, "segment_us": 1000 * segment_ms, "inflight": 1,
            "think_us": 1000 * think_ms, "spread": 20}
    with Vdevs(a={"weight": 900}, b={"weight": 100}):
        run = load([("a", loop), ("b", hog)], SECONDS)
    waits = run.wait("a")
    table.near(name, promised, 100 * run.got("a") / SECONDS, promised / 100,
               detail=f"{waits.jobs} jobs, waits {waits.mean:.3f} ms in the mean, "
                      f"{waits.most:.3f} at most")


def case_closed_loop(table):
    """a closed loop gets what it asks for, up to its share"""
    closed_loop(table, "closed loop of weight 9, 20 % think time, beside weight 1", 8, 2, 80)
    closed_loop(table, "closed loop of weight 9 that asks for 95 %", 9.5, 0.5, 90)


def cap(table, name, hogs=0, **lie):
    """A capped vdev, alone or with others, and the worst second of it."""
    others = [f"hog{i}" for i in range(hogs)]
    tenant = {**HOG, **lie}
    with Vdevs(a={"cap": "20%"}, **{other: {} for other in others}):
        run = load([("a", tenant)] + [(other, HOG) for other in others], SECONDS, sample_ms=5)
    table.near(name, 20, 100 * run.got("a") / SECONDS, 0.5)
    samples = run.samples["a"]
    worst = max(later.occupancy_s - sample.occupancy_s
                for sample, later in zip(samples, samples[200:]))
    segment_ms = tenant["segment_us"] / 1000
    table.at_most(f"{name}: its fullest second", 200 + QUANTUM_MS + segment_ms, 1000 * worst,
                  "ms")
    if others:
        table.near(f"{name}: the others get the rest", 80,
                   100 * sum(run.got(other) for other in others) / SECONDS, 0.5)


def case_cap(table):
    """a cap is never exceeded"""
    cap(table, "cap 20 % alone")
    cap(table, "cap 20 % beside a hog", hogs=1)


def floor(table, name, hogs, **lie):
    """A vdev with next to no weight and a floor of 30 % against ten hogs."""
    others = {f"hog{i}": hogs for i in range(10)}
    with Vdevs(a={"weight": 1, "floor": "30%"}, **others):
        run = load([("a", TENANT)] + [(other, {**HOG, **lie}) for other in others], SECONDS)
    table.at_least(name, 29.7, 100 * run.got("a") / SECONDS,
                   detail=f"backlogged {100 * run.backlogged('a'):.1f} % of the time")


def floor_return(table, name, hogs, **lie):
    """What others had of an idle floor is back when its vdev wakes."""
    others = {f"hog{i}": hogs for i in range(10)}
    step = {"segments": 1, "segment_us": 1000, "inflight": 1, "think_us": 60000, "spread": 95,
            "start_ms": 100}
    with Vdevs(a={"weight": 1, "floor": "30%"}, **others):
        run = load([("a", step)] + [(other, {**HOG, **lie}) for other in others], SECONDS)
    waits = run.wait("a")
    table.at_most(name, QUANTUM_MS + SEGMENT_MS, waits.most,
                  detail=f"{waits.jobs} wake-ups, {waits.mean:.3f} ms in the mean")


def case_floor(table):
    """a floor holds, and lent time returns"""
    hogs = {"weight": 1000}
    floor(table, "floor 30 % against ten hogs", hogs)
    floor_return(table, "floor 30 %: longest wait after idling", hogs)
    hogs = {"weight": 1000, "class": "latency"}
    floor(table, "floor 30 % against ten hogs of a higher class", hogs)
    floor_return(table, "floor 30 %: longest wait after idling, hogs of a higher class", hogs)


def case_work_conserving(table):
    """no free slot while somebody has a job"""
    useful = {}
    for tenants in (1, 4, 16):
        names = [f"v{i}" for i in range(tenants)]
        with Vdevs(**{name: {"weight": 100 + 50 * i} for i, name in enumerate(names)}):
            run = load([(name, TENANT) for name in names], SECONDS)
        useful[tenants] = sum(run.got(name, "work_s") for name in names)
    for tenants in (4, 16):
        table.at_least(f"useful time of {tenants} tenants, of that of one", 98,
                       100 * useful[tenants] / useful[1],
                       detail=f"{useful[tenants]:.3f} s of {SECONDS} s in segments, "
                              f"one tenant {useful[1]:.3f} s")


def settled_after(run, vdev, share, begin, window_s=0.05):
    """How long after @begin the last window of that length has shown @share, but for a quantum, and
    all later ones do."""
    samples = [sample for sample in run.samples[vdev] if sample.time_s >= begin - 1e-4]
    step = samples[1].time_s - samples[0].time_s
    width = round(window_s / step)
    late = 0.0
    # A window can be seen when it is over.
    for sample, later in zip(samples, samples[width:]):
        got = later.occupancy_s - sample.occupancy_s
        if abs(got - share * window_s) > QUANTUM_MS / 1000:
            late = sample.time_s - begin + step
    return late + window_s


def hot_update(table, name, **lie):
    with Vdevs(a={"weight": 100}, b={"weight": 100}):
        run = load([("a", {**TENANT, **lie}), ("b", TENANT)], 6, 1,
                   [(3, "vdev set b --weight 900")])
    before = worst_error([1, 1], [run.got("a", end=3), run.got("b", end=3)])
    after = [run.got("a", begin=3.1), run.got("b", begin=3.1)]
    soon = run.got("b", begin=3, end=3.1) / 0.1
    late = 1000 * settled_after(run, "b", 0.9, 3)
    table.at_most(f"{name}: visible after", 100, late, "ms",
                  detail=f"{100 * soon:.1f} % in the first 100 ms; off by {before:.2f} % before")
    table.ratio(f"{name}: from 100 ms on", [1, 9], after, 1)


def case_hot_update(table):
    """a new weight holds at once"""
    hot_update(table, "hot update of 1:1 to 1:9")
    hot_class(table)


def hot_class(table):
    """A hog comes down from the latency class to that of the others."""
    hogs = {name: {"class": "batch"} for name in ("b", "c")}
    with Vdevs(a={"class": "latency"}, **hogs):
        run = load([("a", TENANT)] + [(hog, HOG) for hog in hogs], 6, 10,
                   [(3, "vdev set a --class batch")])
    # The others get a quantum and a segment when they have waited for 40 ms.
    starved = 100 * QUANTUM_MS / (QUANTUM_MS + 40)
    table.at_least("a class that starves gets a quantum every 40 ms", starved * 0.99,
                   100 * (run.got("b", end=3) + run.got("c", end=3)) / 3)
    table.ratio("hot update of the class: from 100 ms on", [1, 1, 1],
                [run.got(name, begin=3.1) for name in ("a", "b", "c")], 1)


def rate(table, name, job_tokens=1, hog=False, **lie):
    """Tokens after the burst; one job may be over."""
    tenant = {"segments": 1, "segment_us": 1000, "inflight": 2, "tokens": job_tokens, **lie}
    loads = [("a", tenant)] + ([("hog", HOG)] if hog else [])
    with Vdevs(a={"rate": 100}, **({"hog": {}} if hog else {})):
        run = load(loads, SECONDS + 2, 1000)
    per_second = run.got("a", "tokens", begin=2) / SECONDS
    table.near(name, 100, per_second, 1 + job_tokens / SECONDS, "tokens/s",
               detail=f"{run.got('a', 'tokens', end=2)} tokens in the first 2 s")
    if hog:
        table.near(f"{name}: the hog gets the rest", 100 * (1 - 0.1 / job_tokens),
                   100 * run.got("hog", begin=2) / SECONDS, 0.5)


def case_rate(table):
    """a token rate holds"""
    rate(table, "100 tokens/s after the burst")
    rate(table, "100 tokens/s in jobs of 16", job_tokens=16)
    rate(table, "100 tokens/s beside a hog", hog=True)


def latency(table, name, segment_ms, **lie):
    """Decode steps of 1 ms against four batch vdevs with jobs of 50 ms."""
    hogs = {f"hog{i}": {"class": "batch"} for i in range(4)}
    step = {"segments": 4, "segment_us": 250, "inflight": 1, "think_us": 7000, "spread": 60,
            "start_ms": 100}
    hog = {"segments": round(50 / segment_ms), "segment_us": 1000 * segment_ms, **lie}
    with Vdevs(a={"class": "latency"}, **hogs):
        run = load([("a", step)] + [(other, hog) for other in hogs], SECONDS)
    waits = run.wait("a")
    segment_ms = hog["segment_us"] / 1000
    table.at_most(name, QUANTUM_MS + segment_ms, waits.p99,
                  detail=f"{waits.jobs} steps, median {waits.p50:.3f} ms, longest "
                         f"{waits.most:.3f} ms")


def case_latency(table):
    """a latency vdev does not wait behind a batch one"""
    latency(table, "latency class: p99 wait of 1 ms steps", SEGMENT_MS)
    latency(table, "latency class: the same without preemption (segments of 50 ms)", 50)


def preemption(table):
    """Jobs of 50 ms against each other."""
    with Vdevs(a={}, b={}):
        run = load([("a", HOG), ("b", HOG)], SECONDS)
    slices = min(run.got(vdev, "slices") for vdev in ("a", "b"))
    table.at_least("jobs of 50 ms against each other: slices of each in 10 s", 1000, slices, "",
                   f"{run.got('a', 'preemptions')} and {run.got('b', 'preemptions')} preemptions")


def case_preemption(table):
    """a long job is stopped between its segments"""
    preemption(table)


def timeout(table, name, timeout_ms=20, error=errno.ETIMEDOUT, **lie):
    """Jobs of 50 ms that ask for less, beside one of the same weight without a timeout."""
    late = {**HOG, "timeout_ms": timeout_ms, "ends": error, **lie}
    with Vdevs(a={}, b={}):
        run = load([("a", late), ("b", HOG)], SECONDS)
        ended = infini.vdevs()["a"]["stats"]["jobs_timed_out"]
    waits = run.wait("a")
    table.at_most(f"{name}: most time that a job had the slot", timeout_ms + SEGMENT_MS, waits.longest,
                  detail=f"{waits.jobs} jobs, {ended} timeouts")
    table.at_least(f"{name}: jobs that end with ETIMEDOUT", 100, min(100 * ended / max(waits.jobs, 1), 100))
    table.ratio(f"{name}: the other has its half", [1, 1], [run.got("a"), run.got("b")], 1,
                min(run.backlogged(vdev) for vdev in ("a", "b")))


def case_timeout(table):
    """a job ends when its time is up"""
    timeout(table, "timeout of 20 ms in jobs of 50 ms")


def memory(table, vdevs=("a", "b")):
    """Vdevs take all that they may have; then one may have more."""
    limit, step = Chip.memory, 1
    with Vdevs(f"{limit}M", **{vdev: {} for vdev in vdevs}):
        for vdev in vdevs:
            full(table, f"memory limit {limit} MiB of vdev {vdev}", vdev, limit, step)
        infini.ctl("vdev", "set", vdevs[0], "--memory", f"{2 * limit}M")
        full(table, f"memory limit raised to {2 * limit} MiB", vdevs[0], 2 * limit, step)


def full(table, name, vdev, limit, step):
    """Every byte of the limit can be had and not one more; the worker's own memory is among them."""
    got, error = fill(vdev, step)
    peak = infini.vdevs()[vdev]["stats"]["memory_peak_bytes"] / (1 << 20)
    detail = f"{got:.0f} MiB to the client, then {error}"
    table.at_most(f"{name}: in use at most", limit, peak, "MiB", detail)
    table.at_least(f"{name}: refused only what is too much", limit - step, peak, "MiB")
    if error != "ENOSPC":
        raise infini.Trouble(f"memory was refused with {error} instead of ENOSPC")


def case_memory(table):
    """a memory limit holds, and all of it can be had"""
    memory(table)


def case_queues(table):
    """ten thousand queues are one vdev"""
    shares = []
    for lie in ({}, {"clients": 157, "queues": 64, "inflight": 1}):
        with Vdevs("500M", a={}, b={}):
            run = load([("a", HOG), ("b", {"segments": 1, "segment_us": 500, **lie})], SECONDS)
        shares.append(100 * run.got("a") / SECONDS)
    table.near("a hog's share beside 10048 queues", 50, shares[1], 0.5,
               detail=f"beside one queue {shares[0]:.3f} %")


def case_lies(table):
    """whoever lies gains nothing"""
    for words, lie in LIES.items():
        weights(table, f"weights 90:10, the 10 lies: {words}", (90, 10), 1, last=lie)
    weights(table, "weights 1:1:1:1, one lies in every way", (100,) * 4, 1, last=ALL_LIES)
    weights(table, "weights 1:2:4:8, the last lies in every way", (100, 200, 400, 800), 1,
            last=ALL_LIES)
    closed_loop(table, "closed loop of weight 9, 20 % think time, the other lies", 8, 2, 80,
                **{**ALL_LIES, "segment_us": 100})
    cap(table, "cap 20 % alone, lying", **ALL_LIES)
    floor(table, "floor 30 % against ten hogs that lie", {"weight": 1000}, **ALL_LIES)
    floor_return(table, "floor 30 %: longest wait after idling, the hogs lie", {"weight": 1000},
                 **ALL_LIES)
    hot_update(table, "hot update of 1:1 to 1:9, the other lies", **ALL_LIES)
    rate(table, "100 tokens/s, the client says none", claims=0)
    rate(table, "100 tokens/s on 1024 queues", clients=16, queues=64)
    latency(table, "latency class: p99 wait, the hogs lie", SEGMENT_MS, **ALL_LIES)


def case_story(table):
    """what happens over time, for the plot"""
    phases = (("1:1", 0, {"a": 50, "b": 50}), ("b gets weight 900", 3, {"a": 10, "b": 90}),
              ("c wakes with a floor of 30 %", 6, {"a": 7, "b": 63, "c": 30}),
              ("b is capped at 20 %", 9, {"a": 50, "b": 20, "c": 30}))
    with Vdevs(a={"weight": 100}, b={"weight": 100}, c={"weight": 10, "floor": "30%"}):
        run = load([("a", TENANT), ("b", TENANT), ("c", {**TENANT, "start_ms": 6000})], 12, 10,
                   [(3, "vdev set b --weight 900"), (9, "vdev set b --cap 20%")])
    for name, begin, shares in phases:
        got = [100 * run.got(vdev, begin=begin + 0.1, end=begin + 3) / 2.9 for vdev in shares]
        table.ratio(f"over time: {name}", list(shares.values()), got, 1)
    story = {"phases": [{"name": name, "begin_s": begin, "shares": shares}
                        for name, begin, shares in phases],
             "samples": {vdev: [(round(s.time_s, 4), s.occupancy_s) for s in samples]
                         for vdev, samples in run.samples.items()}}
    with open(os.path.join(os.path.dirname(table.path), "story.json"), "w",
              encoding="utf-8") as file:
        json.dump(story, file)


CASES = {name.removeprefix("case_"): value for name, value in list(globals().items())
         if name.startswith("case_")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("cases", nargs="*", help=f"only these: {' '.join(CASES)}")
    args = parser.parse_args()
    infini.load_module()
    daemon = infini.Daemon(args.out, ["null0", "null1"], "[backend null]\nenabled = yes\n",
                           "idle_exit_s = 0\n")
    daemon.start()
    table = Table(args.out, "null")
    table.run(CASES, args.cases)
    daemon.stop()
    infini.unload_module()
    sys.exit(table.end())


if __name__ == "__main__":
    main()

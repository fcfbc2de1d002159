#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How long the segments of graphs really are: bench_segments.py --help

Runs llama-completion over the backend in one process, without a kernel, with one and two threads,
and tells the graphs of single tokens from that of the prompt. The length of a segment of the first
is its median over all tokens, so that what else the machine does counts little; the table shows the
distribution of these over the graph, and the largest single measurement.
"""
import argparse
import os
import statistics
import subprocess
import tempfile

TARGET_US = 500          # a quarter of the default quantum
PROMPT = "Once upon a time there was a little fox. " * 12


def measure(args, model, threads, out):
    """Rows of tokens evaluated and lengths of segments in nanoseconds."""
    environment = dict(os.environ, GGML_BACKEND_PATH=args.plugin, INFINI_LOOP_BACKEND=args.backend,
                       INFINI_LOOP_SEGMENTS=out, INFINI_LOOP_SEGMENT_US=str(args.segment_us),
                       INFINI_FAKE_REPACK="1", VK_LOADER_DRIVERS_DISABLE="*")
    subprocess.run(["llama-completion", "-m", model, "-no-cnv", "-p", PROMPT, "-n",
                    str(args.tokens), "-c", "512", "-b", "128", "-t", str(threads), "--temp", "0",
                    "--ignore-eos", "--no-warmup", "-fit", "off", "-ngl", "99"],
                   env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=True, timeout=1800)
    with open(out, encoding="utf-8") as file:
        return [[int(word) for word in line.split()] for line in file]


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def show(model, threads, graph, runs):
    """One line of the table: the most frequent shape among @runs."""
    shape = statistics.mode(len(run) for run in runs)
    runs = [run for run in runs if len(run) == shape]
    typical = [statistics.median(column) / 1000 for column in zip(*runs)]
    print(f"{os.path.basename(model)[:24]:24} {threads:7}  {graph:10} {len(runs):4}  {shape:8}  "
          f"{sum(typical):9.0f}  {statistics.median(typical):7.0f}  "
          f"{quantile(typical, 0.99):7.0f}  {max(typical):7.0f}  "
          f"{sum(t > TARGET_US for t in typical):12}  {max(map(max, runs)) / 1000:7.0f}",
          flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--plugin", required=True, help="libggml-infini-loop.so")
    parser.add_argument("--backend", required=True, help="infinid-ggml.so")
    parser.add_argument("--segment-us", type=int, default=400)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("model", nargs="+")
    args = parser.parse_args()
    print(f"{'MODEL':24} THREADS  {'GRAPH':10} RUNS  SEGMENTS  {'WHOLE':>9}  {'MEDIAN':>7}  "
          f"{'P99':>7}  {'LONGEST':>7}  ABOVE {TARGET_US} US  {'EVER':>7}   microseconds")
    for model in args.model:
        for threads in (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                rows = measure(args, model, threads, os.path.join(folder, "lengths"))
            # The first runs build their graphs.
            show(model, threads, "decode", [row[1:] for row in rows if row[0] == 1][2:])
            most = max(row[0] for row in rows)
            show(model, threads, f"{most} tokens", [row[1:] for row in rows if row[0] == most])


if __name__ == "__main__":
    main()

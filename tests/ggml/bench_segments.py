#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How long the segments of decode graphs really are: bench_segments.py --help

Runs llama-completion over the backend in one process, without a kernel, with one and two threads.
A segment's length is its median over all tokens, so that what else the machine does counts little;
the table shows the distribution of these over the graph, and the largest single measurement.
"""
import argparse
import os
import statistics
import subprocess
import tempfile

TARGET_US = 500          # a quarter of the default quantum


def measure(args, model, threads, out):
    """Lines of segment lengths in nanoseconds, one line per decoded token."""
    environment = dict(os.environ, GGML_BACKEND_PATH=args.plugin, INFINI_LOOP_BACKEND=args.backend,
                       INFINI_LOOP_SEGMENTS=out, VK_LOADER_DRIVERS_DISABLE="*",
                       INFINI_FAKE_REPACK="1")
    subprocess.run(["llama-completion", "-m", model, "-no-cnv", "-p", "Once upon a time", "-n",
                    str(args.tokens), "-c", "256", "-b", "64", "-t", str(threads), "--temp", "0",
                    "--ignore-eos", "--no-warmup", "-fit", "off", "-ngl", "99"],
                   env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=True, timeout=1800)
    with open(out, encoding="utf-8") as file:
        return [[int(word) for word in line.split()] for line in file]


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--plugin", required=True, help="libggml-infini-loop.so")
    parser.add_argument("--backend", required=True, help="infinid-ggml.so")
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("model", nargs="+")
    args = parser.parse_args()
    print(f"{'MODEL':24} THREADS  TOKENS  SEGMENTS  {'GRAPH':>9}  {'MEDIAN':>7}  {'P99':>7}  "
          f"{'LONGEST':>7}  ABOVE {TARGET_US} US  {'EVER':>7}   microseconds")
    for model in args.model:
        for threads in (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                runs = measure(args, model, threads, os.path.join(folder, "lengths"))
            # The first runs build their graphs; the cache's view may change the graph later.
            shape = statistics.mode(len(run) for run in runs)
            runs = [run for run in runs[2:] if len(run) == shape]
            typical = [statistics.median(column) / 1000 for column in zip(*runs)]
            print(f"{os.path.basename(model)[:24]:24} {threads:7}  {len(runs):6}  {shape:8}  "
                  f"{sum(typical):9.0f}  {statistics.median(typical):7.0f}  "
                  f"{quantile(typical, 0.99):7.0f}  {max(typical):7.0f}  "
                  f"{sum(t > TARGET_US for t in typical):12}  "
                  f"{max(map(max, runs)) / 1000:7.0f}", flush=True)


if __name__ == "__main__":
    main()

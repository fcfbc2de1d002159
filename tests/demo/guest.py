#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo inside the machine: two vdevs of one device, two llama.cpp completions on each.

Writes OUT/guest.json; tests/demo/run adds what only the host can know and judges.
"""
import argparse
import json
import os
import selectors
import shutil
import subprocess
import sys
import textwrap
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import infini  # noqa: E402  pylint: disable=wrong-import-position

DEVICE = "cpu0"
VDEVS = {"a": 3, "b": 1}
PROMPTS = {"a": ("Once upon a time", "The little fox"), "b": ("Long ago, a", "Lily was a")}
TERMINAL = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def say(text):
    """One line of progress."""
    print(f"demo: {text}", flush=True)


def fail(text):
    print(f"demo: {text}", file=sys.stderr, flush=True)
    sys.exit(1)


class Completion:
    """One llama.cpp process whose text grows."""

    def __init__(self, args, vdev, index):
        self.vdev, self.index, self.text = vdev, index, b""
        self.prompt = PROMPTS[vdev][index]
        self.log = os.path.join(args.out, f"{vdev}{index + 1}.log")
        command = ["llama-completion", "-m", args.model, "-no-cnv", "-p", self.prompt,
                   "-n", str(args.tokens[vdev]), "--temp", "0", "-t", "1", "-fit", "off",
                   "-c", str(context(args)), "-b", "64", "--no-warmup",
                   "--ignore-eos", "--simple-io", "-lv", "4", "--log-file", self.log]
        self.command = command
        self.process = None
        self.first = self.ended = 0.0

    def start(self, environment, device):
        self.text, self.first, self.ended = b"", 0.0, 0.0
        self.process = subprocess.Popen(
            self.command + (["-ngl", "99"] if device != "none" else []) + ["-dev", device],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        return self.process.stdout

    def read(self):
        """More text; False at its end."""
        more = os.read(self.process.stdout.fileno(), 65536)
        now = time.monotonic()
        # What comes at once is the prompt; what follows is generated.
        if more and not self.first and len((self.text + more).strip()) > len(self.prompt):
            self.first = now
        self.text += more
        if more:
            return True
        self.ended = now
        return False

    def whole(self):
        """llama-completion 0.7.0 may exit before its log thread has printed the last words, on any
        device, one time in five on a busy machine: then its statistics are missing as well."""
        with open(self.log, errors="replace", encoding="utf-8") as file:
            return "common_perf_print" in file.read()

    def words(self):
        return " ".join(self.text.decode(errors="replace").split())

    def layers(self):
        with open(self.log, errors="replace", encoding="utf-8") as file:
            return infini.offloaded(file.read())


def snapshot():
    """Counters of both vdevs, read in one go, and when."""
    vdevs = infini.vdevs()
    return time.monotonic(), {name: vdevs[name]["stats"] for name in VDEVS}


class Screen:
    """The texts side by side on a terminal; a line now and then elsewhere."""

    def __init__(self, completions):
        self.completions = completions
        self.shown = 0.0
        if TERMINAL:
            print("\033[2J", end="")

    def head(self, vdev, width, before, now):
        tokens = now[1][vdev]["tokens_generated"]
        seconds = now[0] - before[0]
        run = {v: now[1][v]["occupancy_ns"] - before[1][v]["occupancy_ns"] for v in VDEVS}
        rate = (tokens - before[1][vdev]["tokens_generated"]) / seconds if seconds else 0
        share = 100 * run[vdev] / (sum(run.values()) or 1)
        return (f" vdev {vdev}  weight {VDEVS[vdev]}  {tokens} tokens  {rate:.1f} t/s  "
                f"share {share:.0f} %")[:width].ljust(width)

    def show(self, before, now):
        if not TERMINAL:
            if now[0] - self.shown > 5:
                self.shown = now[0]
                for vdev in VDEVS:
                    say(self.head(vdev, 100, before, now).strip())
            return
        size = shutil.get_terminal_size()
        width, rows = size.columns // 2 - 1, (size.lines - 4) // 2
        heads = [f"\033[7m{self.head(v, width, before, now)}\033[0m" for v in VDEVS]
        lines = ["  ".join(heads)]
        for index in range(2):
            panes = []
            for vdev in VDEVS:
                text = next(c for c in self.completions if (c.vdev, c.index) == (vdev, index))
                pane = textwrap.wrap(text.words(), width)[-(rows - 1):]
                panes.append([*pane, *[""] * (rows - len(pane))])
            lines += [f"{left:{width}}  {right:{width}}" for left, right in zip(*panes)]
        print("\033[H" + "\r\n".join(lines[:size.lines - 1]), end="", flush=True)


def follow(completions, between):
    """Read everybody's text until all have ended; @between runs every half second."""
    selector = selectors.DefaultSelector()
    for completion in completions:
        selector.register(completion.process.stdout, selectors.EVENT_READ, completion)
    next_look = 0.0
    while selector.get_map():
        for key, _ in selector.select(0.5):
            if not key.data.read():
                selector.unregister(key.fileobj)
        if time.monotonic() >= next_look:
            between()
            next_look = time.monotonic() + 0.5
    for completion in completions:
        if completion.process.wait():
            with open(completion.log, errors="replace", encoding="utf-8") as file:
                tail = file.read().strip().splitlines()[-3:]
            fail(f"{completion.vdev}{completion.index + 1}: llama.cpp exited with "
                 f"{completion.process.returncode}: {' | '.join(tail)}")


def again(completions, environment, device):
    """Run those once more whose last words llama.cpp lost; what they had said must stand."""
    for _ in range(5):
        lost = [c for c in completions if not c.whole()]
        if not lost:
            return
        say(f"llama.cpp lost the end of {len(lost)} texts; those again")
        said = [c.text for c in lost]
        for completion in lost:
            completion.start(environment(completion), device)
        follow(lost, lambda: None)
        for completion, text in zip(lost, said):
            if not completion.text.startswith(text):
                fail(f"vdev {completion.vdev}: the same command gave another text")
    fail("llama.cpp lost the end of its text five times")


class Window:
    """The stretch of time in which every completion is generating: both vdevs backlogged."""

    def __init__(self, completions):
        self.completions, self.begin, self.end = completions, None, None
        self.before = snapshot()
        self.screen = Screen(completions)

    def look(self):
        now = snapshot()
        if not self.begin and all(c.first for c in self.completions):
            self.begin = now
        # A look after the first of them ended is too late to count.
        if self.begin and not any(c.ended for c in self.completions):
            self.end = now
        self.screen.show(self.begin or self.before, now)


def tenants(window):
    """What each vdev got while both were backlogged."""
    (begin, before), (end, after) = window.begin, window.end
    rows = []
    for vdev, weight in VDEVS.items():
        first, last = before[vdev], after[vdev]
        tokens = last["tokens_generated"] - first["tokens_generated"]
        rows.append({"name": vdev, "weight": weight, "tokens": tokens,
                     "tokens_per_s": round(tokens / (end - begin), 2),
                     "occupancy_ns": last["occupancy_ns"] - first["occupancy_ns"],
                     "preemptions": last["preemptions"] - first["preemptions"],
                     "queue_wait_p99_ns": last["queue_wait_p99_ns"]})
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--tokens", required=True, help="of each completion on a and b: 240,120")
    args = parser.parse_args()
    args.tokens = dict(zip(VDEVS, map(int, args.tokens.split(","))))

    say("loading the module, starting infinid")
    infini.load_module()
    daemon = infini.Daemon(args.out, [DEVICE], f"[backend ggml]\ndevices = {DEVICE}\n")
    daemon.start()
    for vdev, weight in VDEVS.items():
        say(infini.ctl("vdev", "create", vdev, "--device", DEVICE, "--memory", args_memory(args),
                "--weight", str(weight)).strip())

    completions = [Completion(args, vdev, i) for vdev in VDEVS for i in range(2)]
    say("two completions on each vdev, at the same time")
    for completion in completions:
        completion.start(infini.tenant(completion.vdev), "INFINI0")
    window = Window(completions)
    follow(completions, window.look)
    if TERMINAL:
        print("\r")
    if not window.end or window.end[0] <= window.begin[0]:
        fail("the completions never ran at the same time; give them more tokens")
    layers = [c.layers() for c in completions]
    again(completions, lambda c: infini.tenant(c.vdev), "INFINI0")
    texts = [c.text for c in completions]

    say("the same commands on the plain CPU device, for comparison")
    for completion in completions:
        completion.start(dict(os.environ), "none")
    follow(completions, lambda: None)
    again(completions, lambda _: dict(os.environ), "none")
    identical = [c.text == text and len(text) > len(c.prompt)
                 for c, text in zip(completions, texts)]
    report = {"identical": all(identical), "identical_texts": identical,
              "seconds_backlogged": round(window.end[0] - window.begin[0], 2),
              "tenants": tenants(window),
              "layers_offloaded": min(layers)[0], "layers": max(layers)[1],
              "texts": [{"vdev": c.vdev, "text": text.decode(errors="replace").strip()}
                        for c, text in zip(completions, texts)]}

    for vdev in VDEVS:
        infini.ctl("vdev", "delete", vdev)
    daemon.stop()
    infini.unload_module()
    with open(os.path.join(args.out, "guest.json"), "w", encoding="utf-8") as file:
        json.dump(report, file)


def context(args):
    """Prompt and text, and no more: a model's own default may take twice its weights in cache."""
    return 64 + max(args.tokens.values())


def args_memory(args):
    """Room for two copies of the model, their caches and the workers' scratch."""
    return f"{max(256, (3 * os.path.getsize(args.model) >> 20) + 256)}M"


if __name__ == "__main__":
    try:
        main()
    except infini.Trouble as trouble:
        fail(trouble)

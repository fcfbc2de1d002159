#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What infinitop and the module count of unmodified llama.cpp tools, against the tools' own numbers.

usage: tokens.py OUT [NAME...] [--seconds N]   in a machine, as root

Counts are asserted. Times to the first token and between tokens are shown beside the client's; NAME
"times" measures and asserts them, on a machine with nothing else to do. With --seconds the two
servers are kept busy for so long. TAP.
"""
import argparse
import concurrent.futures
import itertools
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import guest  # noqa: E402  pylint: disable=wrong-import-position
import infini  # noqa: E402  pylint: disable=wrong-import-position
import metrics  # noqa: E402  pylint: disable=wrong-import-position
from powercap import Powercap  # noqa: E402  pylint: disable=wrong-import-position
from tap import Tap  # noqa: E402  pylint: disable=wrong-import-position

TOP = os.path.join(infini.TREE, "build/bpf/infinitop")
SOCKET = "/tmp/metrics.sock"
KINDS = ("evaluated", "generated", "prompt", "scored", "embedded")
PROMPTS = ("Once upon a time there was a cat", "The little fox", "The little fox",
           "One day, a girl named Lily went out to", "One day, a girl named Lily ran home",
           "Tom had a red ball and", "A")
AGAIN = "The cat sat by the door. The cat sat by the door. The cat sat by the"
MEAN = ("-t", "1", "-fit", "off", "--no-warmup", *guest.ON_VDEV)


class Top:
    """infinitop, attached once this is made."""

    def __init__(self):
        self.process = subprocess.Popen([TOP, "--json", "--interval", "500ms"],
                                        stdout=subprocess.PIPE, text=True)
        self.line = self.process.stdout.readline()

    def end(self):
        """What each vdev did since."""
        self.process.send_signal(signal.SIGTERM)
        lines = [self.line, *self.process.stdout.read().splitlines()]
        guest.check(not self.process.wait(30), "infinitop did not end well")
        last = json.loads(lines[-1])
        guest.check(not last["lost"], f"infinitop lost {last['lost']} events")
        return {row["vdev"]: row["total"] for row in last["rows"]}


class Counted:
    """A block in which vdevs are counted, by infinitop and by the module."""

    def __enter__(self):
        self.before = infini.vdevs()
        self.top = Top()
        return self

    def __exit__(self, kind, *_):
        rows = self.top.end()
        if kind:
            return
        after = infini.vdevs()
        self.rows = {name: rows.get(name) for name in after}
        for name, row in self.rows.items():
            for key in (*(f"tokens_{kind}" for kind in KINDS), "prompts"):
                counted = after[name]["stats"][key] - self.before[name]["stats"][key]
                guest.check((row[key] if row else 0) == counted,
                            f"vdev {name}: {key}: infinitop {row}, the module {counted}")

    def want(self, vdev, **wanted):
        """Of @vdev exactly these tokens were counted."""
        row = self.rows[vdev]
        for key, value in wanted.items():
            name = key if key == "prompts" else f"tokens_{key}"
            guest.check(row[name] == value, f"vdev {vdev}: {name} is {row[name]}, not {value}: {row}")


class Answer:
    """A completion as a streaming client sees it."""

    def __init__(self, url, prompt, tokens):
        body = json.dumps({"prompt": prompt, "n_predict": tokens, "temperature": 0,
                           "ignore_eos": True, "stream": True}).encode()
        request = urllib.request.Request(url + "/completion", body,
                                         {"Content-Type": "application/json"})
        began, arrived, last = time.monotonic(), [], {}
        with urllib.request.urlopen(request, timeout=240) as stream:
            for line in stream:
                if not line.startswith(b"data: {"):
                    continue
                arrived.append(time.monotonic())
                last = json.loads(line[6:])
        self.timings = last["timings"]
        self.ttft = arrived[0] - began
        # What comes last has no token in it.
        self.itl = [b - a for a, b in itertools.pairwise(arrived[:-1])]


class Server(guest.Server):
    """A llama-server on a vdev, with a port and slots of its own."""

    def __init__(self, world, vdev, *more, port=guest.PORT, slots=1):  # pylint: disable=super-init-not-called
        self.url = f"http://127.0.0.1:{port}"
        self.slots = slots
        with open(os.path.join(world.out, f"server-{vdev}.log"), "wb") as log:
            self.process = subprocess.Popen(
                ["llama-server", "-m", guest.MODEL, "--host", "127.0.0.1", "--port", str(port),
                 "-np", str(slots), "--no-webui", *MEAN, *more], env=infini.tenant(vdev),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait(self):
        infini.wait_until("llama-server is healthy", self.healthy, 180)
        return self

    def ask(self, prompts, tokens):
        """All of them, as many at once as there are slots."""
        with concurrent.futures.ThreadPoolExecutor(self.slots) as pool:
            return list(pool.map(lambda at: Answer(self.url, at[1], tokens + at[0] % 3),
                                 enumerate(prompts)))


def total(answers, key):
    return sum(answer.timings.get(key, 0) for answer in answers)


def show_times(name, answers, row):
    """Both sides in ms; what they differ by at most, in percent. Bins of infinitop's histograms are
    an eighth of an octave wide, so means are compared."""
    worst = 0
    for word, key, seen in (("TTFT", "ttft", [a.ttft for a in answers]),
                            ("ITL", "itl", [itl for a in answers for itl in a.itl])):
        client, top = statistics.mean(seen), row[f"{key}_mean_ns"] / 1e9
        worst = max(worst, abs(100 * (top / client - 1)))
        print(f"# {name}: {word} of {len(seen)}: client mean {1e3 * client:.2f} ms, p50 "
              f"{1e3 * statistics.median(seen):.2f} ms; infinitop mean {1e3 * top:.2f} ms, p50 "
              f"{row[f'{key}_p50_ns'] / 1e6:.2f} ms; means differ by {100 * (top / client - 1):+.2f} %")
    return worst


def check_answers(counted, vdev, answers):
    counted.want(vdev, generated=total(answers, "predicted_n"), prompt=total(answers, "prompt_n"),
                 prompts=len(answers), scored=0, embedded=0)
    row = counted.rows[vdev]
    print(f"# {vdev}: {len(answers)} requests, {row['tokens_prompt']} tokens of prompts, "
          f"{row['tokens_generated']} generated; llama-server: {total(answers, 'prompt_n')} and "
          f"{total(answers, 'predicted_n')}")
    return show_times(vdev, answers, row)


def keep_asking(server, prompts, seconds, tokens):
    """At least once all prompts."""
    end, answers = time.monotonic() + seconds, []
    while not answers or time.monotonic() < end:
        answers += server.ask(prompts, tokens)
    return answers


def two_servers(world, slots, prompts, tokens):
    """Both busy at the same time: how much their times differ at most from infinitop's."""
    servers = [Server(world, "a", slots=slots), Server(world, "b", port=guest.PORT + 1)]
    try:
        for server in servers:
            server.wait()
        with Counted() as counted, concurrent.futures.ThreadPoolExecutor(2) as pool:
            parts = [pool.submit(keep_asking, server, prompts, world.seconds, most)
                     for server, most in zip(servers, tokens)]
            answers = [part.result() for part in parts]
    finally:
        for server in servers:
            server.stop()
    return max(check_answers(counted, vdev, some) for vdev, some in zip(("a", "b"), answers))


def case_servers(world):
    """two llama-servers, one with three slots: predicted_n and prompt_n are infinitop's counts"""
    two_servers(world, 3, PROMPTS, (10, 6))


def bench_times(world):
    """two llama-servers, prompts of 200 tokens: TTFT and ITL within 5 % of the client's"""
    prompts = [f"{name} {guest.TEXT[:900]}" for name in ("Tom", "Lily", "Ben", "Sue")]
    worst = two_servers(world, 1, prompts, (24, 24))
    guest.check(worst <= 5, f"they differ by {worst:.1f} %")


def case_lookup(world):
    """drafts out of the text: what is verified is scored, the rest is generated"""
    server = Server(world, "a", "--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", "3",
                    "--spec-ngram-simple-size-m", "4", slots=2)
    try:
        server.wait()
        with Counted() as counted:
            answers = server.ask([AGAIN, *PROMPTS[:2]], 12)
    finally:
        server.stop()
    row = counted.rows["a"]
    drafted, kept = total(answers, "draft_n"), total(answers, "draft_n_accepted")
    # Each batch that is verified has one row more than drafted tokens, and yields one token more
    # than are kept. Where slots have parts of the cache to themselves, that row may be computed apart
    # with those of other slots: then it is a step like theirs.
    verified = row["tokens_scored"] - drafted
    print(f"# {drafted} tokens drafted, {kept} kept, {verified} times")
    guest.check(drafted and 0 <= verified <= drafted, f"{drafted} drafted: {row}")
    counted.want("a", generated=total(answers, "predicted_n") - kept - verified,
                 prompt=total(answers, "prompt_n"), prompts=len(answers), embedded=0)


def case_draft_model(world):
    """a draft model on the same vdev: what it generates is scored"""
    server = Server(world, "a", "--spec-type", "draft-simple", "-md", guest.MODEL, slots=2)
    try:
        server.wait()
        with Counted() as counted:
            answers = server.ask(PROMPTS[:2], 8)
    finally:
        server.stop()
    row = counted.rows["a"]
    drafted, kept = total(answers, "draft_n"), total(answers, "draft_n_accepted")
    verified = total(answers, "predicted_n") - kept - row["tokens_generated"]
    print(f"# {drafted} tokens drafted, {kept} kept, {verified} times; {row['tokens_generated']} "
          f"generated without, {row['tokens_scored']} scored")
    guest.check(drafted and 0 < verified <= drafted, f"{drafted} drafted: {row}")
    # Verified rows, and all that the other model evaluates: prompts, these rows, its drafts.
    guest.check(row["tokens_scored"] >= 3 * drafted, f"{row}")
    counted.want("a", prompt=total(answers, "prompt_n"), prompts=len(answers), embedded=0)


def case_perplexity(world):
    """llama-perplexity: all its tokens are scored"""
    path = os.path.join(world.out, "text")
    with open(path, "w", encoding="utf-8") as file:
        file.write(guest.TEXT[:len(guest.TEXT) // 4])
    with Counted() as counted:
        status, out, err = guest.run(["llama-perplexity", "-m", guest.MODEL, "-f", path, "-c", "32",
                                      *MEAN], infini.tenant("a"))
    guest.check(not status, f"exit status {status}: {err[-300:]}")
    chunks = re.search(r"over (\d+) chunks, n_ctx=(\d+)", out.decode() + err)
    guest.check(chunks, f"no chunks in {err[-500:]}")
    tokens = int(chunks[1]) * int(chunks[2])
    counted.want("a", evaluated=tokens, scored=tokens, generated=0, prompt=0, prompts=0, embedded=0)


def case_embedding(_):
    """llama-embedding: all its tokens are embedded"""
    tokens, texts = 0, ("a little fox", "Once upon a time there was a cat")
    for text in texts:
        status, out, err = guest.run(["llama-tokenize", "-m", guest.MODEL, "-p", text, "--ids",
                                      "--log-disable"])
        guest.check(not status, f"exit status {status}: {err[-300:]}")
        tokens += len(json.loads(out))
    with Counted() as counted:
        status, _, err = guest.run(["llama-embedding", "-m", guest.MODEL, "-p", "\n".join(texts),
                                    "--pooling", "none", *MEAN], infini.tenant("a"))
    guest.check(not status, f"exit status {status}: {err[-300:]}")
    counted.want("a", evaluated=tokens, embedded=tokens, generated=0, prompt=0, prompts=0, scored=0)


def joules(socket):
    """What infinitop says of both vdevs: joules per token and tokens per second. Where a kernel is emulated on a busy
    machine a token may take seconds, so an interval without one from each of them is followed by a longer one."""
    for seconds in (2, 4, 8, 16, 32):
        status, out, err = guest.run([TOP, "--json", "--metrics", socket, "--interval", f"{seconds}s",
                                      "--duration", f"{2 * seconds + 1}s"])
        guest.check(not status, f"exit status {status}: {err[-300:]}")
        rows = [row for row in json.loads(out.splitlines()[-1])["rows"] if row["generated_per_s"] > 0]
        if len(rows) == 2:
            break
        print(f"# not both generated in {seconds} s: {out.splitlines()[-1]}")
    guest.check(len(rows) == 2, f"rows {rows}")
    return [(row["joules_per_token"], row["generated_per_s"]) for row in rows]


def case_joules(_):
    """joules per token are the watts of the device, and a dash where infinid cannot be asked"""
    load = [metrics.generation(name, "Once upon a time") for name in ("a", "b")]
    try:
        for name in ("a", "b"):
            guest.generating(name)
        metrics.roughly(sum(each * rate for each, rate in joules(SOCKET)), metrics.WATTS, "watts")
        guest.check(not any(each for each, _ in joules("/nowhere")), "joules from nowhere")
    finally:
        metrics.end(load)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("only", nargs="*")
    parser.add_argument("--seconds", type=float, default=0)
    args = parser.parse_args()
    tap = Tap()
    infini.load_module()
    powercap = Powercap("/tmp/powercap", metrics.WATTS)
    world = guest.World(args.out, f"metrics_socket = {SOCKET}\n")
    world.seconds = args.seconds
    world.daemon.start()
    powercap.start()
    for name in ("a", "b"):
        world.vdev(name)
    for name, case in globals().copy().items():
        kind, _, word = name.partition("_")
        if word in args.only and kind in ("case", "bench") or kind == "case" and not args.only:
            tap.case(case, world)
    for name in ("a", "b"):
        world.gone(name)
    world.daemon.stop()
    powercap.close()
    infini.unload_module()
    tap.end()


if __name__ == "__main__":
    main()

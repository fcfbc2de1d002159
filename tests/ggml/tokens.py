#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tokens that the backend recognises in runs of unmodified llama.cpp tools, against their own
numbers; over the loop of executor.c, without a kernel. TAP.

usage: tokens.py LOOP BACKEND MODEL
"""
import concurrent.futures
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

PROMPTS = (("Once upon a time there was a cat", 12), ("The little fox", 9),
           ("One day, a girl named Lily went out to", 14),
           ("One day, a girl named Lily ran home", 5), ("A", 3), ("The little fox", 1),
           ("The cat sat by the door. The cat sat by the door. The cat sat by the", 20))
TEXT = "Once upon a time, there was a kind girl named Lily. She lived in a tall house. " * 20
PLAIN = ("-t", "1", "-fit", "off", "-ngl", "99", "--no-warmup")


class Trouble(Exception):
    """What should hold does not."""


def ensure(true, what):
    if not true:
        raise Trouble(what)


class Loop:
    """Runs of a language model that are written down: context, evaluated, generated, prompts, scored
    and embedded of each."""

    def __init__(self, loop, backend, model):
        self.model = model
        self.scratch = tempfile.mkdtemp()
        self.path = os.path.join(self.scratch, "tokens")
        self.env = dict(os.environ, GGML_BACKEND_PATH=os.path.abspath(loop),
                        INFINI_LOOP_BACKEND=os.path.abspath(backend), INFINI_LOOP_TOKENS=self.path,
                        VK_LOADER_DRIVERS_DISABLE="*")

    def begin(self):
        with open(self.path, "w", encoding="utf-8"):
            pass

    def runs(self):
        with open(self.path, encoding="utf-8") as file:
            return [tuple(map(int, line.split())) for line in file]

    def totals(self, skip=0, context=None):
        rows = [row[1:] for row in self.runs()[skip:] if context in (None, row[0])]
        evaluated, generated, prompts, scored, embedded = map(sum, zip((0,) * 5, *rows))
        return {"evaluated": evaluated, "generated": generated, "prompts": prompts, "scored": scored,
                "embedded": embedded,
                "prompt": evaluated - (generated - prompts) - scored - embedded}

    def tool(self, *command):
        self.begin()
        done = subprocess.run([command[0], "-m", self.model, *command[1:], *PLAIN], env=self.env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=200, check=False)
        ensure(not done.returncode, f"{command[0]}: {done.stdout[-300:]}")
        return done.stdout


def same(got, **wanted):
    for key, value in wanted.items():
        ensure(got[key] == value, f"{key} is {got[key]}, not {value}: {got}")


class Server:
    """A llama-server with three slots; numbers begin once it is healthy."""

    def __init__(self, loop, *more):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.loop = loop
        loop.begin()
        with open(os.path.join(loop.scratch, "server.log"), "wb") as log:
            self.process = subprocess.Popen(
                ["llama-server", "-m", loop.model, "--host", "127.0.0.1", "--port", str(port), "-np",
                 "3", "--no-webui", *more, *PLAIN], env=loop.env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)

    def __enter__(self):
        end = time.monotonic() + 100
        while True:
            ensure(self.process.poll() is None and time.monotonic() < end, "no llama-server")
            try:
                self.get("/health")
                break
            except OSError:
                time.sleep(0.1)
        self.skip = len(self.loop.runs())
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)

    def get(self, path, body=None):
        request = urllib.request.Request(self.url + path, body and json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=100) as answer:
            return json.load(answer)

    def ask(self):
        """All prompts, as many at once as there are slots; then the first again, from the cache."""
        asked = [{"prompt": prompt, "n_predict": tokens, "temperature": 0, "ignore_eos": True}
                 for prompt, tokens in PROMPTS]
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(lambda body: self.get("/completion", body), asked))
        answers.append(self.get("/completion", asked[0]))
        return [answer["timings"] for answer in answers]


def total(timings, key):
    return sum(some.get(key, 0) for some in timings)


def server_case(*more):
    def case(loop):
        with Server(loop, *more) as server:
            timings = server.ask()
        same(loop.totals(server.skip), generated=total(timings, "predicted_n"),
             prompt=total(timings, "prompt_n"), prompts=len(timings), scored=0, embedded=0)
    return case


def drafting_case(*more):
    """The first context is the one that verifies; nothing of another is generated."""
    def case(loop):
        model = ("-md", loop.model) if "draft-simple" in more else ()
        with Server(loop, *more, *model) as server:
            timings = server.ask()
        drafted, kept = total(timings, "draft_n"), total(timings, "draft_n_accepted")
        row = loop.totals(server.skip, context=1)
        verified = row["scored"] - drafted
        ensure(drafted and 0 <= verified <= drafted, f"{drafted} drafted, {row}")
        same(row, generated=total(timings, "predicted_n") - kept - verified,
             prompt=total(timings, "prompt_n"), prompts=len(timings))
        other = loop.totals(server.skip, context=2)
        same(other, scored=other["evaluated"], generated=0, prompt=0, prompts=0)
    return case


def case_perplexity(loop):
    path = os.path.join(loop.scratch, "text")
    with open(path, "w", encoding="utf-8") as file:
        file.write(TEXT)
    said = re.search(r"over (\d+) chunks, n_ctx=(\d+)",
                     loop.tool("llama-perplexity", "-f", path, "-c", "64"))
    tokens = int(said[1]) * int(said[2])
    same(loop.totals(), evaluated=tokens, scored=tokens, generated=0, prompt=0)


def case_embedding(loop):
    said = subprocess.run(["llama-tokenize", "-m", loop.model, "-p", PROMPTS[0][0], "--ids",
                           "--log-disable"], stdout=subprocess.PIPE, check=True)
    for pooling in ("none", "mean", "last"):
        loop.tool("llama-embedding", "-p", PROMPTS[0][0], "--pooling", pooling)
        same(loop.totals(), embedded=len(json.loads(said.stdout)), generated=0, prompt=0, scored=0)


def completion_case(*more):
    def case(loop):
        loop.tool("llama-completion", "-p", "A", "-n", "20", "-no-cnv", "--ignore-eos", "--temp", "0",
                  *more)
        same(loop.totals(), generated=20, prompts=1, prompt=2, scored=0)
    return case


CASES = (
    ("llama-completion", completion_case()),
    ("llama-completion without flash attention", completion_case("-fa", "off")),
    ("llama-completion that samples on the device", completion_case("-bs")),
    ("llama-server", server_case()),
    ("llama-server with one cache for all slots", server_case("-kvu")),
    ("llama-server with short batches", server_case("-b", "8", "-ub", "4")),
    ("llama-server with drafts out of the text",
     drafting_case("--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", "3",
                   "--spec-ngram-simple-size-m", "4")),
    ("llama-server with a draft model", drafting_case("--spec-type", "draft-simple")),
    ("llama-server with a draft model and one cache",
     drafting_case("-kvu", "--spec-type", "draft-simple")),
    ("llama-perplexity", case_perplexity),
    ("llama-embedding", case_embedding),
)


def main():
    loop = Loop(*sys.argv[1:4])
    failed = 0
    for number, (name, case) in enumerate(CASES, 1):
        try:
            case(loop)
            print(f"ok {number} - {name}", flush=True)
        except (Trouble, OSError, ValueError, subprocess.SubprocessError) as trouble:
            failed += 1
            print(f"# {type(trouble).__name__}: {trouble}\nnot ok {number} - {name}", flush=True)
    print(f"1..{len(CASES)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

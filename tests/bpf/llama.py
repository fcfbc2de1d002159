# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases with llama.cpp: tokens that the tools count are those that llama.cpp reports; for guest.py."""
import os
import re
import subprocess

from tools import SNOOP, TOP, Tool, command, ensure, infini, module_counters, module_did

MODEL = os.path.join(infini.TREE, "tests/model/stories.gguf")
DECODE = os.path.join(infini.TREE, "build/tests/bpf/decode")
LIBRARY = os.path.join(os.path.dirname(DECODE), "libdecode.so")
PERF = re.compile(r"\b(prompt eval|eval) time =.*/\s+(\d+) (?:tokens|runs)")


def completion(tokens, *device, env=None):
    """What llama.cpp says it did: tokens of the prompt, tokens generated."""
    done = subprocess.run(
        ["llama-completion", "-m", MODEL, "-no-cnv", "-p", "Once upon a time there was a", "-n",
         str(tokens), "-c", "256", "--temp", "0", "-t", "1", "-fit", "off", "--ignore-eos",
         "--no-warmup", *device], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, check=False, timeout=240)
    ensure(not done.returncode, f"llama.cpp ended with {done.returncode}: {done.stderr[-300:]}")
    said = {kind: int(number) for kind, number in PERF.findall(done.stderr)}
    ensure(said.keys() == {"prompt eval", "eval"}, f"llama.cpp said {done.stderr[-600:]}")
    # The last row of the prompt makes the first token.
    return said["prompt eval"], said["eval"] + 1


def total(tool, vdev):
    rows = [row["total"] for row in tool.lines[-1]["rows"] if row["vdev"] == vdev]
    ensure(len(rows) < 2, f"{len(rows)} rows of {vdev}")
    return rows[0] if rows else None


def case_direct():
    """infinitop --uprobe: tokens of a plain llama.cpp are those that it reports"""
    tool = Tool("--uprobe")
    prompt, generated = completion(12, "-dev", "none")
    row = total(tool.end_well(), "(direct)")
    ensure((row["tokens_prompt"], row["tokens_generated"], row["prompts"]) ==
           (prompt, generated, 1), f"llama.cpp did {prompt} and {generated}, the row is {row}")
    ensure(generated == 12 and row["itl_p50_ns"] > 0 and row["ttft_p50_ns"] > 0, f"it is {row}")
    print(f"# {prompt} tokens of the prompt, {generated} generated")


def case_not_twice():
    """infinitop --uprobe, infinisnoop --requests: a tenant's tokens are counted once, as reported"""
    before = module_counters()
    tool, requests = Tool("--uprobe"), Tool("--requests", tool=SNOOP)
    prompt, generated = completion(12, "-ngl", "99", "-dev", "INFINI0", env=infini.tenant("a"))
    row = total(tool.end_well(), "a")
    ensure(total(tool, "(direct)") is None, "the tenant is counted where it calls libllama, too")
    module = module_did(before)["a"]
    ensure((row["tokens_prompt"], row["tokens_generated"]) == (prompt, generated) ==
           (module["tokens_prompt"], module["tokens_generated"]),
           f"llama.cpp did {prompt} and {generated}, the row is {row}")
    shown = requests.end_well().jobs("a")
    ensure(len(shown) == 1 and shown[0]["whole"] and
           (shown[0]["tokens_prompt"], shown[0]["tokens_generated"]) == (prompt, generated) and
           0 < shown[0]["ttft_ns"] < shown[0]["total_ns"] and
           shown[0]["itl_max_ns"] >= shown[0]["itl_mean_ns"] > 0, f"requests are {shown}")


def case_batches():
    """infinitop --uprobe=PATH: rows of a batch in each way to say which are wanted"""
    tool = Tool(f"--uprobe={LIBRARY}", "--by", "process")
    status, _, err = command(DECODE)
    ensure(not status, err)
    row = total(tool.end_well(), "(direct)")
    want = {"jobs_completed": 7, "jobs_failed": 2, "tokens_evaluated": 8 + 1 + 63 + 5000 + 512 + 256,
            "tokens_generated": 1 + 1 + 2 + 3 + 0 + 256, "prompts": 3,
            "tokens_prompt": 8 + 62 + 4998 + 512}
    ensure({key: row[key] for key in want} == want, f"wanted {want}, got {row}")


def case_no_library():
    """infinitop --uprobe of a file that does not count: one line, exit 1"""
    for path, reason in (("/no/file", "no file with llama_decode"),
                         ("/bin/true", "no file with llama_decode")):
        status, out, err = command(TOP, "--json", f"--uprobe={path}")
        ensure(status == 1 and not out and reason in err and "\n" not in err, f"{path}: {err!r}")

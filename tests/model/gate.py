#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Judge a story model by its GGUF alone: gate.py [MODEL.gguf] [--llama "llama-completion ..."]

Held-out loss, then what it writes: words that exist, no loops, names that stay the same. The text
comes from infer.py, or with --llama from that command.
"""

import argparse
import collections
import os
import re
import shlex
import subprocess
import sys

import numpy as np

import corpus
import infer

HELD_OUT_SEED = 424242  # a seed that the training corpus never had
# The prompts that README.md names; what the model is weak at stands there too.
PROMPTS = [
    "Once upon a time",
    "Long ago,",
    "One day,",
    "The little fox",
    "Lily was a",
    "There was once a boy named",
    "A clever rabbit named Coco",
]
LIMITS = {
    "held-out loss, nats per token": ("at most", 0.45),
    "known words": ("at least", 0.995),
    "most repeats of a 4-gram in a story": ("at most", 4),
    "sentences said twice in a story": ("at most", 0.02),
    "titles used twice in a book": ("at most", 0.50),
    "stories that keep their names": ("at least", 0.90),
    "books about two different names": ("at least", 0.70),
}


def words(text):
    return re.findall(r"[A-Za-z]+(?:'[a-z]+)?", text)


def stories(book):
    """[(title or None, text)]; the last one may be cut off."""
    out = []
    for block in book.split("\n\n"):
        title, _, text = block.rpartition("\n")
        out.append((title or None, text))
    return out


def sentences(text):
    return [s for s in re.split(r'(?<=[.!?])["]? ', text) if len(words(s)) >= 5]


def names(text):
    """The names in a text, each once, in the order of their first use."""
    bare = [w.removesuffix("'s") for w in words(text)]
    return list(dict.fromkeys(w for w in bare if w in corpus.NAMES))


def judge(books, vocabulary):
    """The measures of LIMITS that come from texts."""
    every_word = [w for book in books for w in words(book)]
    known = sum(w in vocabulary or w.lower() in vocabulary for w in every_word)
    grams, twice, said, kept, told, titles_twice, titles = 0, 0, 0, 0, 0, 0, 0
    pairs = 0
    for book in books:
        parts = stories(book)
        pairs += len(names(parts[0][1])) == 2
        seen = [t for t, _ in parts if t]
        titles, titles_twice = titles + len(seen), titles_twice + len(seen) - len(set(seen))
        for _, text in parts:
            w = words(text.lower())
            grams = max([grams, *collections.Counter(zip(w, w[1:], w[2:], w[3:])).values()])
            s = sentences(text)
            said, twice = said + len(s), twice + len(s) - len(set(s))
            # a book is about the first two names in it, and its stories name nobody else
            told, kept = told + 1, kept + (set(names(text)) <= set(names(parts[0][1])[:2]))
    return {
        "known words": known / len(every_word),
        "most repeats of a 4-gram in a story": grams,
        "sentences said twice in a story": twice / max(said, 1),
        "titles used twice in a book": titles_twice / max(titles, 1),
        "stories that keep their names": kept / told,
        "books about two different names": pairs / len(books),
    }


def llama_text(command, model, prompt, n):
    """What llama.cpp's llama-completion, or a command line that ends in it, writes."""
    options = f"-n {n} -c 1024 --temp 0 -no-cnv --no-warmup".split()
    out = subprocess.run(
        [*shlex.split(command), "-m", model, "-p", prompt, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return out.stdout.decode().strip().removesuffix("[end of text]").strip()


def held_out_loss(model):
    return float(np.mean([model.loss(b) for b in corpus.write_books(12, HELD_OUT_SEED)]))


def vocabulary():
    """Every word that the stories can hold."""
    return {w for b in corpus.write_books(2000, HELD_OUT_SEED + 1) for w in words(b)}


def verdict(measured):
    """Print each measure beside its limit; gives how many fail."""
    failed = 0
    for name, (sense, limit) in LIMITS.items():
        value = measured[name]
        good = value <= limit if sense == "at most" else value >= limit
        failed += not good
        print(f"{'pass' if good else 'FAIL'}  {name}: {value:.4g} ({sense} {limit})")
    return failed


def arguments():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = os.path.dirname(os.path.abspath(__file__))
    ap.add_argument("model", nargs="?", default=here + "/stories.gguf")
    ap.add_argument("--llama", metavar="COMMAND", help="judge the texts of this command")
    ap.add_argument("--tokens", type=int, default=900, help="to write for each prompt")
    ap.add_argument("--show", action="store_true", help="print the texts")
    return ap.parse_args()


def main():
    a = arguments()
    model, books = infer.Model(a.model), []
    for i, prompt in enumerate(PROMPTS, 1):
        if sys.stderr.isatty() and not a.show:
            print(f"\rgate: text {i} of {len(PROMPTS)}", end="", file=sys.stderr, flush=True)
        if a.llama:
            books.append(llama_text(a.llama, a.model, prompt, a.tokens))
        else:
            books.append(model.complete(prompt, a.tokens))
        if a.show:
            print(books[-1], end="\n\n%\n\n", flush=True)
    if sys.stderr.isatty() and not a.show:
        print("\r\033[K", end="", file=sys.stderr)
    measured = {"held-out loss, nats per token": held_out_loss(model)}
    measured.update(judge(books, vocabulary()))
    sys.exit(1 if verdict(measured) else 0)


if __name__ == "__main__":
    main()

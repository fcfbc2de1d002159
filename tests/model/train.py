#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Train the story model; an interrupted training goes on from its last checkpoint."""

import argparse
import os
import pickle
import time
from functools import partial

import jax
import numpy as np
import sentencepiece as spm

import llama

BOS, EOS = 1, 2
NEWLINE = "\u00b6"  # stands for a line break in the tokenizer, which works line by line
HELD_OUT = 64  # books
EVALUATE_EVERY = 250  # steps

MODEL = {"vocab": 2048, "dim": 192, "layers": 4, "n_head": 6, "n_kv": 2, "ffn": 512}


def schedule(done):
    """Learning rate by the share of the time done: short warm-up, flat, down to nothing."""
    return min(1, done / 0.01 + 0.01) * min(1, max(0.0, 1 - done) / 0.4 + 0.005)


def read_books(path):
    with open(path) as f:
        return [b.strip("\n") for b in f.read().split("\n%\n") if b.strip()]


def tokenizer(books, prefix, vocab):
    """SentencePiece BPE over whole words, with bytes to fall back on."""
    if not os.path.exists(prefix + ".model"):
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(b.replace("\n", NEWLINE) for b in books),
            model_prefix=prefix,
            vocab_size=vocab,
            model_type="bpe",
            byte_fallback=True,
            character_coverage=1.0,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            max_sentence_length=1 << 16,
            user_defined_symbols=[NEWLINE],
            unk_id=0,
            bos_id=BOS,
            eos_id=EOS,
            pad_id=-1,
            minloglevel=2,
        )
    return spm.SentencePieceProcessor(model_file=prefix + ".model")


def encode(books, sp):
    """Token ids of each book: <s> book </s>."""
    ids = sp.encode([b.replace("\n", NEWLINE) for b in books])
    return [np.array([BOS] + i + [EOS], np.int16) for i in ids]


def rows(books, pick, length):
    """[len(pick), length]: the start of each picked book, filled up with the books after it."""
    out = []
    for i in pick:
        row = books[i]
        while len(row) < length:
            i = (i + 1) % len(books)
            row = np.concatenate([row, books[i]])
        out.append(row[:length])
    return np.array(out, np.int32)


def save(path, **what):
    with open(path + ".tmp", "wb") as f:
        pickle.dump(jax.device_get(what), f)
    os.replace(path + ".tmp", path)


def arguments():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("corpus")
    ap.add_argument("out", help="directory for the tokenizer, the checkpoint and the log")
    ap.add_argument("--minutes", type=float, default=90, help="wall-clock time to spend")
    ap.add_argument("--tokens", type=int, default=2048, help="tokens a step")
    ap.add_argument("--short", type=int, default=256, help="row length at first")
    ap.add_argument("--ctx", type=int, default=1024, help="row length at last, the model's context")
    ap.add_argument("--long-from", type=float, default=0.72, help="share of time for short rows")
    ap.add_argument("--lr-matrix", type=float, default=0.02)
    ap.add_argument("--lr-adam", type=float, default=0.004)
    ap.add_argument("--seed", type=int, default=1)
    for name, default in MODEL.items():
        ap.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    return ap.parse_args()


class Training:
    def __init__(self, a):
        self.a, self.path = a, a.out + "/checkpoint.pkl"
        os.makedirs(a.out, exist_ok=True)
        self.log = open(a.out + "/log.txt", "a", buffering=1)
        books = read_books(a.corpus)
        sp = tokenizer(books[:3000], a.out + "/tok", a.vocab)
        self.data = encode(books[HELD_OUT:], sp)
        held_out = encode(books[:HELD_OUT], sp)
        self.held_out = rows(held_out, range(HELD_OUT), a.short + 1)
        self.cfg = {k: getattr(a, k) for k in [*MODEL, "ctx", "lr_matrix", "lr_adam"]}
        self.w = llama.init(self.cfg, a.seed)
        self.state, self.spent = llama.new_state(self.w), 0.0
        if os.path.exists(self.path):
            with open(self.path, "rb") as f:
                old = pickle.load(f)
            self.w, self.state, self.spent = old["w"], old["state"], old["spent"]
        self.evaluate = jax.jit(partial(llama.loss_of, self.cfg))
        mean = sum(len(d) for d in self.data) / len(self.data)
        self.say(f"{self.cfg}: {sum(v.size for v in self.w.values())} weights")
        self.say(f"{len(self.data)} books of {mean:.0f} tokens")

    def say(self, text):
        print(text, flush=True)
        print(text, file=self.log)

    def checkpoint(self, step):
        parts = [self.held_out[i : i + 16] for i in range(0, HELD_OUT, 16)]
        loss = np.mean([float(self.evaluate(self.w, part)) for part in parts])
        self.say(f"step {step} held-out loss {loss:.4f}")
        save(self.path, cfg=self.cfg, w=self.w, state=self.state, spent=self.spent)

    def run(self):
        a, step, recent = self.a, int(self.state["step"]), []
        rng = np.random.default_rng(a.seed + step)
        items, start = tuple(self.cfg.items()), time.time() - self.spent
        while (done := self.spent / (a.minutes * 60)) < 1:
            length = a.ctx if done >= a.long_from else a.short
            batch = rows(self.data, rng.integers(0, len(self.data), a.tokens // length), length + 1)
            self.w, self.state, loss = llama.train_step(
                items, self.w, self.state, batch, schedule(done)
            )
            recent = [*recent[-24:], float(loss)]
            step, self.spent = step + 1, time.time() - start
            if step % 25 == 0:
                self.say(
                    f"step {step} loss {np.mean(recent):.3f}, rows of {length}, "
                    f"{step * a.tokens / 1e6:.2f} M tokens, {self.spent:.0f} s"
                )
            if step % EVALUATE_EVERY == 0:
                self.checkpoint(step)
        self.checkpoint(step)


if __name__ == "__main__":
    Training(arguments()).run()

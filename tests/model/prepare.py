#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Make what train reads, a tokenizer and texts as token ids: prepare.py DIR"""

import os
import sys

import numpy as np
import sentencepiece as spm

import corpus

VOCAB = 2048
BOS, EOS = 1, 2
NEWLINE = "\u00b6"  # stands for a line break in the tokenizer, which works line by line
TEXTS = {  # file: (what writes it, how many, seed)
    "held-out.bin": (corpus.write_books, 64, 2),
    "drills.bin": (corpus.write_drills, 5000, 1),
    "books.bin": (corpus.write_books, 4000, 1),
}


def train_tokenizer(books, prefix):
    """SentencePiece BPE over whole words, with bytes to fall back on."""
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(b.replace("\n", NEWLINE) for b in books),
        model_prefix=prefix,
        vocab_size=VOCAB,
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


def encode(sp, books):
    """Token ids of all books, one after another: <s> book </s>."""
    ids = sp.encode([b.replace("\n", NEWLINE) for b in books])
    return np.concatenate([np.array([BOS, *i, EOS], np.uint16) for i in ids])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    train_tokenizer(corpus.write_books(3000, 1), out + "/tok")
    sp = spm.SentencePieceProcessor(model_file=out + "/tok.model")
    for name, (write, count, seed) in TEXTS.items():
        ids = encode(sp, write(count, seed))
        ids.tofile(f"{out}/{name}")
        print(f"{name}: {count} texts, {len(ids)} tokens")


if __name__ == "__main__":
    main()

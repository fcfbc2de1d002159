#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Make a GGUF of a training directory: export.py DIR OUT.gguf"""

import os
import pickle
import sys

import sentencepiece as spm

import gguf

NEWLINE = "\u00b6"  # train.py's stand-in for a line break
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
FILE_TYPE_Q8_0 = 7


def vocabulary(sp):
    """(tokens, scores, types) as llama.cpp's SentencePiece tokenizer wants them."""
    n = sp.vocab_size()
    # the line break is a normal token, so that no space is put in front of the word after it
    tokens = ["\n" if sp.id_to_piece(i) == NEWLINE else sp.id_to_piece(i) for i in range(n)]
    types = [
        (
            UNKNOWN
            if sp.is_unknown(i)
            else CONTROL if sp.is_control(i) else BYTE if sp.is_byte(i) else NORMAL
        )
        for i in range(n)
    ]
    return tokens, [sp.get_score(i) for i in range(n)], types


def metadata(cfg, sp):
    tokens, scores, types = vocabulary(sp)
    llama = {
        "context_length": cfg["ctx"],
        "embedding_length": cfg["dim"],
        "block_count": cfg["layers"],
        "feed_forward_length": cfg["ffn"],
        "attention.head_count": cfg["n_head"],
        "attention.head_count_kv": cfg["n_kv"],
        "rope.dimension_count": cfg["dim"] // cfg["n_head"],
        "vocab_size": len(tokens),
    }
    return [
        ("general.architecture", "str", "llama"),
        ("general.name", "str", "Infini stories"),
        (
            "general.description",
            "str",
            "Writes short English stories; a test model, trained on its own grammar",
        ),
        ("general.license", "str", "GPL-2.0-or-later"),
        ("general.file_type", "u32", FILE_TYPE_Q8_0),
        ("general.quantization_version", "u32", 2),
        *(("llama." + key, "u32", value) for key, value in llama.items()),
        ("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5),
        ("llama.rope.freq_base", "f32", 10000.0),
        ("tokenizer.ggml.model", "str", "llama"),
        ("tokenizer.ggml.pre", "str", "default"),
        ("tokenizer.ggml.tokens", "list:str", tokens),
        ("tokenizer.ggml.scores", "list:f32", scores),
        ("tokenizer.ggml.token_type", "list:i32", types),
        ("tokenizer.ggml.unknown_token_id", "u32", 0),
        ("tokenizer.ggml.bos_token_id", "u32", 1),
        ("tokenizer.ggml.eos_token_id", "u32", 2),
        ("tokenizer.ggml.add_bos_token", "bool", True),
        ("tokenizer.ggml.add_eos_token", "bool", False),
        ("tokenizer.ggml.add_space_prefix", "bool", True),
    ]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    src, out = sys.argv[1:]
    with open(src + "/checkpoint.pkl", "rb") as f:
        checkpoint = pickle.load(f)
    sp = spm.SentencePieceProcessor(model_file=src + "/tok.model")
    # llama.cpp takes token_embd for the output layer where there is no output.weight
    gguf.write(
        out + ".tmp",
        metadata(checkpoint["cfg"], sp),
        [(name + ".weight", a) for name, a in checkpoint["w"].items()],
    )
    os.replace(out + ".tmp", out)
    print(f"{out}: {os.path.getsize(out)} bytes")


if __name__ == "__main__":
    main()

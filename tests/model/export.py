#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Make a GGUF of a training directory: export.py DIR OUT.gguf"""

import os
import sys

import numpy as np
import sentencepiece as spm

import gguf
from prepare import NEWLINE

# train.c's numbers
VOCAB, DIM, LAYERS, HEADS, KV_HEADS, FFN, CTX = 2048, 192, 4, 6, 2, 512, 1024
HEAD = DIM // HEADS
KV = KV_HEADS * HEAD

NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
FILE_TYPE_Q8_0 = 7


def weights(path):
    """[(GGUF name, array)] from the start of a checkpoint: struct weights of train.c."""
    layer = {
        "attn_norm": (DIM,),
        "attn_q": (DIM, DIM),
        "attn_k": (KV, DIM),
        "attn_v": (KV, DIM),
        "attn_output": (DIM, DIM),
        "ffn_norm": (DIM,),
        "ffn_gate": (FFN, DIM),
        "ffn_up": (FFN, DIM),
        "ffn_down": (DIM, FFN),
    }
    # llama.cpp takes token_embd for the output layer where there is no output.weight
    shapes = {"token_embd.weight": (VOCAB, DIM), "output_norm.weight": (DIM,)}
    for i in range(LAYERS):
        shapes.update({f"blk.{i}.{name}.weight": shape for name, shape in layer.items()})
    flat, at, out = np.fromfile(path, np.float32), 0, []
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        out.append((name, flat[at : at + size].reshape(shape)))
        at += size
    return out


def vocabulary(sp):
    """(tokens, scores, types) as llama.cpp's SentencePiece tokenizer wants them."""
    ids = range(sp.vocab_size())
    # the line break is a normal token, so that no space is put in front of the word after it
    tokens = ["\n" if sp.id_to_piece(i) == NEWLINE else sp.id_to_piece(i) for i in ids]
    kinds = ((sp.is_unknown, UNKNOWN), (sp.is_control, CONTROL), (sp.is_byte, BYTE))
    types = [next((kind for test, kind in kinds if test(i)), NORMAL) for i in ids]
    return tokens, [sp.get_score(i) for i in ids], types


def metadata(sp):
    tokens, scores, types = vocabulary(sp)
    llama = {
        "context_length": CTX,
        "embedding_length": DIM,
        "block_count": LAYERS,
        "feed_forward_length": FFN,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV_HEADS,
        "rope.dimension_count": HEAD,
        "vocab_size": VOCAB,
    }
    return [
        ("general.architecture", "str", "llama"),
        ("general.name", "str", "Infini stories"),
        (
            "general.description",
            "str",
            "Writes short English stories; learned from its own grammar",
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
    sp = spm.SentencePieceProcessor(model_file=src + "/tok.model")
    gguf.write(out + ".tmp", metadata(sp), weights(src + "/checkpoint.bin"))
    os.replace(out + ".tmp", out)
    print(f"{out}: {os.path.getsize(out)} bytes")


if __name__ == "__main__":
    main()

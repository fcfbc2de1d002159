#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Models for measuring speed: model_files.py DIR NAME...

Llamas of some sizes with random weights, in DIR/NAME.gguf (q8_0) and DIR/NAME-q4_0.gguf. What they write is
noise and takes as long as sense. A file that is there stays.
"""
import os
import subprocess
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../model"))
import gguf  # noqa: E402  pylint: disable=wrong-import-position

SPECIAL, NORMAL, UNKNOWN, CONTROL, BYTE = 3, 1, 2, 3, 6

# name: vocabulary, width, layers, heads, heads of keys and values, width of the feed-forward, own output matrix
SHAPES = {
    "0.9M": (1536, 128, 4, 4, 2, 320, False),
    "24M": (32000, 288, 6, 6, 6, 768, True),
    "110M": (32000, 768, 12, 12, 12, 2048, False),
}


def shapes(vocab, dim, layers, heads, kv_heads, ffn, own_output):
    """(name, shape) of every tensor."""
    kv = dim // heads * kv_heads
    layer = (("attn_norm", (dim,)), ("attn_q", (dim, dim)), ("attn_k", (kv, dim)), ("attn_v", (kv, dim)),
             ("attn_output", (dim, dim)), ("ffn_norm", (dim,)), ("ffn_gate", (ffn, dim)),
             ("ffn_up", (ffn, dim)), ("ffn_down", (dim, ffn)))
    yield "token_embd.weight", (vocab, dim)
    yield "output_norm.weight", (dim,)
    if own_output:
        yield "output.weight", (vocab, dim)
    for i in range(layers):
        for name, shape in layer:
            yield f"blk.{i}.{name}.weight", shape


def metadata(name, vocab, dim, layers, heads, kv_heads, ffn, _):
    """What llama.cpp wants to know; the vocabulary is special tokens, bytes and made-up words."""
    words = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    kinds = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256
    words += [f"\u2581w{i}" for i in range(vocab - len(words))]
    kinds += [NORMAL] * (vocab - len(kinds))
    llama = {"context_length": 2048, "embedding_length": dim, "block_count": layers,
             "feed_forward_length": ffn, "attention.head_count": heads,
             "attention.head_count_kv": kv_heads, "rope.dimension_count": dim // heads, "vocab_size": vocab}
    return [("general.architecture", "str", "llama"), ("general.name", "str", f"random {name}"),
            ("general.file_type", "u32", 7), ("general.quantization_version", "u32", 2),
            *((f"llama.{key}", "u32", value) for key, value in llama.items()),
            ("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5),
            ("tokenizer.ggml.model", "str", "llama"), ("tokenizer.ggml.pre", "str", "default"),
            ("tokenizer.ggml.tokens", "list:str", words),
            ("tokenizer.ggml.scores", "list:f32", [-float(i) for i in range(vocab)]),
            ("tokenizer.ggml.token_type", "list:i32", kinds),
            ("tokenizer.ggml.unknown_token_id", "u32", 0), ("tokenizer.ggml.bos_token_id", "u32", 1),
            ("tokenizer.ggml.eos_token_id", "u32", 2)]


def make(path, name):
    shape, random = SHAPES[name], np.random.default_rng(1)
    tensors = [(tensor, np.ones(dims, np.float32) if len(dims) == 1 else
                random.standard_normal(dims, np.float32) / np.float32(np.sqrt(dims[1])))
               for tensor, dims in shapes(*shape)]
    gguf.write(path, metadata(name, *shape), tensors)


def quantize(path, source):
    subprocess.run(["llama-quantize", "--pure", "--allow-requantize", source, path, "q4_0"], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ensure(path, function, *args):
    """A file of that name is whole."""
    if not os.path.exists(path):
        print(f"making {path}", file=sys.stderr, flush=True)
        function(path + ".part", *args)
        os.replace(path + ".part", path)


def main():
    if len(sys.argv) < 3 or set(sys.argv[2:]) - set(SHAPES):
        sys.exit(f"usage: model_files.py DIR NAME...; names are {' '.join(SHAPES)}")
    folder = sys.argv[1]
    for name in sys.argv[2:]:
        path = os.path.join(folder, f"random-{name}.gguf")
        ensure(path, make, name)
        ensure(path.replace(".gguf", "-q4_0.gguf"), quantize, path)


if __name__ == "__main__":
    main()

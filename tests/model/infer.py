# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a llama GGUF in NumPy: a second opinion on the file that does not depend on llama.cpp."""

import re

import numpy as np

import gguf

SPACE = "\u2581"
NORMAL = 1  # token type


class Tokenizer:
    """llama.cpp's SentencePiece tokenizer: merge the best pair until none is left."""

    def __init__(self, meta):
        self.tokens, self.scores = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.scores"]
        self.types = meta["tokenizer.ggml.token_type"]
        self.ids = {t: i for i, t in enumerate(self.tokens)}
        self.bos, self.eos = (
            meta["tokenizer.ggml.bos_token_id"],
            meta["tokenizer.ggml.eos_token_id"],
        )

    def encode_word(self, word):
        parts = list(word)
        while True:
            pairs = [
                (self.scores[self.ids[a + b]], -i)
                for i, (a, b) in enumerate(zip(parts, parts[1:]))
                if a + b in self.ids
            ]
            if not pairs:
                break
            i = -max(pairs)[1]
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        return [
            i
            for p in parts
            for i in (
                [self.ids[p]] if p in self.ids else [self.ids[f"<0x{b:02X}>"] for b in p.encode()]
            )
        ]

    def encode(self, text):
        words = re.findall(f"\n|{SPACE}?[^{SPACE}\n]+|{SPACE}", SPACE + text.replace(" ", SPACE))
        return [self.bos] + [i for w in words for i in self.encode_word(w)]

    def decode(self, ids):
        return (
            "".join(self.tokens[i] for i in ids if self.types[i] == NORMAL)
            .replace(SPACE, " ")
            .removeprefix(" ")
        )


class Model:
    """A llama forward pass with a cache of keys and values, for one sequence."""

    def __init__(self, path):
        self.meta, self.w = gguf.read(path)
        get = lambda key: self.meta["llama." + key]
        self.layers, self.n_head, self.n_kv = (
            get("block_count"),
            get("attention.head_count"),
            get("attention.head_count_kv"),
        )
        self.ctx, self.hd, self.eps = (
            get("context_length"),
            get("rope.dimension_count"),
            get("attention.layer_norm_rms_epsilon"),
        )
        self.freq = get("rope.freq_base") ** (-np.arange(0, self.hd, 2) / self.hd)
        self.tokenizer = Tokenizer(self.meta)

    def norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps) * self.w[name + ".weight"]

    def heads(self, x, name, at):
        """[heads, time, head size], turned by position unless at is None."""
        y = (x @ self.w[name + ".weight"].T).reshape(len(x), -1, self.hd).transpose(1, 0, 2)
        if at is None:
            return y
        angle = np.outer(at + np.arange(len(x)), self.freq)
        cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
        a, b = y[..., 0::2], y[..., 1::2]
        return np.stack((a * cos - b * sin, a * sin + b * cos), -1).reshape(y.shape)

    def forward(self, ids, cache):
        """Logits of ids that follow what is in the cache; the cache grows by them."""
        at, n = cache.get("length", 0), len(ids)
        hide = np.triu(np.full((n, at + n), -1e9, np.float32), at + 1)
        x = self.w["token_embd.weight"][ids]
        for i in range(self.layers):
            p = f"blk.{i}."
            h = self.norm(x, p + "attn_norm")
            new = np.stack([self.heads(h, p + "attn_k", at), self.heads(h, p + "attn_v", None)])
            cache[i] = np.concatenate([cache[i], new], 2) if i in cache else new
            k, v = np.repeat(cache[i], self.n_head // self.n_kv, 1)
            att = self.heads(h, p + "attn_q", at) @ k.transpose(0, 2, 1) * self.hd**-0.5 + hide
            att = np.exp(att - att.max(-1, keepdims=True))
            y = (att / att.sum(-1, keepdims=True)) @ v
            x = x + y.transpose(1, 0, 2).reshape(n, -1) @ self.w[p + "attn_output.weight"].T
            h = self.norm(x, p + "ffn_norm")
            gate, up = (h @ self.w[p + f"ffn_{name}.weight"].T for name in ("gate", "up"))
            x = x + (gate / (1 + np.exp(-gate)) * up) @ self.w[p + "ffn_down.weight"].T
        cache["length"] = at + n
        return self.norm(x, "output_norm") @ self.w["token_embd.weight"].T

    def loss(self, text):
        ids = self.tokenizer.encode(text)[: self.ctx]
        logits = self.forward(ids[:-1], {})
        top = logits.max(-1)
        total = np.log(np.exp(logits - top[:, None]).sum(-1)) + top
        return (total - logits[np.arange(len(ids) - 1), ids[1:]]).mean()

    def complete(self, prompt, n):
        """The prompt and n more tokens, the likeliest each time, or fewer if the model ends."""
        cache, ids = {}, self.tokenizer.encode(prompt)
        logits = self.forward(ids, cache)[-1]
        for _ in range(n):
            ids.append(int(logits.argmax()))
            if ids[-1] == self.tokenizer.eos:
                break
            logits = self.forward(ids[-1:], cache)[-1]
        return self.tokenizer.decode(ids)

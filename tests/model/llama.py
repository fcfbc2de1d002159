# SPDX-License-Identifier: GPL-2.0-or-later
"""A small llama in JAX and a training step; weights are a flat dict by GGUF tensor name."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

EPS, ROPE_BASE = 1e-5, 10000.0
CHUNK = 256  # queries at a time in attention
BETA_MATRIX = 0.95
BETA_1, BETA_2 = 0.9, 0.98
WEIGHT_DECAY = 0.05


def init(cfg, seed):
    """Random weights, each matrix [out, in]."""
    rng = np.random.default_rng(seed)
    dim, ffn = cfg["dim"], cfg["ffn"]
    kv = dim // cfg["n_head"] * cfg["n_kv"]
    shapes = {
        "attn_q": (dim, dim),
        "attn_k": (kv, dim),
        "attn_v": (kv, dim),
        "attn_output": (dim, dim),
        "ffn_gate": (ffn, dim),
        "ffn_up": (ffn, dim),
        "ffn_down": (dim, ffn),
    }
    w = {"token_embd": rng.normal(0, 0.02, (cfg["vocab"], dim)), "output_norm": np.ones(dim)}
    for i in range(cfg["layers"]):
        w[f"blk.{i}.attn_norm"] = w[f"blk.{i}.ffn_norm"] = np.ones(dim)
        for name, shape in shapes.items():
            # the projections into the residual stream start smaller, or depth would blow it up
            scale = (2 * cfg["layers"]) ** -0.5 if name in ("attn_output", "ffn_down") else 1
            w[f"blk.{i}.{name}"] = rng.normal(0, scale * shape[1] ** -0.5, shape)
    return {k: jnp.asarray(v, jnp.float32) for k, v in w.items()}


def rms_norm(x, weight):
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + EPS) * weight


def rope(x, cos, sin):
    """Interleaved pairs (2i, 2i+1): llama.cpp's own order, so the export needs no permutation."""
    a, b = x[..., 0::2], x[..., 1::2]
    return jnp.stack((a * cos - b * sin, a * sin + b * cos), -1).reshape(x.shape)


def attention(q, k, v):
    """Causal; q is [batch, kv head, group, time, size], k and v [batch, kv head, time, size]."""
    T, scale = q.shape[-2], q.shape[-1] ** -0.5
    mask = np.triu(np.full((T, T), -1e9, np.float32), 1)
    out = []
    for a in range(0, T, CHUNK):  # these queries see keys up to their own end: a third less work
        b = min(a + CHUNK, T)
        att = jnp.einsum("bkgth,bksh->bkgts", q[..., a:b, :], k[:, :, :b]) * scale + mask[a:b, :b]
        out.append(jnp.einsum("bkgts,bksh->bkgth", jax.nn.softmax(att), v[:, :, :b]))
    return jnp.concatenate(out, -2)


def forward(cfg, w, ids):
    """Logits [batch, time, vocab] of token ids [batch, time]."""
    B, T = ids.shape
    nh, nkv, hd = cfg["n_head"], cfg["n_kv"], cfg["dim"] // cfg["n_head"]
    angle = np.outer(np.arange(T), ROPE_BASE ** (-np.arange(0, hd, 2) / hd)).astype(np.float32)
    cos, sin = jnp.cos(angle), jnp.sin(angle)

    def split(y, n):
        return y.reshape(B, T, n, hd).transpose(0, 2, 1, 3)

    x = w["token_embd"][ids]
    for i in range(cfg["layers"]):
        p = lambda name: w[f"blk.{i}.{name}"]
        h = rms_norm(x, p("attn_norm"))
        q = rope(split(h @ p("attn_q").T, nh), cos, sin).reshape(B, nkv, nh // nkv, T, hd)
        k, v = rope(split(h @ p("attn_k").T, nkv), cos, sin), split(h @ p("attn_v").T, nkv)
        y = attention(q, k, v).reshape(B, nh, T, hd).transpose(0, 2, 1, 3)
        x = x + y.reshape(B, T, nh * hd) @ p("attn_output").T
        h = rms_norm(x, p("ffn_norm"))
        x = x + (jax.nn.silu(h @ p("ffn_gate").T) * (h @ p("ffn_up").T)) @ p("ffn_down").T
    return rms_norm(x, w["output_norm"]) @ w["token_embd"].T


def loss_of(cfg, w, rows):
    """Nats per token of rows [batch, time + 1]."""
    logits = forward(cfg, w, rows[:, :-1])
    picked = jnp.take_along_axis(logits, rows[:, 1:, None], -1)[..., 0]
    return (jax.nn.logsumexp(logits, -1) - picked).mean()


def orthogonal(g):
    """Nearest matrix with singular values near 1: five Newton-Schulz steps, as Muon does."""
    tall = g.shape[0] > g.shape[1]
    x = g.T if tall else g
    x = x / (jnp.linalg.norm(x) + 1e-7)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.T if tall else x


def is_matrix(name):
    """Whether Muon trains it; the embedding and the norms are Adam's."""
    return name.startswith("blk.") and "norm" not in name


def new_state(w):
    """The optimizer's memory: momenta "m.", Adam's second moments "v."."""
    state = {"step": jnp.float32(0)}
    for name, v in w.items():
        state["m." + name] = jnp.zeros_like(v)
        if not is_matrix(name):
            state["v." + name] = jnp.zeros_like(v)
    return state


@partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def train_step(cfg_items, w, state, rows, scale):
    """One step at scale (0..1) times the learning rates; gives (weights, state, loss)."""
    cfg = dict(cfg_items)
    loss, grad = jax.value_and_grad(partial(loss_of, cfg))(w, rows)
    norm = jnp.sqrt(sum((g * g).sum() for g in grad.values()))
    clip = jnp.minimum(1, 1 / (norm + 1e-6))
    step = state["step"] + 1
    new_w, new = {}, {"step": step}
    for name, g in grad.items():
        if is_matrix(name):
            rate = scale * cfg["lr_matrix"]
            m = BETA_MATRIX * state["m." + name] + g
            update = orthogonal(g + BETA_MATRIX * m) * max(1, g.shape[0] / g.shape[1]) ** 0.5
            new_w[name] = w[name] * (1 - rate * WEIGHT_DECAY) - rate * update
        else:
            g = g * clip
            m = BETA_1 * state["m." + name] + (1 - BETA_1) * g
            v = BETA_2 * state["v." + name] + (1 - BETA_2) * g * g
            update = m / (1 - BETA_1**step) / (jnp.sqrt(v / (1 - BETA_2**step)) + 1e-8)
            new_w[name] = w[name] - scale * cfg["lr_adam"] * update
            new["v." + name] = v
        new["m." + name] = m
    return new_w, new, loss

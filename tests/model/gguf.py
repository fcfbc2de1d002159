# SPDX-License-Identifier: GPL-2.0-or-later
"""GGUF files as far as the test model needs them: write one, and read it back to check it."""

import struct

import numpy as np

ALIGN = 32
F32, F16, Q8_0 = 0, 1, 8  # ggml's numbers for tensor types
SCALARS = {
    "u32": (4, "<I"),
    "i32": (5, "<i"),
    "f32": (6, "<f"),
    "bool": (7, "<?"),
    "u64": (10, "<Q"),
}
STRING, ARRAY = 8, 9
BY_ID = {number: fmt for number, fmt in SCALARS.values()}


def q8_0(a):
    """Blocks of 32 along the last axis: an f16 scale and 32 signed bytes."""
    b = a.reshape(-1, 32)
    scale = np.abs(b).max(1, keepdims=True) / 127
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    quants = np.round(b * inverse).astype(np.int8)
    return np.concatenate(
        [scale.astype(np.float16).view(np.uint8), quants.view(np.uint8)], 1
    ).tobytes()


def from_q8_0(raw, shape):
    b = np.frombuffer(raw, np.uint8).reshape(-1, 34)
    scale = b[:, :2].copy().view(np.float16).astype(np.float32)
    return (scale * b[:, 2:].view(np.int8)).reshape(shape)


def pack_string(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def pack_value(kind, value):
    return pack_string(value) if kind == "str" else struct.pack(SCALARS[kind][1], value)


def kind_id(kind):
    return STRING if kind == "str" else SCALARS[kind][0]


def pack_entry(key, kind, value):
    """One metadata entry; kind: u32 i32 f32 bool str, or "list:" and one of these."""
    if not kind.startswith("list:"):
        return pack_string(key) + struct.pack("<I", kind_id(kind)) + pack_value(kind, value)
    kind = kind[5:]
    return (
        pack_string(key)
        + struct.pack("<IIQ", ARRAY, kind_id(kind), len(value))
        + b"".join(pack_value(kind, v) for v in value)
    )


def write(path, meta, tensors):
    """meta: [(key, kind, value)]; tensors: [(name, f32 array)], the matrices become q8_0."""
    info, data = b"", b""
    for name, a in tensors:
        kind, raw = (F32, a.astype(np.float32).tobytes()) if a.ndim == 1 else (Q8_0, q8_0(a))
        dims = a.shape[::-1]  # GGUF counts dimensions from the fastest
        info += pack_string(name) + struct.pack(
            f"<I{len(dims)}QIQ", len(dims), *dims, kind, len(data)
        )
        data += raw + b"\0" * (-len(raw) % ALIGN)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(meta))
    head += b"".join(pack_entry(*m) for m in meta) + info
    with open(path, "wb") as f:
        f.write(head + b"\0" * (-len(head) % ALIGN) + data)


class Cursor:
    def __init__(self, buf):
        self.buf, self.at = buf, 0

    def take(self, fmt):
        values = struct.unpack_from(fmt, self.buf, self.at)
        self.at += struct.calcsize(fmt)
        return values if len(values) > 1 else values[0]

    def string(self):
        n = self.take("<Q")
        self.at += n
        return self.buf[self.at - n : self.at].decode()

    def value(self, number):
        if number == STRING:
            return self.string()
        if number == ARRAY:
            inner, count = self.take("<IQ")
            return [self.value(inner) for _ in range(count)]
        return self.take(BY_ID[number])


def read(path):
    """(metadata dict, {name: f32 array}) of a GGUF whose tensors are f32, f16 or q8_0."""
    c = Cursor(open(path, "rb").read())
    magic, version, n_tensors, n_meta = c.take("<4sIQQ")
    if magic != b"GGUF" or version != 3:
        raise ValueError(f"{path}: not a GGUF file of version 3")
    meta = {}
    for _ in range(n_meta):
        key = c.string()
        meta[key] = c.value(c.take("<I"))
    infos = []
    for _ in range(n_tensors):
        name, n_dims = c.string(), c.take("<I")
        dims = [c.take("<Q") for _ in range(n_dims)]
        infos.append((name, dims[::-1], *c.take("<IQ")))
    base, tensors = c.at + -c.at % ALIGN, {}
    for name, shape, kind, offset in infos:
        size = {F32: 4, F16: 2, Q8_0: 34 / 32}[kind] * np.prod(shape)
        raw = c.buf[base + offset : base + offset + int(size)]
        if kind == Q8_0:
            tensors[name] = from_q8_0(raw, shape)
        else:
            tensors[name] = (
                np.frombuffer(raw, np.float32 if kind == F32 else np.float16)
                .reshape(shape)
                .astype(np.float32)
            )
    return meta, tensors

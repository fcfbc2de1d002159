# SPDX-License-Identifier: GPL-2.0-or-later
"""containerd, spoken to as a kubelet does: the Container Runtime Interface over its socket.

The few messages are written by hand, because no package has them compiled: a message is a list of
(field number, value), where a value is text, a number, or a message again.
"""
import hashlib
import io
import json
import os
import subprocess
import tarfile

import grpc

from runtime import INSIDE, check, infini, out, write

FOLDER = "/tmp/containerd"
SOCKET = f"{FOLDER}/containerd.sock"
IMAGE = "localhost/tools:latest"
NODE_NAMESPACE = 2

CONFIG = f"""version = 3
root = "{FOLDER}/root"
state = "{FOLDER}/state"
[grpc]
address = "{SOCKET}"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{IMAGE}"
[plugins.'io.containerd.cri.v1.runtime']
enable_cdi = true
"""


# ---- messages ----

def varint(number):
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    return bytes(data + bytes([number]))


def encode(message):
    data = b""
    for field, value in message:
        if isinstance(value, int):
            data += varint(field << 3) + varint(value)
            continue
        part = value.encode() if isinstance(value, str) else encode(value)
        data += varint(field << 3 | 2) + varint(len(part)) + part
    return data


def read_varint(data, at):
    number = shift = 0
    while True:
        number |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 128:
            return number, at


def decode(data):
    """The last value of each field: a number, or bytes."""
    fields, at = {}, 0
    while at < len(data):
        tag, at = read_varint(data, at)
        value, at = read_varint(data, at)
        if tag & 7 == 2:
            value, at = data[at:at + value], at + value
        fields[tag >> 3] = value
    return fields


# ---- an image: one layer of the few files that our program needs ----

def needed():
    """Files of the host that INSIDE is linked with, as its loader finds them."""
    words = out(["ldd", INSIDE]).split()
    return sorted({word for word in words if word.startswith("/")})


def tar(members):
    """@members: name in the archive and bytes, or a path of the host."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, what in members:
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if isinstance(what, str):
                with open(what, "rb") as file:
                    what = file.read()
            info.size = len(what)
            archive.addfile(info, io.BytesIO(what))
    return data.getvalue()


def image():
    """An archive in the layout of the Open Container Initiative."""
    blobs = []

    def blob(data, kind, **more):
        if isinstance(data, dict):
            data = json.dumps(data).encode()
        digest = hashlib.sha256(data).hexdigest()
        blobs.append((f"blobs/sha256/{digest}", data))
        return {"mediaType": f"application/vnd.oci.image.{kind}", "size": len(data),
                "digest": f"sha256:{digest}", **more}

    layer = tar([("inside", INSIDE)] + [(path.lstrip("/"), path) for path in needed()])
    config = blob({"architecture": "amd64", "os": "linux",
                   "config": {"Entrypoint": ["/inside", "wait"]},
                   "rootfs": {"type": "layers",
                              "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}},
                  "config.v1+json")
    manifest = blob({"schemaVersion": 2, "config": config, "layers": [blob(layer, "layer.v1.tar")],
                     "mediaType": "application/vnd.oci.image.manifest.v1+json"},
                    "manifest.v1+json", annotations={"io.containerd.image.name": IMAGE})
    return tar([("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'),
                ("index.json", json.dumps({"schemaVersion": 2,
                                           "manifests": [manifest]}).encode()), *blobs])


# ---- containerd ----

class Containerd:
    """A containerd of our own, in memory."""

    def __init__(self, log):
        os.makedirs(FOLDER, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "containerd", FOLDER], check=True)
        write(f"{FOLDER}/config.toml", CONFIG)
        with open(log, "wb") as file:
            self.process = subprocess.Popen(["containerd", "--config", f"{FOLDER}/config.toml"],
                                            stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        infini.wait_until("containerd answers", lambda: os.path.exists(SOCKET), 60)
        self.channel = grpc.insecure_channel("unix:" + SOCKET)
        grpc.channel_ready_future(self.channel).result(60)
        with open(f"{FOLDER}/image.tar", "wb") as file:
            file.write(image())
        out(["ctr", "--address", SOCKET, "--namespace", "k8s.io", "images", "import",
             f"{FOLDER}/image.tar"])
        self.pod = self.config = None

    def call(self, method, *message):
        function = self.channel.unary_unary(f"/runtime.v1.RuntimeService/{method}",
                                            lambda data: data, lambda data: data)
        try:
            return decode(function(encode(message), timeout=120))
        except grpc.RpcError as error:
            raise infini.Trouble(f"{method}: {error.details()}") from error

    def start_pod(self):
        spaces = [(1, NODE_NAMESPACE)]
        self.config = [(1, [(1, "pod"), (2, "pod-uid"), (3, "default")]),
                       (8, [(2, [(1, spaces)])])]
        self.pod = self.call("RunPodSandbox", (1, self.config))[1].decode()

    def start(self, name, command, vdevs=()):
        """A container of the pod that runs; its id."""
        config = [(1, [(1, name)]), (2, [(1, IMAGE)]), *((3, word) for word in command),
                  *((17, [(1, f"infini.dev/vdev={vdev}")]) for vdev in vdevs)]
        box = self.call("CreateContainer", (1, self.pod), (2, config), (3, self.config))[1].decode()
        self.call("StartContainer", (1, box))
        return box

    def exec(self, box, *command):
        answer = self.call("ExecSync", (1, box), *((2, word) for word in command), (3, 60))
        check(not answer.get(3), f"exec {command}: {answer}")
        return answer.get(1, b"").decode().splitlines()

    def remove(self, box):
        self.call("RemoveContainer", (1, box))

    def stop(self):
        if self.pod:
            self.call("StopPodSandbox", (1, self.pod))
            self.call("RemovePodSandbox", (1, self.pod))
        self.channel.close()
        self.process.terminate()
        self.process.wait(60)

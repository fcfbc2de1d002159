#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Unlike chips in one machine at once, and vdevs that say what they need instead of which. TAP.

All of them are in QEMU's machine, whose kernel has DRM and with it GPUs that no backend drives. The shaders of
a text can take Mesa's software device longer there than a job may run, so Vulkan only adds, and its text is made
under User-mode Linux, at the host's speed, with the same devices.
"""
import concurrent.futures
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import every_operator  # noqa: E402  pylint: disable=wrong-import-position
import guest  # noqa: E402  pylint: disable=wrong-import-position
import infini  # noqa: E402  pylint: disable=wrong-import-position
import native  # noqa: E402  pylint: disable=wrong-import-position
from tap import Tap  # noqa: E402  pylint: disable=wrong-import-position

SECONDS = 1200                  # compilers, emulated on a busy host
CUDA = os.path.join(infini.TREE, "build/tests/cuda/libcuda.so.1")
ENDPOINT = "127.0.0.1:50052"
CONFIG = f"""[backend ggml]
devices = cpu0 vulkan0
[backend opencl]
enabled = yes
[backend cuda]
enabled = yes
library = {CUDA}
[remote far]
endpoint = {ENDPOINT}
retry_s = 1
[pool llama]
devices = cpu0 vulkan* far
"""

# Class and backend of each device.
DEVICES = {
    "cpu0": ("cpu", "ggml"),
    "vulkan0": ("gpu", "ggml"),
    "opencl0": ("cpu", "opencl"),
    "cuda0": ("gpu", "cuda"),
    "far": ("gpu", "ggml"),
}

# What vdevs ask for, and the device that is theirs. Two devices are this machine's processor: the first
# vdev of that class goes to the first of them by name.
LLAMA = {
    "cpu": (("--class", "cpu"), "cpu0"),
    "vulkan": (("--class", "gpu", "--vendor", "LLVMPIPE"), "vulkan0"),
    "remote": (("--class", "gpu", "--vendor", "remote"), "far"),
}
KERNELS = {
    "opencl": (("--class", "cpu", "--backend", "opencl"), "opencl0"),
    "cuda": (("--class", "gpu", "--vendor", "fake gpu"), "cuda0"),
}
POOLED = (("--class", "gpu", "--pool", "llama", "--pack"), ("vulkan0", "far"))
ADDITION = "ADD(type=f32,ne=[10,5,4,3],nr=[1,1,1,1],nf=1,perm1=0,src_overlap=0)"
SAXPY = {
    "opencl": [os.path.join(infini.TREE, "build/examples/opencl/saxpy"), "10048"],
    "cuda": [os.path.join(infini.TREE, "build/examples/ptx/ptx"), "saxpy", "10000"],
}


class Mixed:
    """The machine, its daemon, and a machine beside it."""

    def __init__(self, out, tokens, texts):
        native.lavapipe()
        # ggml leaves software devices out unless they are asked for by number.
        os.environ.update(GGML_VK_VISIBLE_DEVICES="0", FAKE_CUDA_DEVICES="1",
                          FAKE_CUDA_MEMORY=str(256 << 20))
        self.out, self.tokens, self.texts, self.server = out, tokens, texts, None
        self.daemon = infini.Daemon(out, [], CONFIG, "idle_exit_s = 2\nthreads_max = 1\n")

    def start(self):
        """Until all backends were asked: that is when infinid says what they found. The libraries are read
        from the disk before: emulated, that alone can take longer than a backend has to answer."""
        begin = time.monotonic()
        status, out, err = guest.run(["llama-completion", "--list-devices"], seconds=600)
        guest.check(not status and b"Vulkan0" in out, f"status {status}: {out!r} {err[-300:]}")
        print(f"# ggml found its devices in {time.monotonic() - begin:.0f} s", flush=True)
        self.server = infini.rpc_server(ENDPOINT, os.path.join(self.out, "server.log"), without_vulkan())
        self.daemon.start()
        infini.wait_until("every device", lambda: set(DEVICES) <= set(infini.devices()), 600)
        infini.wait_until("what infinid knows of them", lambda: all(
            device["pools"] is not None for device in infini.devices().values()), 600)

    def stop(self):
        self.daemon.stop()
        self.server.kill()
        self.server.wait()


def without_vulkan(environment=None):
    """For processes that shall have no device but the processor, and a vdev."""
    return dict(environment or os.environ, VK_LOADER_DRIVERS_DISABLE="*")


def create(name, *words):
    """A vdev that names no device: where it went."""
    said = json.loads(infini.ctl("vdev", "create", name, "--memory", "64M", "--json", *words))
    print(f"# {' '.join(words)}: {said['device']}, {said['placement']['why']}; "
          + "; ".join(f"{c['device']}: {c['why']}" for c in said["placement"]["candidates"]
                      if c["why"]), flush=True)
    return said["device"]


def text_on(name, command):
    begin = time.monotonic()
    text = guest.whole_text(command, without_vulkan(infini.tenant(name)), SECONDS)
    print(f"# a text on {name} in {time.monotonic() - begin:.0f} s", flush=True)
    return text


def saxpy_on(name):
    """A sum of vectors in the device's own language, checked by the one who asked for it."""
    if name == "vulkan":
        found = every_operator.verdicts("INFINI0", [ADDITION], without_vulkan(infini.tenant(name)),
                                        "/dev/null")
        guest.check(found.get(ADDITION) == "OK", f"{name}: {found}")
        return
    status, out, err = guest.run(SAXPY[name], dict(infini.tenant(name),
                                       EXAMPLES=os.path.join(infini.TREE, "examples/ptx")), SECONDS)
    guest.check(not status and b" 0 wrong" in out, f"{name}: {status}, {out!r}, {err[-300:]}")


# ---- cases ----

def case_devices(_):
    """CPU, Vulkan, OpenCL, CUDA and a remote server at once, each with its class and backend"""
    for name, device in infini.devices().items():
        print(f"# {name}: {device['class']}, {device['backend']}, {device['yield_level']}, vendor "
              f"{device['vendor']}, {device['description']}, pools {device['pools']}", flush=True)
        guest.check((device["class"], device["backend"]) == DEVICES[name] and device["online"],
                    f"{device}")


def case_nodes(_):
    """beside them virtio-gpu and vgem, each with the reason why no backend drives it"""
    # A console on the GPU would keep its driver in use.
    subprocess.run(["modprobe", "drm_kms_helper", "fbdev_emulation=0"], check=True)
    for module in ("virtio-gpu", "vgem"):
        subprocess.run(["modprobe", module], check=True)

    def reasons():
        known = json.loads(infini.ctl("device", "list", "--all", "--json"))
        return {node["driver"]: node["why"] for node in known["nodes"] or []}

    infini.wait_until("both nodes", lambda: set(reasons()) == {"virtio_gpu", "vgem"}, 120)
    infini.wait_until("backends are asked", lambda: all(
        f"{backend}: no device at" in (reasons()["virtio_gpu"] or "")
        for backend in ("ggml", "opencl", "cuda")), 600)
    guest.check("on no PCI bus" in reasons()["vgem"], f"{reasons()}")
    guest.check(all(infini.devices()[name]["online"] for name in DEVICES), "a device went off line")


def case_placed(_):
    """each description finds its device; what no device is finds none, with a reason for each"""
    for name, (words, device) in {**LLAMA, **KERNELS}.items():
        guest.check(create(name, *words) == device, f"{name} is elsewhere")
    words, devices = POOLED
    guest.check(create("pooled", *words) in devices, "no GPU of the pool")
    infini.ctl("vdev", "delete", "pooled")
    status, out, err = infini.ctl_try("vdev", "create", "none", "--class", "npu", "--memory", "1M")
    guest.check(status == 1 and not out and all(
        f"infinictl: {name}: class {what[0]}\n" in err for name, what in DEVICES.items()), err)


def case_text(mixed):
    """the same llama.cpp command line on all of those vdevs at once: the text of the plain CPU"""
    command = guest.completion("-c", "128", "-b", "64", "--no-warmup", "--ignore-eos", tokens=mixed.tokens)
    want = guest.whole_text([*command, *guest.PLAIN], without_vulkan(), SECONDS)
    with concurrent.futures.ThreadPoolExecutor(len(mixed.texts)) as pool:
        texts = dict(zip(mixed.texts, pool.map(
            lambda name: text_on(name, [*command, *guest.ON_VDEV]), mixed.texts)))
    for name, text in texts.items():
        guest.same_text(text, want, name)
        counted = infini.vdevs()[name]["stats"]["tokens_generated"]
        guest.check(counted >= mixed.tokens, f"{name}: {counted} tokens counted")
    print(f"# {want.decode().strip()!r}", flush=True)


def case_kernels(_):
    """sums of vectors in OpenCL C, in PTX and by Vulkan at once, all right"""
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(saxpy_on, (*SAXPY, "vulkan")))


def case_end(mixed):
    """everything stops, and the module can be unloaded"""
    infini.wait_until("clients are gone", lambda: not any(
        vdev["stats"]["clients"] for vdev in infini.vdevs().values()))
    for name in infini.vdevs():
        infini.ctl("vdev", "delete", name)
    mixed.stop()
    infini.unload_module()


# Tokens of a text, vdevs that make it, cases.
MACHINES = {
    "uml": (24, tuple(LLAMA),
            (case_devices, case_placed, case_kernels, case_text, case_end)),
    "qemu": (12, ("cpu", "remote"),
             (case_devices, case_nodes, case_placed, case_kernels, case_text, case_end)),
}


def main():
    tokens, texts, cases = MACHINES[sys.argv[2]]
    tap = Tap()
    infini.load_module()
    mixed = Mixed(sys.argv[1], tokens, texts)
    mixed.start()
    for case in cases:
        tap.case(case, mixed)
    tap.end()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Unlike chips in one machine at once, and vdevs that say what they need instead of which. TAP.

llama.cpp runs under User-mode Linux, at the host's speed; its kernel has no DRM, so the GPUs that no
backend drives are in QEMU's machine, with the same devices.
"""
import concurrent.futures
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import guest  # noqa: E402  pylint: disable=wrong-import-position
import infini  # noqa: E402  pylint: disable=wrong-import-position
import native  # noqa: E402  pylint: disable=wrong-import-position
from tap import Tap  # noqa: E402  pylint: disable=wrong-import-position

TOKENS = 24
CUDA = os.path.join(infini.TREE, "build/tests/cuda/libcuda.so.1")
CONFIG = f"""[backend ggml]
devices = cpu0 vulkan0
[backend opencl]
enabled = yes
[backend cuda]
enabled = yes
library = {CUDA}
[pool llama]
devices = cpu0 vulkan*
"""

# Class and backend of each device.
DEVICES = {
    "cpu0": ("cpu", "ggml"),
    "vulkan0": ("gpu", "ggml"),
    "opencl0": ("cpu", "opencl"),
    "cuda0": ("gpu", "cuda"),
}

# What vdevs ask for, and the device that is theirs.
LLAMA = {
    "cpu": (("--class", "cpu", "--backend", "ggml"), "cpu0"),
    "vulkan": (("--class", "gpu", "--vendor", "LLVMPIPE"), "vulkan0"),
    "pooled": (("--class", "gpu", "--pool", "llama"), "vulkan0"),
}
KERNELS = {
    "opencl": (("--class", "cpu", "--backend", "opencl"), "opencl0"),
    "cuda": (("--class", "gpu", "--vendor", "fake gpu"), "cuda0"),
}


class Mixed:
    """The machine and its daemon."""

    def __init__(self, out):
        native.lavapipe()
        # ggml leaves software devices out unless they are asked for by number.
        os.environ.update(GGML_VK_VISIBLE_DEVICES="0", FAKE_CUDA_DEVICES="1",
                          FAKE_CUDA_MEMORY=str(256 << 20))
        self.daemon = infini.Daemon(out, [], CONFIG, "idle_exit_s = 2\nthreads_max = 1\n")

    def start(self):
        """Until all backends were asked: that is when infinid says what they found. The libraries are read
        from the disk before: emulated, that alone can take longer than a backend has to answer."""
        begin = time.monotonic()
        status, out, err = guest.run(["llama-completion", "--list-devices"], seconds=600)
        guest.check(not status and b"Vulkan0" in out, f"status {status}: {out!r} {err[-300:]}")
        print(f"# ggml found its devices in {time.monotonic() - begin:.0f} s", flush=True)
        self.daemon.start()
        infini.wait_until("every device", lambda: set(DEVICES) <= set(infini.devices()), 600)
        infini.wait_until("what infinid knows of them", lambda: all(
            device["pools"] is not None for device in infini.devices().values()), 600)


def create(name, *words):
    """A vdev that names no device: where it went."""
    said = json.loads(infini.ctl("vdev", "create", name, "--memory", "96M", "--json", *words))
    print(f"# {' '.join(words)}: {said['device']}, {said['placement']['why']}; "
          + "; ".join(f"{c['device']}: {c['why']}" for c in said["placement"]["candidates"]
                      if c["why"]), flush=True)
    return said["device"]


def text_on(name):
    return guest.whole_text(guest.completion(*guest.ON_VDEV, tokens=TOKENS), infini.tenant(name))


# ---- cases ----

def case_devices(_):
    """CPU, Vulkan, OpenCL and CUDA at once, each with its class and backend"""
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
    status, out, err = infini.ctl_try("vdev", "create", "none", "--class", "npu", "--memory", "1M")
    guest.check(status == 1 and not out and all(
        f"infinictl: {name}: class {what[0]}\n" in err for name, what in DEVICES.items()), err)


def case_text(_):
    """the same llama.cpp command line on all of them at once: the text of the plain CPU"""
    want = guest.whole_text(guest.completion(*guest.PLAIN, tokens=TOKENS))
    with concurrent.futures.ThreadPoolExecutor(len(LLAMA)) as pool:
        texts = dict(zip(LLAMA, pool.map(text_on, LLAMA)))
    for name, text in texts.items():
        guest.same_text(text, want, name)
        counted = infini.vdevs()[name]["stats"]["tokens_generated"]
        guest.check(counted >= TOKENS, f"{name}: {counted} tokens counted")
    print(f"# {want.decode().strip()!r}", flush=True)


def case_end(mixed):
    """everything stops, and the module can be unloaded"""
    infini.wait_until("clients are gone", lambda: not any(
        vdev["stats"]["clients"] for vdev in infini.vdevs().values()))
    for name in infini.vdevs():
        infini.ctl("vdev", "delete", name)
    mixed.daemon.stop()
    infini.unload_module()


MACHINES = {
    "uml": ("build/kmod-uml-fast/infini.ko", (case_devices, case_placed, case_text, case_end)),
    "qemu": ("build/kmod/infini.ko", (case_devices, case_nodes, case_placed, case_end)),
}


def main():
    module, cases = MACHINES[sys.argv[2]]
    tap = Tap()
    infini.load_module(os.path.join(infini.TREE, module))
    mixed = Mixed(sys.argv[1])
    mixed.start()
    for case in cases:
        tap.case(case, mixed)
    tap.end()


if __name__ == "__main__":
    main()

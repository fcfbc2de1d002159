#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What infinid says of hardware: GPUs without a driver of ours that come and go. TAP."""
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import infini  # noqa: E402  pylint: disable=wrong-import-position
from guest import check, run  # noqa: E402  pylint: disable=wrong-import-position
from tap import Tap  # noqa: E402  pylint: disable=wrong-import-position

NAMES = "/usr/lib/udev/hwdb.bin"


def everything():
    return json.loads(infini.ctl("device", "list", "--all", "--json"))


def nodes():
    """Those there are, by driver."""
    return {node["driver"]: node for node in everything()["nodes"] or []}


def wait_for_nodes(*drivers):
    infini.wait_until(f"nodes of {drivers}", lambda: set(nodes()) == set(drivers), 60)


def case_no_gpu(daemon):
    """a machine without a GPU or /dev/dri: infinid serves, and lists nothing"""
    check(not os.path.exists("/dev/dri"), "there is a GPU")
    daemon.start()
    infini.wait_until("the inventory is written", lambda: everything()["nodes"] == [], 60)
    check(everything()["infinid_running"], "infinid is not seen to run")


def case_come(_):
    """drivers that are loaded: each node with names, address and the reason why it is of no use"""
    # A console on the GPU would keep its driver in use.
    subprocess.run(["modprobe", "drm_kms_helper", "fbdev_emulation=0"], check=True)
    for module in ("virtio-gpu", "vgem"):
        subprocess.run(["modprobe", module], check=True)
    wait_for_nodes("virtio_gpu", "vgem")
    infini.wait_until("backends are asked", lambda: "null" in (nodes()["virtio_gpu"]["why"] or ""))
    gpu, vgem = nodes()["virtio_gpu"], nodes()["vgem"]
    pci = gpu["pci"]
    check(pci and os.path.exists(f"/sys/bus/pci/devices/{pci}"), f"no such address: {pci}")
    check(gpu["pci_id"] == "1af4:1050" and gpu["driver_version"], f"{gpu}")
    if os.path.exists(NAMES):
        check("Red Hat" in gpu["vendor"] and "GPU" in gpu["model"], f"{gpu}")
    check(gpu["why"] == "no backend drives it: ggml: disabled in the configuration; "
                        f"null: no device at {pci}", gpu["why"])
    check(vgem["pci"] is None and "no PCI bus" in vgem["why"], f"{vgem}")
    for node in (gpu, vgem):
        check(os.path.exists(node["node"]) and node["device"] is None, f"{node}")
        check(all(node[key] is None for key in ("memory_bytes", "temperature_mc", "power_uw",
                                                "utilisation_ppm")), f"something is made up: {node}")


def case_table(_):
    """the table has them, too; registered devices say what they are"""
    table = infini.ctl("device", "list", "--all")
    check("virtio_gpu" in table and "no backend drives it" in table, table)
    device = next(line for line in table.splitlines() if line.startswith("null0"))
    check("segment" in device and "online" in device and " - " in device, device)


def case_go_and_come(_):
    """a driver that is unloaded takes its node along; loaded again, it is back"""
    before = everything()["nodes_time"]
    subprocess.run(["modprobe", "-r", "vgem"], check=True)
    wait_for_nodes("virtio_gpu")
    subprocess.run(["modprobe", "vgem"], check=True)
    wait_for_nodes("virtio_gpu", "vgem")
    check(everything()["nodes_time"] >= before, "the clock went back")
    check(infini.devices()["null0"]["online"], "null0 went off line")


def case_reload(daemon):
    """a backend that is configured but not installed is a reason"""
    with open(daemon.config, encoding="utf-8") as file:
        text = file.read()
    with open(daemon.config, "w", encoding="utf-8") as file:
        file.write(text + "[backend absent]\nenabled = yes\n")
    daemon.process.send_signal(signal.SIGHUP)
    infini.wait_until("the reason", lambda: "absent" in nodes()["virtio_gpu"]["why"], 60)
    check("infinid-absent.so" in nodes()["virtio_gpu"]["why"], nodes()["virtio_gpu"]["why"])


def case_device(daemon):
    """the GPU of a device goes: the device goes off line; it comes: the vdev is there as it was"""
    gpu = nodes()["virtio_gpu"]
    with open(daemon.config, "a", encoding="utf-8") as file:
        file.write(f"[device null0]\npci = {gpu['pci']}\n")
    daemon.process.send_signal(signal.SIGHUP)
    infini.wait_until("the device is known", lambda: nodes()["virtio_gpu"]["device"] == "null0", 60)
    check(nodes()["virtio_gpu"]["why"] is None, f"{nodes()}")
    check(infini.devices()["null0"]["hardware"]["driver"] == "virtio_gpu", "not on the device")
    infini.ctl("vdev", "create", "a", "--device", "null0", "--memory", "16M")
    for command, online in ((["modprobe", "-r", "virtio-gpu"], False),
                            (["modprobe", "virtio-gpu"], True)):
        subprocess.run(command, check=True)
        infini.wait_until(f"null0 after {command}", lambda wanted=online:
                          infini.devices()["null0"]["online"] == wanted, 60)
        check(infini.devices()["null1"]["online"], "null1 is off line")
    check(infini.vdevs()["a"]["device"] == "null0", "the vdev is gone")
    infini.ctl("vdev", "delete", "a")


def case_down(daemon):
    """infinid is stopped: what it knew has a time"""
    daemon.stop()
    status, out, err = run([infini.CTL, "device", "list", "--all"])
    check(not status and "infinid is not running" in err and "hardware is of 20" in err,
          f"{status}, {err!r}")
    check(b"virtio_gpu" in out, f"{out}")
    check(not everything()["infinid_running"], "infinid is seen to run")


def main():
    tap = Tap()
    infini.load_module()
    daemon = infini.Daemon(sys.argv[1], ["null0"], "[backend ggml]\nenabled = no\n"
                           "[backend null]\nenabled = yes\n")
    for function in (case_no_gpu, case_come, case_table, case_go_and_come, case_reload,
                     case_device, case_down):
        tap.case(function, daemon)
    infini.unload_module()
    tap.end()


if __name__ == "__main__":
    main()

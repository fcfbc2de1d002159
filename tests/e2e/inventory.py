#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What infinid says of hardware: GPUs without a driver of ours that come and go; and where vdevs go that
name no device. TAP."""
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


def placed(name, *words):
    """Create a vdev that names no device: where it went, and the line that says why."""
    lines = infini.ctl("vdev", "create", name, *words).splitlines()
    check(len(lines) == 2 and lines[1].startswith("placed on "), f"{lines}")
    return infini.vdevs()[name]["device"], lines[1]


def case_placement(_):
    """vdevs go where their description fits: to a pool, to the emptiest, to the fullest"""
    device, line = placed("one", "--class", "other", "--pool", "second", "--memory", "32M")
    check(device == "null1" and "null0: not in pool second" in line, line)
    device, line = placed("two", "--pool", "both", "--memory", "16M")
    check(device == "null0" and "the emptiest of 2 devices of pool both" in line, line)
    device, line = placed("three", "--pack", "--memory", "16M")
    check(device == "null1" and "the fullest of 2" in line, line)
    status, out, err = infini.ctl_try("vdev", "create", "four", "--class", "gpu", "--memory", "16M")
    check(status == 1 and not out and "null0: class other" in err and "null1: class other" in err and
          "none of 2 devices fits: asked for gpu with 16M free" in err, f"{status}, {out!r}, {err!r}")
    for name in ("one", "two", "three"):
        infini.ctl("vdev", "delete", name)


def case_placement_race(_):
    """eight at once for room of eight on two devices: each finds its place, the ninth none"""
    command = [infini.CTL, "vdev", "create", "--memory", "16M", "--class", "any"]
    makers = [subprocess.Popen([*command, f"racer{i}"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True) for i in range(8)]
    for maker in makers:
        out, err = maker.communicate(timeout=60)
        check(not maker.returncode, f"{out!r}, {err!r}")
        print(f"# {out.splitlines()[1]}", flush=True)
    where = sorted(vdev["device"] for vdev in infini.vdevs().values())
    check(where == ["null0"] * 4 + ["null1"] * 4, f"{where}")
    status, _, err = infini.ctl_try(*command[1:], "ninth")
    check(status == 1 and "null0: 0 of 64M free" in err and "null1: 0 of 64M free" in err, err)
    for i in range(8):
        infini.ctl("vdev", "delete", f"racer{i}")


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
                           "[backend null]\nenabled = yes\n"
                           "[device null0]\nmemory = 64M\n[device null1]\nmemory = 64M\n"
                           "[pool both]\ndevices = null*\n[pool second]\ndevices = null1\n")
    for function in (case_no_gpu, case_come, case_table, case_go_and_come, case_placement,
                     case_placement_race, case_reload, case_device, case_down):
        tap.case(function, daemon)
    infini.unload_module()
    tap.end()


if __name__ == "__main__":
    main()

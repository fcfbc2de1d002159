#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""infinictl bill after llama.cpp and null tenants, with a counter of energy that a test moves. TAP."""
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import infini  # noqa: E402  pylint: disable=wrong-import-position
from guest import ON_VDEV, check, completion, generating  # noqa: E402
from tap import Tap, chosen  # noqa: E402  pylint: disable=wrong-import-position
from powercap import Powercap  # noqa: E402  pylint: disable=wrong-import-position

LEDGER = "/tmp/bill.db"
INTERVAL_S = 2
NULL_LOAD = os.path.join(infini.TREE, "build/shares/load")
COUNTED = ("tokens_evaluated", "tokens_generated", "occupancy_ns")
# Millionths of a euro.
PER_KWH, PER_MILLION_TOKENS = 310000, 2000000


class World:
    """infinid with a ledger, vdevs of a device that is measured and of one that is not."""

    def __init__(self, out):
        self.powercap = Powercap("/tmp/powercap", 30)
        self.daemon = infini.Daemon(
            out, ["cpu0", "null0"],
            "[backend ggml]\ndevices = cpu0\n[backend null]\nenabled = yes\n"
            "[tariff]\ncurrency = EUR\nper_kwh = 0.31\nper_million_tokens = 2\n",
            f"idle_exit_s = 2\nledger = {LEDGER}\nledger_interval_s = {INTERVAL_S}\n")
        self.daemon.start()
        for name, device in (("a", "cpu0"), ("b", "cpu0"), ("c", "cpu0"), ("n", "null0"),
                             ("m", "null0")):
            create(name, device)
        self.gone = {}

    def stop(self):
        for name in infini.vdevs():
            infini.ctl("vdev", "delete", name, "--force")
        self.daemon.stop()
        self.powercap.close()


def create(name, device):
    infini.ctl("vdev", "create", name, "--device", device, "--memory", "100M")


def ggml_load(vdev, tokens=1000000):
    command = completion(*ON_VDEV, "--ignore-eos", "--no-warmup", "-c", "256", "--context-shift",
                         tokens=tokens)
    return subprocess.Popen(command, env=infini.tenant(vdev), stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def null_load(vdev, seconds):
    return subprocess.Popen([NULL_LOAD, "-d", str(seconds * 1000), "-s", str(seconds * 1000), "-t",
                             f"vdev={vdev},tokens=3"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait(processes):
    for process in processes:
        process.wait(300)


def kill(processes):
    for process in processes:
        process.kill()
    wait(processes)


def bill(*words):
    """The bill of an hour, as (device, vdev) and device: row."""
    answer = json.loads(infini.ctl("bill", "--ledger", LEDGER, "--since", "1h", *words, "--json"))
    return ({(row["device"], row["vdev"]): row for row in answer["vdevs"]},
            {row["device"]: row for row in answer["devices"]})


def module():
    """What the module has counted, as (device, vdev): numbers."""
    return {(vdev["device"], name): {key: vdev["stats"][key] for key in COUNTED}
            for name, vdev in infini.vdevs().items() if vdev["stats"]["occupancy_ns"]}


def billed():
    """The same of the bill, deleted vdevs included; idle devices have no line here."""
    return {key: {name: row[name] for name in COUNTED} for key, row in bill()[0].items() if key[1]}


def settled(world):
    """Wait until all that was counted is on the bill, and one interval more for its energy."""
    def complete():
        return billed() == {**world.gone, **module()}
    try:
        infini.wait_until("the bill is complete", complete, 20)
    except infini.Trouble as error:
        raise infini.Trouble(f"{error}: billed {billed()}, counted {world.gone} and {module()}") \
            from error
    time.sleep(INTERVAL_S + 1)


def add_up(device):
    """The rows of a device, idle time included, are its total."""
    rows, devices = bill()
    for key in (*COUNTED, "energy_mj", "unmetered_ns", "cost_millionths"):
        total = devices[device][key] or 0
        parts = sum(row[key] or 0 for (name, _), row in rows.items() if name == device)
        check(parts == total, f"{device}: {key} of the rows {parts}, of the device {total}")


def energy_mj(device):
    return bill()[1][device]["energy_mj"]


def case_sums(world):
    """five tenants on two devices: rows add up to the token and the millijoule"""
    world.powercap.start()
    wait([ggml_load("a", 16), ggml_load("b", 8), ggml_load("c", 8), null_load("n", 4),
          null_load("m", 3)])
    used_uj = world.powercap.rest()
    settled(world)
    add_up("cpu0")
    add_up("null0")
    check(energy_mj("cpu0") == used_uj // 1000,
          f"{energy_mj('cpu0')} mJ billed, {used_uj} uJ were used")
    for name, row in bill()[1].items():
        held = infini.devices()[name]["occupancy_ns"]
        check(row["occupancy_ns"] == held, f"{name}: {row['occupancy_ns']} ns billed, {held} held")


def case_no_reading(_):
    """a device that nothing measures has no energy on the bill: a dash, and words"""
    rows, devices = bill()
    for row in (rows["null0", "n"], devices["null0"]):
        check(row["energy_mj"] is None and row["unmetered_ns"] == row["occupancy_ns"], f"{row}")
    text = infini.ctl("bill", "--ledger", LEDGER, "--since", "1h")
    line = [line.split() for line in text.splitlines() if line.split()[:2] == ["null0", "n"]]
    check(len(line) == 1 and line[0][5] == "-", text)
    check("There was no energy reading for a part of this" in text, text)


def case_money(_):
    """costs are by the tariff, rounded down to a millionth"""
    for key, row in bill()[0].items():
        want = (row["energy_mj"] or 0) * PER_KWH // 3600000000 + \
            row["tokens_evaluated"] * PER_MILLION_TOKENS // 1000000
        check(row["cost_millionths"] == want and row["currency"] == "EUR",
              f"{key}: {row['cost_millionths']}, should be {want}")


def case_forms(_):
    """--csv and --json say the same, --since and --until choose, mistakes are told"""
    rows, _ = bill()
    table = csv.DictReader(io.StringIO(infini.ctl("bill", "--ledger", LEDGER, "--since", "1h",
                                                  "--csv")))
    lines = {(line["device"], line["vdev"] or None): line for line in table}
    check(set(lines) == set(rows), f"lines {set(lines)}, rows {set(rows)}")
    for key, row in rows.items():
        for name in (*COUNTED, "energy_mj", "unmetered_ns", "cost_millionths"):
            check(int(lines[key][name]) == (row[name] or 0), f"{key}: {name} differs")
    past = json.loads(infini.ctl("bill", "--ledger", LEDGER, "--since", "2020-01-01", "--until",
                                 "2020-02-01", "--json"))
    check(not past["vdevs"] and not past["devices"], f"of 2020: {past}")
    day = json.loads(infini.ctl("bill", "--ledger", LEDGER, "--since", "1d", "--json"))
    check(len(day["vdevs"]) == len(rows), f"of a day: {day}")
    for words in ((), ("--since", "yesterday"), ("--since", "1h", "--csv", "--json")):
        status, _, err = infini.ctl_try("bill", "--ledger", LEDGER, *words)
        check(status == 2 and err, f"{words}: status {status}, said {err!r}")


def case_kill(world):
    """infinid killed under load: nothing is lost or doubled, and what it did not see is billed"""
    world.powercap.start()
    load = [ggml_load("a"), ggml_load("b"), null_load("n", 60)]
    generating("a")
    generating("b")
    time.sleep(INTERVAL_S)
    # Workers go on while nobody enters what they do.
    os.kill(world.daemon.process.pid, signal.SIGSTOP)
    before, energy = billed(), energy_mj("cpu0")
    generating("a", 5)
    world.daemon.kill()
    used_uj = world.powercap.rest()
    kill(load)
    check(billed() == before and energy_mj("cpu0") == energy, "the kill changed the bill")
    unseen = module()["cpu0", "a"]["tokens_generated"] - before["cpu0", "a"]["tokens_generated"]
    check(unseen >= 5, f"{unseen} tokens were not on the bill")
    world.daemon.start()
    settled(world)
    check(energy_mj("cpu0") == energy, "joules were made up")
    row = bill()[0]["cpu0", "a"]
    want = row["occupancy_ns"] - before["cpu0", "a"]["occupancy_ns"]
    check(row["unmetered_ns"] == want, f"{row['unmetered_ns']} ns unmetered, should be {want}")
    world.powercap.start()
    wait([ggml_load("a", 8), null_load("n", 2)])
    more_uj = world.powercap.rest() - used_uj
    settled(world)
    add_up("cpu0")
    add_up("null0")
    check(energy_mj("cpu0") == energy + more_uj // 1000,
          f"{energy_mj('cpu0')} mJ, should be {energy} and {more_uj // 1000} more")


def case_restart(world):
    """infinid stopped and started again: the bill is the same"""
    before = bill()
    world.daemon.stop()
    check(bill() == before, "stopping changed the bill")
    world.daemon.start()
    settled(world)
    check(bill() == before, "starting changed the bill")


def case_deleted(world):
    """a deleted vdev keeps its line, one that lived between two entries gets it"""
    world.gone["cpu0", "c"] = module()["cpu0", "c"]
    infini.ctl("vdev", "delete", "c")
    create("brief", "null0")
    wait([null_load("brief", 1)])
    world.gone["null0", "brief"] = module()["null0", "brief"]
    infini.ctl("vdev", "delete", "brief")
    settled(world)
    add_up("cpu0")
    add_up("null0")


def main():
    cases = chosen(globals(), sys.argv[2:])
    if not cases:
        return
    tap = Tap()
    infini.load_module()
    world = World(sys.argv[1])
    for case in cases:
        tap.case(case, world)
    world.stop()
    infini.unload_module()
    tap.end()


if __name__ == "__main__":
    main()

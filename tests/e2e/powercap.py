# SPDX-License-Identifier: GPL-2.0-or-later
"""A RAPL counter for a machine that has none: a tree of our own where powercap's is mounted."""
import os
import subprocess
import threading
import time

PLACE = "/sys/class/powercap"
RANGE_UJ = 262143328850
STEP_S = 0.05


class Powercap:
    """One package, which uses @watts while it runs and nothing while it rests."""

    def __init__(self, folder, watts):
        self.watts_uj = watts * 1000000
        self.zone = os.path.join(folder, "intel-rapl:0")
        self.used_uj = 0
        # It begins close to its end: the first joules wrap around.
        self.first_uj = RANGE_UJ - 3000000
        self.stopping = threading.Event()
        self.thread = None
        os.makedirs(self.zone, exist_ok=True)
        self.put("name", "package-0")
        self.put("max_energy_range_uj", RANGE_UJ)
        self.show()
        subprocess.run(["mount", "--bind", folder, PLACE], check=True)

    def put(self, name, value):
        """Whoever reads sees the old or the new value, as in sysfs."""
        path = os.path.join(self.zone, name)
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(f"{value}\n")
        os.replace(path + ".new", path)

    def show(self):
        self.put("energy_uj", (self.first_uj + self.used_uj) % RANGE_UJ)

    def run(self):
        before = time.monotonic()
        while not self.stopping.wait(STEP_S):
            now = time.monotonic()
            self.used_uj += int(self.watts_uj * (now - before))
            before = now
            self.show()

    def start(self):
        self.rest()
        self.stopping.clear()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def rest(self):
        """Microjoules used so far; no more until start()."""
        if self.thread:
            self.stopping.set()
            self.thread.join()
            self.thread = None
        return self.used_uj

    def close(self):
        self.rest()
        subprocess.run(["umount", PLACE], check=True)

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Judges a demo: reads OUT/guest.json, writes OUT/report.json, prints the table."""
import json
import os
import sys
import textwrap

SHARE_TOLERANCE = 0.05


def main():
    out, warnings = sys.argv[1], int(sys.argv[2])
    with open(os.path.join(out, "guest.json"), encoding="utf-8") as file:
        report = json.load(file)
    a, b = report["tenants"]
    want = a["weight"] / b["weight"]
    report["share_ratio"] = round(a["occupancy_ns"] / max(b["occupancy_ns"], 1), 3)
    report["kernel_warnings"] = warnings
    checks = [
        ("every text is byte for byte that of the plain CPU device", report["identical"]),
        (f"occupancy {report['share_ratio']:.2f}:1, promised {want:.0f}:1 within 5 %",
         abs(report["share_ratio"] / want - 1) <= SHARE_TOLERANCE),
        (f"{report['layers_offloaded']} of {report['layers']} layers offloaded",
         0 < report["layers"] == report["layers_offloaded"]),
        (f"{warnings} warnings in the kernel log", warnings == 0),
    ]
    report["pass"] = all(ok for _, ok in checks)
    path = os.path.join(out, "report.json")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    os.replace(path + ".new", path)

    for text in report["texts"]:
        print(f"\nvdev {text['vdev']}: {textwrap.shorten(text['text'], 300, placeholder=' ...')}")
    print(f"\nBoth vdevs backlogged for {report['seconds_backlogged']} s:\n")
    print("VDEV  WEIGHT  OCCUPANCY   TOKENS  TOKENS/S  YIELDS  WAIT-P99")
    for row in report["tenants"]:
        print(f"{row['name']:4}  {row['weight']:6}  {row['occupancy_ns'] / 1e9:7.2f} s  "
              f"{row['tokens']:7}  {row['tokens_per_s']:8.1f}  {row['preemptions']:6}  "
              f"{row['queue_wait_p99_ns'] / 1e6:5.0f} ms")
    print()
    for name, ok in checks:
        print(f"{'ok  ' if ok else 'FAIL'}  {name}")
    print(f"\nWhole texts and all numbers: {os.path.relpath(path)}")
    sys.exit(0 if report["pass"] else 1)


if __name__ == "__main__":
    main()

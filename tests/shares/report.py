#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts the rows of both machines together: OUT/report.json, the table, and the plot.

report.py OUT WARNINGS WANTED...: backends whose rows there must be; WARNINGS in the kernel logs.
"""
import json
import os
import subprocess
import sys

from world import words_of

BIN_S = 0.1


def write(path, text):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)


def read(out, name):
    with open(os.path.join(out, name), encoding="utf-8") as file:
        return json.load(file)


def rows_of(out, backend):
    """The rows of a machine; one that failed when it left none."""
    try:
        return read(out, f"{backend}.json")
    except (OSError, ValueError) as error:
        return [{"name": "the machine leaves a report", "backend": backend, "relation": "=",
                 "unit": "", "promised": None, "measured": None, "error_pct": None,
                 "pass": False, "detail": str(error)}]


def warnings_row(count):
    return {"name": "warnings in the kernel logs", "backend": "all", "relation": "=", "unit": "",
            "promised": 0, "measured": count, "error_pct": 0.0 if not count else 100.0,
            "pass": not count, "detail": ""}


def table(rows):
    lines = [("", "BACKEND", "PROMISE", "PROMISED", "MEASURED", "ERROR")]
    for row in rows:
        if row["relation"] == "not promised":
            lines.append(("-", row["backend"], row["name"], "not promised", "", ""))
            continue
        if row["promised"] is None:
            lines.append(("FAIL", row["backend"], row["name"], "", row["detail"][:60], ""))
            continue
        bound = "" if row["relation"] == "=" else row["relation"] + " "
        lines.append(("ok" if row["pass"] else "FAIL", row["backend"], row["name"],
                      bound + words_of(row["promised"], row["unit"]),
                      words_of(row["measured"], row["unit"]), f"{row['error_pct']:.2f} %"))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    reasons = [f"{row['backend']}: {row['name']}: not promised: {row['detail']}" for row in rows
               if row["relation"] == "not promised"]
    return "\n".join(["  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip()
                      for line in lines] + reasons)


# ---- the plot ----

def stacked(story):
    """Lines of time, 0, and the summed parts of the first, the first two … vdevs, in percent."""
    names = list(story["samples"])
    steps = round(BIN_S / (story["samples"][names[0]][1][0] - story["samples"][names[0]][0][0]))
    lines = []
    for i in range(steps, len(story["samples"][names[0]]), steps):
        total, sums = 0.0, [0.0]
        for name in names:
            (begin, before), (end, after) = (story["samples"][name][i - steps],
                                             story["samples"][name][i])
            total += 100 * (after - before) / (end - begin)
            sums.append(total)
        lines.append(" ".join(f"{value:.3f}" for value in [(begin + end) / 2, *sums]))
    return "\n".join(lines) + "\n"


def promised(story):
    """The borders between them as they should be; a blank line where a phase ends."""
    phases, end = story["phases"], max(sample[0] for sample in story["samples"]["a"])
    lines = []
    for phase, until in zip(phases, [p["begin_s"] for p in phases[1:]] + [end]):
        shares, borders = list(phase["shares"].values()), []
        for i in range(1, len(shares)):
            borders.append(sum(shares[:i]))
        borders += [100.0] * (2 - len(borders))
        for moment in (phase["begin_s"], until):
            lines.append(f"{moment} {' '.join(map(str, borders))}")
        lines.append("")
    return "\n".join(lines) + "\n"


def plot(out, story):
    """occupancy.png and occupancy.svg; their paths."""
    data, lines = os.path.join(out, "occupancy.dat"), os.path.join(out, "promised.dat")
    write(data, stacked(story))
    write(lines, promised(story))
    marks = []
    for number, phase in enumerate(story["phases"], 1):
        at = phase["begin_s"]
        marks.append(f"set label {number} \"{phase['name']}\" at {at + 0.08},109 font ',10'")
        if at:
            marks.append(f"set arrow {number} from {at},0 to {at},116 nohead linewidth 1.5 front")
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "occupancy.gp")
    paths = []
    for suffix, terminal in (("png", "pngcairo size 1200,640 font 'DejaVu Sans,11'"),
                             ("svg", "svg size 1200,640 font 'DejaVu Sans,11' background 'white'")):
        path = os.path.join(out, f"occupancy.{suffix}")
        subprocess.run(["gnuplot", "-e", f"set terminal {terminal}; set output '{path}'; "
                        f"data='{data}'; promised='{lines}'; {'; '.join(marks)}", script],
                       check=True)
        paths.append(path)
    return paths


def main():
    out, warnings, wanted = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    rows = [row for backend in wanted for row in rows_of(out, backend)]
    rows.append(warnings_row(warnings))
    passed = len(rows) > 1 and all(row["pass"] for row in rows)
    write(os.path.join(out, "report.json"), json.dumps({"pass": passed, "rows": rows}, indent=1))
    print()
    print(table(rows))
    if os.path.exists(os.path.join(out, "story.json")):
        print("\n" + "\n".join(os.path.relpath(path) for path in plot(out,
                                                                      read(out, "story.json"))))
    failed = sum(not row["pass"] for row in rows)
    limits = sum(row["relation"] == "not promised" for row in rows)
    print(f"\n{len(rows) - failed - limits} promises kept, {failed} broken, {limits} not given; "
          f"{os.path.relpath(out)}/report.json")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()

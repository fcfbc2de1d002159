# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of the benchmark gathered: report.json, the table and the plots."""
import json
import os
import subprocess

KEYS = ("name", "ours", "peer", "peer_name", "ratio", "unit", "goal", "pass", "spread", "note")


def parse(line):
    """The row in @line of a program's output, or None for a line of another kind."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and set(row) == set(KEYS) else None


def merge(old, new):
    """@new rows, before them those of benches that did not run this time."""
    fresh = {row["bench"] for row in new}
    return [row for row in old if row["bench"] not in fresh] + new


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)["rows"]
    except (OSError, ValueError, KeyError):
        return []


def passed(rows):
    return all(row["pass"] is not False for row in rows)


def write(path, rows, machine):
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump({"pass": passed(rows), "machine": machine, "rows": rows}, file, indent=1)
    os.replace(path + ".new", path)


def number(value):
    """Four digits that count."""
    if value is None:
        return "-"
    if value == int(value) and abs(value) < 1e9:
        return str(int(value))
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def verdict(row):
    if row["note"].startswith("not here: "):
        return "-"
    return {None: "", True: "ok", False: "MISSED"}[row["pass"]]


def cells(row):
    spread = "" if row["spread"] is None else f"{row['spread']:.1f} %"
    return (row["bench"], row["name"], number(row["ours"]), spread, row["unit"], number(row["peer"]),
            row["peer_name"] or "", number(row["ratio"]), row["goal"] or "", verdict(row))


def table(rows):
    lines = [("BENCH", "WHAT", "OURS", "SPREAD", "UNIT", "PEER", "WHICH", "RATIO", "GOAL", "")]
    lines += [cells(row) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = ["  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip()
            for line in lines]
    notes = [f"{row['bench']}: {row['name']}: {row['note']}" for row in rows if row["note"]]
    return "\n".join(text + ([""] + notes if notes else []))


# ---- plots ----

def quoted(text):
    """For gnuplot's data: one word, and nothing that its enhanced text would take for a sign."""
    return '"' + text.replace('"', "'").replace("_", "-") + '"'


def groups(rows):
    """Rows that one plot can hold: (bench, unit), those with a peer."""
    found = {}
    for row in rows:
        if row["ratio"] is not None:
            found.setdefault((row["bench"], row["unit"]), []).append(row)
    return found


def plot_data(rows):
    """A line for each row: what, ours, peer; the peer's name is a part of what."""
    return "".join(f"{quoted(row['name'] + ' : ' + (row['peer_name'] or ''))} {row['ours']} "
                   f"{row['peer']}\n" for row in rows)


def plot(out, bench, unit, rows):
    """A chart of bars as PNG and SVG; their paths."""
    stem = os.path.join(out, bench + "-" + "".join(c if c.isalnum() else "-" for c in unit))
    with open(stem + ".dat", "w", encoding="utf-8") as file:
        file.write(plot_data(rows))
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bars.gp")
    height = 200 + 60 * len(rows)
    paths = []
    for suffix, terminal in (("png", f"pngcairo size 1200,{height} font 'DejaVu Sans,11'"),
                             ("svg", f"svg size 1200,{height} font 'DejaVu Sans,11' "
                                     "background 'white'")):
        subprocess.run(["gnuplot", "-e", f"set terminal {terminal}; set output '{stem}.{suffix}'; "
                        f"data='{stem}.dat'; what='{bench}'; unit='{unit}'; rows={len(rows)}",
                        script], check=True)
        paths.append(f"{stem}.{suffix}")
    return paths


def plots(out, rows):
    return [path for (bench, unit), group in groups(rows).items()
            for path in plot(out, bench, unit, group)]

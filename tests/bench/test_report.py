#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of rows: goals, the report, the table. Prints TAP."""
import json
import os
import sys
import tempfile

import report
import row as rows_of

GOALS = [
    ("below a bound", "<= 1.0", 0.99, True),
    ("on a bound", "<= 1.0", 1.0, True),
    ("above a bound", "<= 1.0", 1.01, False),
    ("enough", ">= 2.5", 2.5, True),
    ("too little", ">= 2.5", 2.49, False),
    ("no goal", None, 7, None),
]


def check_goals():
    for name, goal, value, want in GOALS:
        assert rows_of.holds(goal, value) is want, name


def check_row():
    row = rows_of.row("trip", [3, 1, 2, 2], "us", [4, 4, 4], "pipe", "<= 0.5")
    assert (row["ours"], row["peer"], row["ratio"], row["pass"]) == (2, 4, 0.5, True), row
    assert row["spread"] == 75, row
    row = rows_of.row("bytes", 9000, "bytes", goal="<= 8192")
    assert row["ratio"] is None and row["pass"] is False and row["spread"] is None, row


def check_parse():
    row = rows_of.row("trip", 1, "us")
    assert report.parse(json.dumps(row)) == row
    for line in ("", "make: nothing to do", "3", "[]", "{}", json.dumps(dict(row, more=1))):
        assert report.parse(line) is None, line


def check_report():
    old = [dict(rows_of.row("a", 1, "us"), bench="one"), dict(rows_of.row("b", 1, "us"), bench="two")]
    new = [dict(rows_of.failed("a", "it fell"), bench="one")]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "report.json")
        assert not report.load(path)
        report.write(path, old, {})
        assert report.load(path) == old and report.passed(old)
        rows = report.merge(report.load(path), new)
        report.write(path, rows, {})
        with open(path, encoding="utf-8") as file:
            written = json.load(file)
    assert [row["bench"] for row in written["rows"]] == ["two", "one"] and not written["pass"]


def check_table():
    rows = [dict(rows_of.row("a", 19400, "ns", 20000, "pipe", "<= 0.9"), bench="one"),
            dict(rows_of.absent("b", "no such module", "ublk", "<= 1"), bench="one")]
    text = report.table(rows)
    assert "MISSED" in text and "0.97" in text and "one: b: not here: no such module" in text, text
    assert not any(word in text.splitlines()[2] for word in ("MISSED", "ok")), text
    assert report.passed(rows[1:]) and not report.passed(rows)


CASES = [("goals hold or not", check_goals), ("a row of samples", check_row),
         ("other lines of a program are no rows", check_parse),
         ("a report keeps rows of benches that did not run", check_report),
         ("the table says what was missed and what is not here", check_table)]


def main():
    print(f"1..{len(CASES)}")
    failed = 0
    for number, (name, case) in enumerate(CASES, 1):
        try:
            case()
            print(f"ok {number} - bench: {name}")
        except AssertionError as error:
            failed += 1
            print(f"# {error}\nnot ok {number} - bench: {name}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-2.0-or-later
"""ggml's own test of operators on a vdev, and on the same device without Infini. For programs that run in
a machine."""
import collections
import csv
import glob
import os
import re
import time

import guest
import infini

SECONDS = 1800
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
VERDICT = re.compile(r"^\s*([A-Z0-9_]+\(.*\)): (.*)$")

BATCH_BYTES = 60000

# The one case of an operator computes about so much: numbers in its description, multiplied.
MODERATE = 20000


def command(mode, backend, *more):
    return [glob.glob("/usr/libexec/*/ggml/test-backend-ops")[0], mode, "-b", backend, *more]


def claims(backend, environment):
    """Which cases there are, by operator, and whether the device claims each."""
    status, out, err = guest.run(command("support", backend, "--output", "csv"), environment, SECONDS)
    guest.check(not status, f"support: status {status}: {err[-300:]}")
    known = collections.defaultdict(dict)
    for row in csv.DictReader(out.decode(errors="replace").splitlines()):
        known[row["op_name"]][row["op_params"]] = row["supported"] == "1"
    guest.check(known, f"{backend} claims nothing and refuses nothing: {err[-300:]}")
    return known


def moderate(params):
    """What to sort by: cases of a thousand elements in a row and more come last, then the far off."""
    numbers = [int(word) for word in re.findall(r"\d+", params)]
    work = 1
    for number in numbers:
        work *= max(number, 1)
    return sum(number >= 1000 for number in numbers), abs(work - MODERATE), params


def batches(cases):
    """Lists of cases which fit a command's line, where a word has at most 128 KiB."""
    batch, length = [], 0
    for case in cases:
        if length + len(case) > BATCH_BYTES:
            yield batch
            batch, length = [], 0
        batch.append(case)
        length += len(case) + 1
    if batch:
        yield batch


def verdicts(backend, cases, environment, log):
    """What came of each: OK, FAIL and why, not supported. One that ends the test takes along those behind it, which
    are asked again alone."""
    found = {}
    with open(log, "w", encoding="utf-8") as file:
        def ask(some):
            _, out, err = guest.run(command("test", backend, "-o", ",".join(some)), environment, SECONDS)
            text = COLOURS.sub("", out.decode(errors="replace"))
            file.write(text + err)
            found.update((match[1], match[2].strip()) for match in map(VERDICT.match, text.splitlines()) if match)

        for batch in batches(cases):
            ask(batch)
            for case in batch:
                if case not in found:
                    ask([case])
    return found


def failures(cases, found, plain, environment, log):
    """Which of the cases did not pass, each told; and which of these are not the plain device's own failures, too."""
    bad = [case for case in cases if found.get(case) != "OK"]
    there = verdicts(plain, bad, environment, log) if bad else {}
    for case in bad:
        print(f"# {case}: {found.get(case, 'no verdict')}; on {plain} without Infini: "
              f"{there.get(case, 'no verdict')}", flush=True)
    return bad, [case for case in bad if there.get(case, "OK") == "OK"]


def count(known):
    return sum(sum(cases.values()) for cases in known.values())


def unlike(vdev, plain):
    """Per operator, the cases that one of the two claims alone."""
    for name, cases in vdev.items():
        less = [case for case, claimed in cases.items() if plain[name][case] and not claimed]
        more = [case for case, claimed in cases.items() if claimed and not plain[name][case]]
        if less or more:
            yield name, less, more


def check(out, name, plain, only=None):
    """One case of each operator that the vdev claims, or of those, and how its claims differ from those of the plain
    device. What fails without Infini, too, is told and is no failure of the vdev."""
    begin = time.monotonic()
    tenant = infini.tenant(name)
    vdev, device = claims("INFINI0", tenant), claims(plain, dict(os.environ))
    print(f"# the vdev claims {count(vdev)} cases of {sum(map(len, vdev.values()))}, "
          f"{plain} without Infini {count(device)}; asked in {time.monotonic() - begin:.0f} s", flush=True)
    for operator, less, more in unlike(vdev, device):
        print(f"# {operator}: {len(less)} cases that only {plain} claims, {len(more)} that only the vdev claims, "
              f"such as {(less + more)[0]}", flush=True)
    cases = {operator: min((case for case, claimed in all_of.items() if claimed), key=moderate)
             for operator, all_of in vdev.items()
             if any(all_of.values()) and (not only or operator in only)}
    cases = [f"{operator}({case})" for operator, case in cases.items()]
    found = verdicts("INFINI0", cases, tenant, os.path.join(out, f"every-operator-{name}.log"))
    bad, ours = failures(cases, found, plain, dict(os.environ), os.path.join(out, f"every-operator-{plain}.log"))
    guest.check(not ours, f"{len(ours)} operators fail on the vdev alone, the first {ours[:1]}")
    print(f"# {len(cases) - len(bad)} of {len(cases)} operators pass, one case of each, in "
          f"{time.monotonic() - begin:.0f} s; the vdev claims {sum(any(c.values()) for c in vdev.values())} operators "
          f"of {len(vdev)}", flush=True)

# SPDX-License-Identifier: GPL-2.0-or-later
"""ggml's own test of operators on a vdev, and on the same device without Infini. For programs that run in
a machine."""
import collections
import csv
import glob
import math
import os
import re
import time

import guest
import infini

SECONDS = 1800
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
VERDICT = re.compile(r"^\s*([A-Z0-9_]+\(.*\)): (.*)$")

BATCH_BYTES = 12000

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


def work(params):
    """What to sort by: how many numbers there are of a thousand and more, and all of them multiplied."""
    numbers = [int(word) for word in re.findall(r"\d+", params)]
    return sum(number >= 1000 for number in numbers), math.prod(max(number, 1) for number in numbers)


def moderate(params):
    """What to sort by: cases of a thousand elements in a row and more come last, then the far off."""
    large, product = work(params)
    return large, abs(product - MODERATE), params


def spread(cases, number):
    """So many of them, from the first to the last of the smaller half."""
    if not number or number >= len(cases):
        return cases
    most = sorted(map(work, cases))[max(number, len(cases) // 2) - 1]
    cases = [case for case in cases if work(case) <= most]
    return [cases[at * len(cases) // number] for at in range(number)]


def batches(cases):
    """Lists of cases, each for one run of the test: what ends it costs no more than these."""
    batch, length = [], 0
    for case in cases:
        if length + len(case) > BATCH_BYTES:
            yield batch
            batch, length = [], 0
        batch.append(case)
        length += len(case) + 1
    if batch:
        yield batch


def read(text):
    """What ggml's test says of each case."""
    return {match[1]: match[2].strip() for match in map(VERDICT.match, COLOURS.sub("", text).splitlines()) if match}


def passed(log):
    """What an earlier run says to have passed."""
    if not os.path.exists(log):
        return {}
    with open(log, encoding="utf-8") as file:
        return {case: verdict for case, verdict in read(file.read()).items() if verdict == "OK"}


def verdicts(backend, cases, environment, log, resume=False):
    """What came of each: OK, FAIL and why, not supported. One that ends the test takes along those behind it, which
    are asked again alone. To resume is to leave out those that the log has passing."""
    found = passed(log) if resume else {}
    with open(log, "a" if resume else "w", encoding="utf-8") as file:
        def ask(some):
            _, out, err = guest.run(command("test", backend, "-o", ",".join(some)), environment, SECONDS)
            text = out.decode(errors="replace")
            print(text + err, file=file, flush=True)
            found.update(read(text))

        for batch in batches([case for case in cases if case not in found]):
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


def check(out, name, plain, only=None, each=1):
    """So many cases of each operator that the vdev claims, or of those, and how its claims differ from those of the
    plain device. What fails without Infini, too, is told and is no failure of the vdev."""
    begin = time.monotonic()
    tenant = infini.tenant(name)
    vdev, device = claims("INFINI0", tenant), claims(plain, dict(os.environ))
    print(f"# the vdev claims {count(vdev)} cases of {sum(map(len, vdev.values()))}, "
          f"{plain} without Infini {count(device)}; asked in {time.monotonic() - begin:.0f} s", flush=True)
    for operator, less, more in unlike(vdev, device):
        print(f"# {operator}: {len(less)} cases that only {plain} claims, {len(more)} that only the vdev claims, "
              f"such as {(less + more)[0]}", flush=True)
    claimed = {operator: [f"{operator}({case})" for case, claims_it in cases.items() if claims_it]
               for operator, cases in vdev.items() if not only or operator in only}
    cases = [case for of in claimed.values() if of
             for case in (spread(of, each) if each > 1 else [min(of, key=moderate)])]
    found = verdicts("INFINI0", cases, tenant, os.path.join(out, f"every-operator-{name}.log"))
    bad, ours = failures(cases, found, plain, dict(os.environ), os.path.join(out, f"every-operator-{plain}.log"))
    guest.check(not ours, f"{len(ours)} cases fail on the vdev alone, the first {ours[:1]}")
    print(f"# {len(cases) - len(bad)} of {len(cases)} cases of {sum(map(bool, claimed.values()))} operators pass, in "
          f"{time.monotonic() - begin:.0f} s; the vdev claims {sum(any(c.values()) for c in vdev.values())} operators "
          f"of {len(vdev)}", flush=True)

# SPDX-License-Identifier: GPL-2.0-or-later
"""One line of the benchmark's table: what programs of rows print, one JSON object on a line each."""
import json
import statistics

GOALS = {"<=": lambda value, bound: value <= bound, ">=": lambda value, bound: value >= bound}


def holds(goal, value):
    """Is @value within @goal, as in "<= 1.0"? None where there is no goal."""
    if goal is None:
        return None
    relation, bound = goal.split()
    return GOALS[relation](value, float(bound))


def spread_pct(samples):
    """Distance of the quartiles in percent of the median."""
    if len(samples) < 4:
        return None
    low, middle, high = statistics.quantiles(samples, n=4)
    return 100 * (high - low) / middle if middle else None


def row(name, ours, unit, peer=None, peer_name=None, goal=None, note="", spread=None):
    """
    A measured row. Numbers, or lists of samples, of which the median counts and the quartiles are
    the spread. The goal is for the ratio ours : peer, without a peer for the number itself.
    """
    if isinstance(ours, list):
        spread = spread_pct(ours) if spread is None else spread
        ours = statistics.median(ours)
    if isinstance(peer, list):
        peer = statistics.median(peer)
    ratio = ours / peer if peer else None
    return {"name": name, "ours": ours, "peer": peer, "peer_name": peer_name, "ratio": ratio,
            "unit": unit, "goal": goal, "pass": holds(goal, ours if ratio is None else ratio),
            "spread": spread, "note": note}


def absent(name, reason, peer_name=None, goal=None):
    """A row that could not be measured here, and why."""
    return {"name": name, "ours": None, "peer": None, "peer_name": peer_name, "ratio": None,
            "unit": "", "goal": goal, "pass": None, "spread": None, "note": f"not here: {reason}"}


def failed(name, reason):
    """What should have been measured and was not."""
    return dict(absent(name, ""), **{"pass": False, "note": reason})


def show(*rows):
    for each in rows:
        print(json.dumps(each), flush=True)

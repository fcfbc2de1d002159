# SPDX-License-Identifier: GPL-2.0-or-later
"""What the rows of promises share: vdevs, the load on them, and results as TAP and JSON."""
import json
import os
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import infini  # noqa: E402  pylint: disable=wrong-import-position

LOAD = os.path.join(infini.TREE, "build/shares/load")
FILL = os.path.join(infini.TREE, "build/e2e/fill")
QUANTUM_MS = 2.0


class Chip:
    """What the load runs on: a device, what every tenant is told besides its own words, and the smallest
    memory limit that rows give a vdev, in MiB."""

    device, words, memory = "null0", {}, 32


class Sample:
    """Counters of one vdev at one moment. @work_s: inside segments; @runnable_s: it had a job."""

    def __init__(self, words):
        numbers = list(map(int, words))
        self.time_s = numbers[0] / 1e9
        self.occupancy_s, self.runnable_s, self.work_s = (n / 1e9 for n in numbers[1:4])
        self.tokens, self.jobs, self.preemptions, self.slices = numbers[4:]


class Waits:
    """Of the jobs of one tenant, from submission to the end less the time in the slot; in ms.
    @longest: most time in the slot."""

    def __init__(self, words):
        self.jobs = int(words[0])
        self.mean, self.p50, self.p99, self.most, self.longest = (
            int(word) / 1e6 for word in words[1:])


class Run:
    """What came of a load."""

    def __init__(self, text):
        self.samples, self.waits = {}, []
        for line in text.splitlines():
            kind, *words = line.split()
            if kind == "sample":
                self.samples.setdefault(words[1], []).append(Sample(words[:1] + words[2:]))
            elif kind == "waits":
                self.waits.append((words[0], Waits(words[1:])))

    def at(self, vdev, time_s):
        """The sample taken then."""
        return min(self.samples[vdev], key=lambda sample: abs(sample.time_s - time_s))

    def end_s(self):
        return max(samples[-1].time_s for samples in self.samples.values())

    def got(self, vdev, what="occupancy_s", begin=0.0, end=None):
        """How much a counter rose between two moments."""
        end = self.end_s() if end is None else end
        return getattr(self.at(vdev, end), what) - getattr(self.at(vdev, begin), what)

    def backlogged(self, vdev, begin=0.0, end=None):
        """The part of the time in which it had a job."""
        end = self.end_s() if end is None else end
        return self.got(vdev, "runnable_s", begin, end) / (end - begin)

    def wait(self, vdev):
        return next(waits for name, waits in self.waits if name == vdev)


def load(tenants, seconds, sample_ms=None, commands=()):
    """Run tenants, a list of (vdev, {word: number}), for so long. @commands: (seconds, words)."""
    words = [LOAD, "-d", str(seconds * 1000), "-s", str(sample_ms or seconds * 1000)]
    for at_s, command in commands:
        words += ["-x", f"{at_s * 1000}:{infini.CTL} {command}"]
    for vdev, options in tenants:
        options = {**options, **Chip.words}
        words += ["-t", ",".join([f"vdev={vdev}", *(f"{k}={v}" for k, v in options.items())])]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode:
        raise infini.Trouble(f"the load ended with {done.returncode}: {done.stderr.strip()}")
    return Run(done.stdout)


def fill(vdev, step_mib=1):
    """Takes the vdev's memory until that is refused: MiB that it got, and the errno of the refusal."""
    done = subprocess.run([FILL, str(step_mib << 20)], env=infini.tenant(vdev), check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise infini.Trouble(f"fill ended with {done.returncode}: {done.stderr.strip()}")
    got, error = done.stdout.split()
    return int(got) / (1 << 20), error


class Vdevs:
    """Some vdevs, for as long as the block lasts. Options are those of infinictl."""

    def __init__(self, memory="60M", device=None, **options):
        self.memory, self.device, self.options = memory, device or Chip.device, options

    def __enter__(self):
        try:
            for name, options in self.options.items():
                infini.ctl("vdev", "create", name, "--device", self.device, "--memory",
                           self.memory, *option_words(options))
        except infini.Trouble:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.options:
            infini.ctl_try("vdev", "delete", name, "--force")


def option_words(options):
    """What infinictl is told: {"cap": "20%"} is --cap 20%."""
    return [word for key, value in options.items() for word in (f"--{key}", str(value))]


def plain(number):
    """A number without needless digits."""
    return round(number, 4) if isinstance(number, float) else number


def words_of(value, unit):
    """1:2:4 for a list, 20 % for a number."""
    if isinstance(value, (list, tuple)):
        return ":".join(f"{number:.4g}" for number in value)
    return f"{value:.5g}{' ' + unit if unit else ''}"


class Table:
    """Rows of promised and measured; each is a line of TAP at once."""

    def __init__(self, out, backend, host=None):
        self.path = os.path.join(out, f"{backend}.json")
        self.backend, self.host, self.rows, self.failed = backend, host, [], 0

    def add(self, name, promised, measured, relation="=", unit="", error_pct=0.0, passed=False,
            detail=""):
        """One row, whatever it says."""
        self.rows.append({
            "name": name, "backend": self.backend, "relation": relation, "unit": unit,
            "promised": promised, "error_pct": round(error_pct, 3), "pass": bool(passed),
            "measured": list(map(plain, measured)) if isinstance(measured, (list, tuple))
            else plain(measured), "detail": detail})
        self.failed += not passed
        print(f"{'ok' if passed else 'not ok'} {len(self.rows)} - {self.backend}: {name}: "
              f"promised {'' if relation == '=' else relation + ' '}{words_of(promised, unit)}, "
              f"measured {words_of(measured, unit)} (off by {error_pct:.2f} %"
              f"{'; ' + detail if detail else ''})", flush=True)

    def ratio(self, name, promised, measured, within_pct, backlogged=1.0, at_least=0.999,
              detail=""):
        """Shares in proportion: the worst relative error of any part of the whole. They are shown
        so that the smallest that is promised has what it was promised. @backlogged: the part of the
        time in which all had work, @at_least: what it must be."""
        scale = 1 / max(measured[promised.index(min(promised))], 1e-12)
        error = worst_error(promised, measured)
        if backlogged < at_least:
            detail = f"backlogged together only {100 * backlogged:.1f} % of the time" \
                     f"{'; ' + detail if detail else ''}"
        self.add(name, promised, [m * scale * min(promised) for m in measured], error_pct=error,
                 passed=error <= within_pct and backlogged >= at_least, detail=detail)

    def near(self, name, promised, measured, within, unit="%", detail=""):
        """@measured is at most @within away, in its own unit."""
        self.add(name, promised, measured, unit=unit, passed=abs(measured - promised) <= within,
                 error_pct=100 * abs(measured / promised - 1), detail=detail)

    def at_least(self, name, promised, measured, unit="%", detail=""):
        self.add(name, promised, measured, ">=", unit, max(0.0, 100 * (1 - measured / promised)),
                 measured >= promised, detail)

    def at_most(self, name, promised, measured, unit="ms", detail=""):
        over = 100 * (measured / promised - 1) if promised else 100.0 * measured
        self.add(name, promised, measured, "<=", unit, max(0.0, over), measured <= promised, detail)

    def limit(self, name, reason):
        """What the level of the device does not promise, and why."""
        self.rows.append({"name": name, "backend": self.backend, "relation": "not promised",
                          "unit": "", "promised": None, "measured": None, "error_pct": None,
                          "pass": True, "detail": reason})
        print(f"ok {len(self.rows)} - {self.backend}: {name}: not promised here: {reason}", flush=True)

    def trouble(self, name, error):
        """A row that could not be measured."""
        self.rows.append({"name": name, "backend": self.backend, "relation": "=", "unit": "",
                          "promised": None, "measured": None, "error_pct": None, "pass": False,
                          "detail": str(error)})
        self.failed += 1
        print(f"# {type(error).__name__}: {error}")
        if not isinstance(error, infini.Trouble):
            print("# " + "\n# ".join(traceback.format_exc().splitlines()))
        print(f"not ok {len(self.rows)} - {self.backend}: {name}", flush=True)

    def run(self, cases, only):
        """All cases by name, or @only some; a case adds rows."""
        for name, case in cases.items():
            if only and name not in only:
                continue
            begin = time.monotonic()
            try:
                case(self)
            except (infini.Trouble, OSError, ValueError, KeyError, IndexError) as error:
                self.trouble(case.__doc__, error)
            print(f"# {name}: {time.monotonic() - begin:.1f} s", flush=True)
            self.write()

    def end(self):
        """The status to exit with."""
        self.write()
        print(f"1..{len(self.rows)}")
        return 1 if self.failed or not self.rows else 0

    def write(self):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.rows, file, indent=1)
        os.replace(self.path + ".new", self.path)


def worst_error(promised, measured):
    """Of parts of a whole: how far the worst is from what it was to be, in percent of that."""
    whole_promised, whole_measured = sum(promised), max(sum(measured), 1e-12)
    return max(100 * abs(m / whole_measured / (p / whole_promised) - 1)
               for p, m in zip(promised, measured))


def jain(values):
    """Jain's index of fairness: 1 when all are equal."""
    return sum(values) ** 2 / (len(values) * sum(value ** 2 for value in values))

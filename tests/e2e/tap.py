# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases are functions whose first line says what they show; TAP for those that run in a machine."""
import subprocess
import sys
import time
import traceback

import infini


class Skip(Exception):
    """What a case needs is not there; the text says what."""


def check(condition, text):
    if not condition:
        raise infini.Trouble(text)


class Tap:
    """Numbers results."""

    def __init__(self):
        self.number = self.failed = 0

    def case(self, function, argument):
        self.number += 1
        begin = time.monotonic()
        remark = ""
        try:
            function(argument)
            word = "ok"
        except Skip as reason:
            word = "ok"
            remark = f" # SKIP {reason}"
        except (infini.Trouble, subprocess.TimeoutExpired, OSError, ValueError, KeyError) as error:
            word = "not ok"
            self.failed += 1
            print(f"# {type(error).__name__}: {error}")
            if not isinstance(error, infini.Trouble):
                print("# " + "\n# ".join(traceback.format_exc().splitlines()))
        print(f"{word} {self.number} - {function.__doc__}{remark}", flush=True)
        print(f"# {time.monotonic() - begin:.1f} s", flush=True)

    def end(self):
        print(f"1..{self.number}")
        sys.exit(1 if self.failed else 0)


def chosen(names, words):
    """Of a module's cases, by its globals(), those that @words name, or all."""
    return [case for name, case in names.items() if name.startswith("case_")
            and (not words or name.removeprefix("case_") in words)]

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules of the source tree: who may include whom, licences, unfinished words. Prints TAP."""
import os
import re
import subprocess
import sys

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)

# folder: which of our own headers its files may name (regular expression)
OWN = {
    "uapi/linux": r"$^",
    "uapi/infini": r"$^",
    "kmod/core": r"(port|tree|level|sched|job|hist|bucket|limits|stream)\.h$",
    "kmod": r"(core/\w+|\w[\w-]*|linux/infini(_netlink)?)\.h$",
    "lib": r"(linux/infini(_netlink)?|infini/kernel|infini|infini-(admin|kernel)|admin|cdi|cgroup|container|ioctl|placement|printable)\.h$",
    "daemon": r"(infini|infini-admin|linux/infini|infini/null|[a-z_]+)\.h$",
    "daemon/backends": r"((\.\./)?backend|(ggml|cuda|opencl|kernel|example)(_\w+)?|infini/(ggml|null|kernel)|"
                       r"linux/infini)\.h$",
    "ctl": r"(infini|infini-admin|linux/infini|[a-z_]+)\.h$",
    "bpf": r"(infini-admin|linux/infini|\w+(\.skel|\.bpf)?)\.h$",
    "frontends/ggml": r"(infini|linux/infini|infini/ggml|[a-z_]+)\.h$",
}
# folder: which folders' private headers may not be reached by a path
FOREIGN = re.compile(r"(^|/)(kmod|daemon|ctl|frontends|bpf)/")
UAPI_SYSTEM = {"linux/types.h", "linux/ioctl.h"}
CORE_SYSTEM_ONLY = "port.h"

LICENCES = {
    "kmod": "GPL-2.0-only",
    "bpf": "GPL-2.0-only",
    "lib": "LGPL-2.1-or-later",
    "frontends": "LGPL-2.1-or-later",
    "daemon": "GPL-2.0-or-later",
    "ctl": "GPL-2.0-or-later",
    "tests": ("GPL-2.0-or-later", "GPL-2.0-only"),
    "uapi/linux": "GPL-2.0-only WITH Linux-syscall-note",
    "uapi/infini": "GPL-2.0-only WITH Linux-syscall-note",
}
WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|not implemented")


def tracked(*suffixes):
    files = subprocess.run(["git", "ls-files", "-z"], cwd=TREE, check=True, text=True,
                           stdout=subprocess.PIPE).stdout.split("\0")
    return [f for f in files if f and (not suffixes or f.endswith(suffixes))
            and os.path.isfile(os.path.join(TREE, f))]


def read(path):
    with open(os.path.join(TREE, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def rule_of(path, table):
    """The longest folder of @table that holds @path."""
    best = [f for f in table if path.startswith(f + "/")]
    return max(best, key=len) if best else None


def includes(kind):
    """Files whose includes break a rule: 'ours' or 'system'."""
    bad = []
    names = {os.path.basename(f) for f in tracked(".h")} | \
            {f.removeprefix("uapi/") for f in tracked(".h") if f.startswith("uapi/")}
    for path in tracked(".c", ".h"):
        folder = rule_of(path, OWN)
        if not folder or path.startswith("tests/"):
            continue
        for quote, name in INCLUDE.findall(read(path)):
            ours = quote == '"' or name in names
            if kind == "ours" and ours and \
                    (FOREIGN.search(name) or not re.search("^" + OWN[folder], name)):
                bad.append(f"{path} includes {name}")
            if kind == "uapi" and folder.startswith("uapi") and name not in UAPI_SYSTEM:
                bad.append(f"{path} includes {name}")
            if kind == "core" and folder == "kmod/core" and quote == "<" and \
                    os.path.basename(path) != CORE_SYSTEM_ONLY:
                bad.append(f"{path} includes <{name}>: only port.h may")
            if kind == "backend" and folder == "daemon/backends" and \
                    re.match(r"(worker|supervisor|exchange|objects|infini-admin|infini)\.h$",
                             name):
                bad.append(f"{path} includes {name}: a backend sees backend.h alone")
    return bad


def kernel_switch():
    """kmod/core knows what it is compiled into in one place."""
    return [f for f in tracked(".c", ".h") if f.startswith("kmod/core/") and
            "__KERNEL__" in read(f) and os.path.basename(f) != "port.h"]


def licences():
    bad = []
    for path in tracked(".c", ".h", ".py", ".sh", ".yaml", ".map", "Makefile", "Kbuild"):
        head = read(path)[:400]
        if "SPDX-License-Identifier:" not in head:
            bad.append(f"{path}: no licence")
            continue
        folder = rule_of(path, LICENCES)
        want = LICENCES.get(folder)
        got = re.search(r"SPDX-License-Identifier:\s*(.+?)\s*(\*/)?$", head, re.MULTILINE)[1]
        if path.endswith((".c", ".h")) and want and \
                got.strip("()") not in (want if isinstance(want, tuple) else (want,)):
            bad.append(f"{path}: {got}, should be {want}")
    return bad


def words():
    return [f"{path}:{n}" for path in tracked(".c", ".h", ".py", ".sh", ".yaml")
            if path != "tests/tree/check.py"
            for n, line in enumerate(read(path).splitlines(), 1) if WORDS.search(line)]


def generated():
    done = subprocess.run([os.path.join(TREE, "uapi/netlink/generate"), "--check"], cwd=TREE,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    return done.stdout.splitlines() or ["failed"] if done.returncode else []


def scripts():
    """Every shell script, those too that others source."""
    return [path for path in tracked() if not path.endswith((".c", ".h", ".py", ".gguf"))
            and re.search(r"\A#!.*\bbash$|^# shellcheck shell=bash", read(path)[:160], re.MULTILINE)]


def shell():
    """Every script parses."""
    bad = []
    for path in scripts():
        done = subprocess.run(["bash", "-n", os.path.join(TREE, path)], check=False,
                              stderr=subprocess.PIPE, text=True)
        bad += done.stderr.splitlines()
    return bad


def quiet_greps():
    """A grep -q that has found something ends at once; what writes to it dies of that now and then, and
    with pipefail the whole has failed."""
    return [f"{path}:{number}: | grep -q" for path in scripts()
            for number, line in enumerate(read(path).splitlines(), 1)
            if re.search(r"\|\s*grep\s+(-\w+\s+)*-\w*q", line)]


def house():
    """docs/house.md names files that exist, and functions of the file named last or next to them."""
    bad = []
    path = "docs/house.md"
    everywhere = None
    for paragraph in re.split(r"\n\s*\n|\n(?=- )", read(path)):
        names = re.findall(r"`([\w./-]+(?:\(\))?)`", paragraph)
        files = [name for name in names if "/" in name.strip("/") and not name.startswith("/")]
        bad += [f"{path}: no {f}" for f in files if not os.path.exists(os.path.join(TREE, f))]
        for function in (name[:-2] for name in names if name.endswith("()")):
            defined = re.compile(r"^[a-z][^;=]*\b" + function + r"\([^;]*$", re.MULTILINE)
            if everywhere is None:
                everywhere = {f: read(f) for f in tracked(".c", ".h") if not f.startswith("tests/")}
            homes = {f for f, text in everywhere.items() if defined.search(text)}
            if not homes:
                bad.append(f"{path}: no function {function}")
            elif files and not homes & set(files):
                bad.append(f"{path}: {function}() is in {', '.join(sorted(homes))}")
    return bad


def tests_of(path):
    """Tests that @path names as `FILE`: "NAME" are there."""
    named = re.findall(r'`(tests/[^`]+)`: "([^"]+)"', read(path))
    bad = [f"{path}: no test \"{name}\" in {file}" for file, name in named
           if not os.path.exists(os.path.join(TREE, file)) or
           name not in re.sub(r'"\s*"|\s*\n\s*', lambda m: " " if "\n" in m[0] and '"' not in m[0] else "",
                              read(file))]
    return bad if named else [f"{path}: names no test"]


def security():
    """docs/security.md names tests and files that are there, and has twenty attacks, those of the test."""
    path, test = "docs/security.md", "tests/e2e/attacks.py"
    text = read(path)
    bad = tests_of(path)
    bad += [f"{path}: no {file}" for file in re.findall(r"`((?:daemon|kmod)/[\w./]+)`", text)
            if not os.path.exists(os.path.join(TREE, file))]
    bad += [f"{path}: {function}() is not in {file}"
            for function, file in re.findall(r"`(\w+)\(\)` in `([\w./]+)`", text)
            if f"{function}(" not in read(file)]
    rows = [int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]
    cases = re.findall(r'^def case_\w+\(\w+\):\n    """((\d+): .*)"""', read(test), re.MULTILINE)
    if rows != list(range(1, 21)) or [int(number) for _, number in cases] != rows:
        bad.append(f"{path}: attacks {rows}, and in {test} {[number for _, number in cases]}")
    bad += [f"{path}: does not name \"{name}\" of {test}" for name, _ in cases if f'"{name}"' not in text]
    return bad


RULES = [
    ("each folder includes only what it may", lambda: includes("ours")),
    ("uapi includes only linux/types.h and linux/ioctl.h", lambda: includes("uapi")),
    ("kmod/core includes the system only in port.h", lambda: includes("core")),
    ("kmod/core asks what it is compiled into only in port.h", kernel_switch),
    ("backends see backend.h alone", lambda: includes("backend")),
    ("every source has the licence of its folder", licences),
    ("nothing is left unfinished", words),
    ("what the netlink specification generates is up to date", generated),
    ("every shell script parses", shell),
    ("no shell script ends what it reads by grep -q", quiet_greps),
    ("docs/house.md names what there is", house),
    ("docs/recovery.md names tests that there are", lambda: tests_of("docs/recovery.md")),
    ("docs/security.md names what there is, twenty attacks", security),
]


def main():
    failed = 0
    for number, (name, rule) in enumerate(RULES, 1):
        bad = rule()
        for line in bad:
            print(f"# {line}")
        print(f"{'not ok' if bad else 'ok'} {number} - {name}")
        failed += bool(bad)
    print(f"1..{len(RULES)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

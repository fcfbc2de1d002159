#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside a machine: runs what the documents say to run, a document at a time, each with vdevs "a" and "b". TAP.

With --list: which command lines there are and why not all of them run here. With --programs DIR: builds the
programs of section 3 of the manual there.
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
import commands  # noqa: E402  pylint: disable=wrong-import-position
import infini  # noqa: E402  pylint: disable=wrong-import-position
import manual  # noqa: E402  pylint: disable=wrong-import-position
import source  # noqa: E402  pylint: disable=wrong-import-position

PROGRAMS = os.path.join(source.TREE, "build/docs/programs")
CONFIG = "[backend ggml]\ndevices = cpu0\n[device cpu0]\nmemory = 64G\n"
# They end when somebody ends them.
ENDLESS = re.compile(r"^infinictl (stats --watch|events( --json)?)$")
# What they are to say here is that something is missing, and they do.
COMPLAINS = re.compile(r"^infinictl doctor")


def classes():
    found = {}
    for command in commands.collect()[0]:
        found.setdefault(command.kind, []).append(command)
    return found


def listing():
    for kind, members in classes().items():
        print(f"{kind}: {len(members)}")
        for command in members:
            print(f"    {command.file}: {command.text}")


def build(folder):
    """Programs that have a main(); the others have been compiled by tests/docs/check."""
    os.makedirs(folder, exist_ok=True)
    libraries = [os.path.join(source.TREE, "build/lib", name) for name in ("libinfini-admin.a", "libinfini.a")]
    netlink = subprocess.run(["pkg-config", "--cflags", "--libs", "libnl-3.0", "libnl-genl-3.0"], check=True,
                             stdout=subprocess.PIPE, text=True).stdout.split()
    for page in source.files("man/*.3"):
        program = manual.example(source.read(page))
        if "int main(" not in program:
            continue
        path = os.path.join(folder, os.path.basename(page)[:-2])
        subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o", path, "-x", "c", "-",
                        "-x", "none", f"-I{source.TREE}/uapi", f"-I{source.TREE}/lib", *libraries, *netlink],
                       input=program, text=True, check=True)


class Results:
    """Numbers what was run."""

    def __init__(self):
        self.number = self.failed = 0

    def say(self, good, name, why=""):
        self.number += 1
        self.failed += not good
        if not good:
            for line in why.strip().splitlines()[-5:]:
                print(f"# {line}")
        print(f"{'ok' if good else 'not ok'} {self.number} - {name}", flush=True)


def fresh_vdevs():
    for name in infini.vdevs():
        infini.ctl("vdev", "delete", name, "--force")
    for name in ("a", "b"):
        infini.ctl("vdev", "create", name, "--device", "cpu0", "--memory", "1G")


def make_room(text):
    """A vdev that a command creates may be there already, from the command before."""
    created = re.match(r"infinictl vdev create (\S+)", text)
    if created and created[1] in infini.vdevs() and "--dry-run" not in text:
        infini.ctl("vdev", "delete", created[1], "--force")


def run(results, command):
    text = command.text
    name = f"{command.file}: {text}"
    make_room(text)
    if re.match(r"infinictl vdev set (\w+)", text) and text.split()[3] not in infini.vdevs():
        infini.ctl("vdev", "create", text.split()[3], "--device", "cpu0", "--memory", "64M")
    shell = f"timeout -s INT 3 {text}" if ENDLESS.match(text) else text
    done = subprocess.run(["bash", "-c", shell], cwd="/tmp", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, errors="replace", timeout=120, check=False)
    good = done.returncode == 0 or (ENDLESS.match(text) and done.returncode in (124, 130)) or \
        (COMPLAINS.match(text) and done.returncode == 1) or \
        ("timeout " in text and done.returncode == 124)
    results.say(good, name, f"status {done.returncode}\n{done.stdout}{done.stderr}")


def run_programs(results):
    fresh_vdevs()
    for name in sorted(os.listdir(PROGRAMS)):
        done = subprocess.run([os.path.join(PROGRAMS, name)], env=dict(os.environ, INFINI_VDEV="a"), timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        results.say(done.returncode == 0, f"the program of {name}(3)", f"status {done.returncode}\n{done.stdout}")


def prepare():
    for user in ("alice", "bob"):
        subprocess.run(["useradd", "-m", user], check=True)
    subprocess.run(["groupadd", "--system", "infini"], check=False, stderr=subprocess.DEVNULL)
    os.makedirs("/etc/infini", exist_ok=True)
    os.makedirs("/var/lib/infini", exist_ok=True)
    os.environ["PATH"] = ":".join([os.path.dirname(infini.CTL), os.path.dirname(infini.DAEMON), os.environ["PATH"]])
    subprocess.run(["mount", "-t", "debugfs", "none", "/sys/kernel/debug"], check=False, stderr=subprocess.DEVNULL)


def main():
    if sys.argv[1:] == ["--list"]:
        listing()
        return
    if sys.argv[1:2] == ["--programs"]:
        build(sys.argv[2])
        return
    results = Results()
    prepare()
    infini.load_module()
    daemon = infini.Daemon(sys.argv[1], ["cpu0"], CONFIG)
    with open(daemon.config, encoding="utf-8") as mine, open("/etc/infini/infinid.conf", "w", encoding="utf-8") as file:
        file.write(mine.read())
    daemon.start()
    run_programs(results)
    last = None
    for command in classes()[commands.RUN]:
        if command.file != last:
            fresh_vdevs()
            last = command.file
        try:
            run(results, command)
        except (subprocess.TimeoutExpired, infini.Trouble) as error:
            results.say(False, f"{command.file}: {command.text}", str(error))
    daemon.stop()
    infini.unload_module()
    print(f"1..{results.number}")
    sys.exit(1 if results.failed else 0)


if __name__ == "__main__":
    main()

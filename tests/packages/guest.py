#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian packages as an administrator meets them: a machine of his with systemd, on which nothing of
Infini is. The cases build on one another, in this order. TAP.
usage: guest.py KDIR DEBS REBUILT [CASE...]"""
import glob
import grp
import json
import os
import re
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
import infini  # noqa: E402  pylint: disable=wrong-import-position
from tap import Skip, Tap, check, chosen  # noqa: E402  pylint: disable=wrong-import-position

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RELEASE = os.uname().release
# A tenant with a Debian of his own and llama.cpp in it: what a container would be.
TENANT = "/srv/tenant"
PLUGIN = "/mnt/libggml-infini.so"
STORY = ["llama-completion", "-m", "/media/stories.gguf", "-no-cnv", "-p", "Once upon a time", "--temp", "0",
         "-t", "1", "-fit", "off", "--simple-io", "--ignore-eos"]
GROUP = "/sys/fs/cgroup/system.slice/infinid.service"
TOKENS = 1500
# A stock kernel is emulated, which takes up to a hundred times as long. It has BTF, User-mode Linux none.
STOCK = os.path.exists("/sys/kernel/btf/vmlinux")
SECONDS = 7200 if STOCK else 900


def run(command, env=None, fails=False):
    """(standard output, standard error); what fails is Trouble, unless it may."""
    done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False, timeout=SECONDS,
                          env=dict(os.environ, DEBIAN_FRONTEND="noninteractive", **(env or {})))
    if done.returncode and not fails:
        raise infini.Trouble(f"{' '.join(command[:6])}: exit status {done.returncode}: "
                             f"{done.stdout[-600:]} {done.stderr[-1500:]}")
    return done.stdout, done.stderr


def unit(name, what="infinid.service"):
    """A property of the unit."""
    return run(["systemctl", "show", "--value", "--property", name, what])[0].strip()


def journal(what="infinid"):
    return run(["journalctl", "--no-pager", "--output", "cat", "--unit", what], fails=True)[0]


def wait_until(what, true):
    try:
        infini.wait_until(what, true, SECONDS)
    except infini.Trouble as trouble:
        raise infini.Trouble(f"{trouble}\n{journal()[-1500:]}") from trouble


def vdev(name):
    return json.loads(run(["infinictl", "vdev", "show", name, "--json"])[0])


def tenant(*words, tokens, of=None):
    """What chroot has to run so that a tenant writes."""
    setting = [f"GGML_BACKEND_PATH={PLUGIN}", f"INFINI_VDEV={of}"] if of else []
    device = ["-ngl", "99", "-dev", "INFINI0"] if of else ["-dev", "none"]
    return ["chroot", TENANT, "env", *setting, *STORY, *device, "-c", str(tokens + 64), "-n", str(tokens), *words]


def same_text(text, want, what):
    """llama-completion 0.7.0 may exit before it has printed its last words, on any device."""
    check(len(text) > len(want) // 2 and want.startswith(text), f"{what}: another text: {text[:200]!r}")


class World:
    """The machine, and what is remembered of it from case to case."""

    def __init__(self, kdir, debs, rebuilt):
        self.kdir = kdir
        self.debs = sorted(glob.glob(os.path.join(TREE, debs, "*.deb")))
        self.rebuilt = sorted(glob.glob(os.path.join(TREE, rebuilt, "*.deb")))
        self.packages = [os.path.basename(deb).split("_")[0] for deb in self.debs]
        self.installed = set()
        self.texts = {}

    def text(self, tokens):
        """What plain llama.cpp writes."""
        if tokens not in self.texts:
            self.texts[tokens] = run(tenant(tokens=tokens))[0]
        return self.texts[tokens]

    def prepare_stock(self):
        """The folder of modules with those of them that are loaded: emulated, depmod takes minutes to read all.
        A worker needs longer to come than jobs wait for it elsewhere."""
        folder, small = f"/lib/modules/{RELEASE}", "/run/modules"
        os.makedirs(small)
        run(["mount", "-t", "tmpfs", "modules", small])
        for path in glob.glob(folder + "/modules.builtin*") + [folder + "/modules.order"]:
            shutil.copy(path, small)
        with open("/proc/modules", encoding="utf-8") as file:
            names = [line.split()[0] for line in file]
        for path in run(["modinfo", "-F", "filename", *names])[0].split():
            copy = small + path.removeprefix(folder)
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copy(path, copy)
        os.symlink(self.kdir, small + "/build")
        run(["mount", "--bind", small, folder])
        run(["depmod", RELEASE])
        with open("/etc/modprobe.d/emulated.conf", "w", encoding="utf-8") as file:
            file.write("options infini executor_wait_ms=600000 executor_start_ms=600000 grace_ms=600000 "
                       "default_timeout_ms=600000\n")

    def prepare(self):
        """What the running kernel's package would have brought: its folder of modules, and its headers."""
        if STOCK:
            self.prepare_stock()
            return
        folder = f"/lib/modules/{RELEASE}"
        os.makedirs(folder)
        os.symlink(self.kdir, folder + "/build")
        for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            with open(f"{folder}/{name}", "w", encoding="utf-8"):
                pass
        # To DKMS a kernel without a module of its own has been removed, and then it leaves depmod alone.
        os.makedirs(folder + "/kernel")
        run(["gcc", "-c", "-x", "c", "/dev/null", "-o", folder + "/kernel/another.ko"])
        run(["depmod", RELEASE])

    def show_tenant(self):
        """The host's nodes and the plugin, as a runtime shows them to a container."""
        if os.path.ismount(TENANT + "/dev"):
            return
        for name in ("dev", "proc", "sys"):
            run(["mount", "--rbind", "/" + name, f"{TENANT}/{name}"])
        run(["mount", "--bind", os.path.dirname(glob.glob("/usr/lib/*/infini/libggml-infini.so")[0]),
             TENANT + "/mnt"])
        run(["mount", "--bind", os.path.join(TREE, "tests/model"), TENANT + "/media"])


def case_fresh(world):
    """the machine runs systemd, and nothing of Infini"""
    with open("/proc/1/comm", encoding="utf-8") as file:
        check(file.read() == "systemd\n", "process 1 is another")
    check(not os.path.exists("/dev/infini"), "there is a /dev/infini")
    check(not set(world.packages) & set(run(["dpkg-query", "-f", "${Package}\n", "-W"])[0].split()),
          "packages of Infini are installed")
    print(f"# {RELEASE}, {run(['systemctl', '--version'])[0].splitlines()[0]}, "
          f"{run(['systemctl', 'is-system-running', '--wait'], fails=True)[0].strip()}")
    print("# " + "\n# ".join(run(["systemctl", "--failed", "--plain", "--no-legend"])[0].splitlines()))


def case_install(world):
    """apt install ./*.deb, without a network: DKMS builds the module, which loads, and infinid runs"""
    out, err = run(["apt-get", "install", "--yes", *world.debs])
    with open("/out/install.log", "w", encoding="utf-8") as file:
        file.write(out + err)
    check(os.path.isdir("/sys/module/infini"), f"the module is not loaded: {err[-800:]}")
    wait_until("infinid runs", lambda: unit("ActiveState") == "active")
    check(unit("UnitFileState") == "enabled", f"the unit is {unit('UnitFileState')}")
    for line in run(["dpkg", "-L", *world.packages])[0].splitlines():
        if line.startswith("/") and not os.path.isdir(line):
            world.installed.add(line)
    check(run(["getent", "passwd", "infini"])[0], "there is no user")
    check(run(["dkms", "status", "-k", RELEASE])[0].strip().endswith("installed"), "DKMS has not installed it")


def case_dpkg_verify(world):
    """what is installed is what the packages have, and dpkg is content"""
    check(not run(["dpkg", "--verify", *world.packages])[0], "files were changed")
    check(not run(["dpkg", "--audit"])[0], "dpkg has something to say")


def case_doctor(_):
    """infinictl doctor: all is well, but that User-mode Linux has no BTF"""
    rows = json.loads(run(["infinictl", "doctor", "--json"])[0])
    may = set() if STOCK else {"btf"}
    for row in rows:
        print(f"# {row['check']}: {row['health']}: {row['found']}")
    bad = [row["check"] for row in rows if row["health"] != "ok" and row["check"] not in may]
    check(not bad, f"not well: {bad}\n{journal()[-1500:]}")


def case_unit(_):
    """systemd knows the unit's sandbox, its control groups and the files that it keeps, and warns of nothing"""
    _, err = run(["systemd-analyze", "verify", "/usr/lib/systemd/system/infinid.service"], fails=True)
    check("infinid.service" not in err, err)
    check(unit("FileDescriptorStoreMax") == "2048", "no store for files")
    check(int(unit("NFileDescriptorStore")) > 0, "systemd keeps none of its files")
    with open(f"/proc/{unit('MainPID')}/cgroup", encoding="utf-8") as file:
        check(file.read().strip().endswith("infinid.service/supervisor"), "infinid is in another group")
    print(f"# {run(['systemd-analyze', 'security', '--no-pager', 'infinid'], fails=True)[0].splitlines()[-1]}")


def case_generate(world):
    """llama.cpp writes on a vdev what it writes on the plain CPU"""
    world.show_tenant()
    run(["infinictl", "vdev", "create", "a", "--memory", "300M"])
    text, _ = run(tenant(tokens=24, of="a"))
    same_text(text, world.text(24), "on a vdev")
    row = vdev("a")
    pid = row["executor_pid"]
    check(pid, "there is no worker")
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        group = file.read().strip()
    check(group.endswith(f"/infinid.service/worker-{row['id']}"), f"the worker is in {group}")
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        status = file.read()
    check(re.search(r"^CapEff:\s0+$", status, re.MULTILINE), "the worker has capabilities")
    check(re.search(r"^Seccomp:\s2$", status, re.MULTILINE), "the worker has no filter")


class Writer:
    """A tenant that writes while something happens."""

    def __init__(self, world):
        self.want = world.text(TOKENS)
        self.before = vdev("a")["stats"]["tokens_generated"]
        self.process = subprocess.Popen(tenant(tokens=TOKENS, of="a"), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until("it writes", lambda: vdev("a")["stats"]["tokens_generated"] > self.before + 3)
        self.worker = vdev("a")["executor_pid"]

    def end(self):
        """It noticed nothing."""
        out, err = self.process.communicate(timeout=SECONDS)
        check(not self.process.returncode, f"the client: exit status {self.process.returncode}: {err[-600:]}")
        same_text(out, self.want, "the client")
        check(vdev("a")["executor_pid"] in (self.worker, 0), "another worker serves now")


def while_writing(world, what, act):
    """A tenant writes until @act is done, and as often as that takes."""
    texts, writer = 0, Writer(world)
    actor = subprocess.Popen(act, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))
    while True:
        try:
            lines, _ = actor.communicate(timeout=1)
            break
        except subprocess.TimeoutExpired:
            if writer.process.poll() is not None:
                writer.end()
                texts += 1
                writer = Writer(world)
    check(not actor.returncode, f"{what}: exit status {actor.returncode}: {lines[-1500:]}")
    writer.end()
    print(f"# {texts + 1} texts of {TOKENS} tokens")
    return lines


def case_upgrade(world):
    """an upgrade to rebuilt packages under load: another infinid, the same worker, no client notices"""
    before = unit("MainPID")
    generation = vdev("a")["stats"]["executor_generation"]
    holder = os.open("/dev/infini-by-name/a", os.O_RDWR)
    lines = while_writing(world, "apt-get install", ["apt-get", "install", "--yes", *world.rebuilt])
    with open("/out/upgrade.log", "w", encoding="utf-8") as file:
        file.write(lines)
    wait_until("infinid runs", lambda: unit("ActiveState") == "active")
    check(unit("MainPID") not in (before, "0"), "the same infinid runs as before")
    check(vdev("a")["stats"]["executor_generation"] == generation, "another worker serves now")
    os.close(holder)
    version = run(["dpkg-query", "-f", "${Version}", "-W", "infinid"])[0]
    check("rebuilt" in version, f"version {version}")
    check(version in run(["dkms", "status", "infini", "-k", RELEASE])[0], "DKMS has not built the new module")


def case_restart(world):
    """systemctl restart under load: no client notices"""
    while_writing(world, "systemctl", ["systemctl", "restart", "infinid"])


def case_killed(world):
    """infinid killed under load: systemd starts another, no client notices"""
    before = unit("MainPID")
    while_writing(world, "kill", ["kill", "-KILL", before])
    wait_until("another infinid runs", lambda: unit("MainPID") not in (before, "0"))


def case_mistake(world):
    """a mistake in the configuration: systemd tries ever more seldom; when it is mended the same worker serves on"""
    path = "/etc/infini/infinid.conf"
    with open(path, encoding="utf-8") as file:
        right = file.read()
    with open(path, "a", encoding="utf-8") as file:
        file.write("\n[infinid]\nwindow = 1000\n")
    while_writing(world, "three attempts", ["sh", "-c", "! systemctl restart infinid; until "
                  "[ $(systemctl show --value --property NRestarts infinid) -ge 3 ]; do sleep 1; done"])
    worker = vdev("a")["executor_pid"]
    waits = unit("RestartUSec"), unit("RestartUSecNext")
    print(f"# from {waits[0]} to {waits[1]} after {unit('NRestarts')} attempts")
    check(waits[0] != waits[1], f"it waits {waits[1]} each time")
    check("window" in journal()[-2000:], "the journal does not say what is wrong")
    with open(path, "w", encoding="utf-8") as file:
        file.write(right)
    run(["systemctl", "restart", "infinid"])
    check(vdev("a")["executor_pid"] == worker, "another worker serves now")


def case_reload(_):
    """systemctl reload reads the configuration again"""
    before = unit("MainPID")
    with open("/etc/infini/infinid.conf", "a", encoding="utf-8") as file:
        file.write("\n[backend null]\nenabled = yes\n")
    run(["systemctl", "reload", "infinid"])
    wait_until("the null device comes", lambda: "null0" in run(["infinictl", "device", "list"])[0])
    check(unit("MainPID") == before, "another infinid runs")


def case_second_kernel(_):
    """headers of another kernel are installed: DKMS builds the module for it, with BTF, and signs it"""
    # They bring their kernel, whose initial root takes minutes and is not looked at.
    run(["dpkg-divert", "--local", "--rename", "--add", "/usr/sbin/update-initramfs"])
    os.symlink("/bin/true", "/usr/sbin/update-initramfs")
    out, err = run(["apt-get", "install", "--yes", "linux-headers-amd64"])
    with open("/out/headers.log", "w", encoding="utf-8") as file:
        file.write(out + err)
    others = [path for path in glob.glob("/lib/modules/*/updates/dkms/infini.ko*") if RELEASE not in path]
    check(len(others) == 1, f"modules of DKMS: {others}; {run(['dkms', 'status'])[0]}")
    release = others[0].split("/")[3]
    magic = run(["modinfo", "-F", "vermagic", others[0]])[0].split()[0]
    check(magic == release, f"{others[0]} is for {magic}")
    run(["sh", "-c", f"xz -dc {others[0]} >/tmp/infini.ko 2>/dev/null || cp {others[0]} /tmp/infini.ko"])
    check(".BTF" in run(["readelf", "-SW", "/tmp/infini.ko"])[0], "it has no BTF")
    signer = run(["modinfo", "-F", "signer", others[0]])[0].strip()
    print(f"# {release}, signed by {signer or 'nobody'}")
    check(signer, "it is not signed")


def unload():
    run(["systemctl", "stop", "infinid"])
    wait_until("the module is free", lambda: not run(["modprobe", "-r", "infini"], fails=True)[1])


def case_boot_without_module(_):
    """a module that cannot be loaded: the start fails once, and says why; it comes, and so does infinid"""
    run(["infinictl", "vdev", "delete", "a"], fails=True)
    unload()
    with open("/etc/modprobe.d/refused.conf", "w", encoding="utf-8") as file:
        file.write("install infini false\n")
    run(["journalctl", "--sync"])
    said = len(journal().splitlines())
    _, err = run(["systemctl", "start", "infinid"], fails=True)
    check("ssertion failed" in err, f"systemctl start says: {err}")
    run(["journalctl", "--sync"])
    lines = journal().splitlines()[said:]
    check(len(lines) in (1, 2) and all("ssert" in line for line in lines), f"the journal: {lines}")
    status, _ = run(["systemctl", "status", "--no-pager", "infinid"], fails=True)
    check("AssertPathExists=/dev/infini was not met" in status, f"systemctl status says: {status}")
    check((unit("ActiveState"), unit("SubState"), unit("NRestarts")) == ("inactive", "dead", "0"), "it tries again")
    os.remove("/etc/modprobe.d/refused.conf")
    run(["modprobe", "infini"])
    wait_until("infinid runs", lambda: unit("ActiveState") == "active")


def case_start_loads_module(_):
    """systemctl start loads a module that is not there yet"""
    unload()
    run(["systemctl", "start", "infinid"])
    check(unit("ActiveState") == "active", "infinid does not run")


def case_secure_boot(_):
    """Secure Boot refuses the module: the package says whose key to enrol, and how"""
    script, builds = "/var/lib/dpkg/info/infini-dkms.postinst", "/usr/lib/dkms/common.postinst"
    run(["systemctl", "stop", "infinid"])
    run(["modprobe", "-r", "infini"])
    run(["mount", "--bind", "/bin/true", builds])
    run(["mount", "-t", "tmpfs", "tmpfs", "/sys/firmware"])
    os.makedirs("/sys/firmware/efi/efivars")
    with open("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", "wb") as file:
        file.write(b"\6\0\0\0\1")
    with open("/etc/modprobe.d/refused.conf", "w", encoding="utf-8") as file:
        file.write("install infini echo 'Key was rejected by service' >&2; false\n")
    _, err = run([script, "configure", ""])
    os.remove("/etc/modprobe.d/refused.conf")
    run(["umount", "/sys/firmware"])
    run(["umount", builds])
    check("mokutil --import /var/lib/dkms/mok.pub" in err, f"it says: {err}")
    run(["modprobe", "infini"])
    wait_until("infinid runs", lambda: unit("ActiveState") == "active")


def options_of(*path):
    """The long options in the tables of a program's source."""
    with open(os.path.join(TREE, *path), encoding="utf-8") as file:
        text = file.read()
    return set(re.findall(r'\{ "([a-z-]+)", (?:no|required|optional)_argument', text))


def completed(shell, line):
    """What a shell offers behind @line."""
    words = line.split(" ")
    if shell == "bash":
        script = (f"source /usr/share/bash-completion/completions/{words[0]}; "
                  f"COMP_WORDS=({' '.join(word or chr(39) * 2 for word in words)}); "
                  f"COMP_CWORD={len(words) - 1}; _{words[0]} 2>/dev/null; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        return set(run(["bash", "--norc", "-c", script])[0].split())
    if shell == "fish":
        return {row.split("\t")[0] for row in
                run(["fish", "-c", f"complete -C '{line}'"])[0].splitlines()}
    raise Skip(shell)


def case_completions(_):
    """bash and fish complete every command, and each command every option of its help; zsh reads its own"""
    commands = [match[1] for match in
                re.finditer(r"^  ([a-z]+(?: [a-z]+)?) {2,}\S", run(["infinictl", "help"])[0], re.MULTILINE)]
    check(len(commands) > 10, f"commands: {commands}")
    offered = set()
    for shell in ("bash", "fish"):
        check({command.split()[0] for command in commands} <= completed(shell, "infinictl "), f"{shell}: commands")
        for command in commands:
            first, _, second = command.partition(" ")
            check(not second or second in completed(shell, f"infinictl {first} "), f"{shell}: {command}")
            if command == "help":
                continue
            options = completed(shell, f"infinictl {command} --")
            want = set(re.findall(r"^ {2}(--[a-z-]+)", run(["infinictl", "help", *command.split()])[0], re.MULTILINE))
            check(want <= options and "--help" in options, f"{shell}: {command}: no {want - options}")
            offered |= options
    table = set().union(*(options_of("ctl", name) for name in os.listdir(os.path.join(TREE, "ctl"))
                          if name.endswith((".c", ".h"))))
    check({"--" + name for name in table} <= offered, f"infinictl: no {table - {o[2:] for o in offered}}")
    for tool in ("infinitop", "infinilat", "infinisnoop"):
        for shell in ("bash", "fish"):
            missing = {"--" + name for name in options_of("bpf", tool + ".c")} - completed(shell, f"{tool} --")
            check(not missing, f"{shell}: {tool}: no {missing}")
    for path in glob.glob("/usr/share/zsh/vendor-completions/_infini*"):
        run(["zsh", "-n", path])


def ask_metrics(path):
    """The status and the last line of the answer."""
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(SECONDS)
        door.connect(path)
        door.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        lines = door.makefile("rb").read().splitlines()
    return lines[0].split()[1], lines[-1]


def case_socket(_):
    """the metrics' socket unit: its first client starts infinid, none is refused while infinid is restarted"""
    path, folder = "/run/infinid-metrics.sock", "/etc/systemd/system/infinid-metrics.socket.d"
    good = (b"200", b"# EOF")
    check(unit("UnitFileState", "infinid-metrics.socket") == "disabled", "it is enabled")
    os.makedirs(folder)
    with open(folder + "/who.conf", "w", encoding="utf-8") as file:
        file.write("[Socket]\nSocketGroup=infini\n")
    run(["systemctl", "daemon-reload"])
    run(["systemctl", "stop", "infinid"])
    run(["systemctl", "start", "infinid-metrics.socket"])
    about = os.stat(path)
    check((about.st_gid, about.st_mode & 0o777) == (grp.getgrnam("infini").gr_gid, 0o660), "who may ask")
    check(unit("ActiveState") == "inactive", "infinid runs already")
    check(ask_metrics(path) == good, "another answer of the first infinid")
    before, asked = unit("MainPID"), 0
    with subprocess.Popen(["systemctl", "restart", "infinid"]) as restart:
        while restart.poll() is None:
            check(ask_metrics(path) == good, "another answer while it is restarted")
            asked += 1
        check(not restart.returncode, "systemctl restart")
    check(unit("MainPID") not in (before, "0"), "the same infinid runs")
    check(ask_metrics(path) == good == ask_metrics("/run/infini/metrics.sock"), "another answer of the next infinid")
    run(["systemctl", "reload", "infinid"])
    check(ask_metrics(path) == good, "another answer after a reload")
    print(f"# {asked} asked meanwhile")
    run(["systemctl", "stop", "infinid-metrics.socket"])
    check(not os.path.exists(path), "the socket is left")
    os.remove(folder + "/who.conf")
    os.rmdir(folder)
    run(["systemctl", "daemon-reload"])


def case_stop(_):
    """systemctl stop: no process is left, systemd keeps no file"""
    run(["systemctl", "stop", "infinid"])
    wait_until("the group is empty", lambda: not os.path.exists(GROUP))
    check(unit("NFileDescriptorStore") == "0", "systemd keeps files")
    run(["systemctl", "start", "infinid"])


def case_purge(world):
    """apt purge: files, unit, nodes, module and what DKMS built are gone; the user stays, as Debian wants it"""
    world.installed |= {line for line in run(["dpkg", "-L", *world.packages])[0].splitlines()
                        if line.startswith("/") and not os.path.isdir(line)}
    run(["infinictl", "vdev", "create", "b", "--device", "cpu0", "--memory", "100M"])
    out, err = run(["apt-get", "purge", "--yes", *world.packages])
    with open("/out/purge.log", "w", encoding="utf-8") as file:
        file.write(out + err)
    left = [path for path in world.installed if os.path.lexists(path)]
    check(not left, f"files are left: {left}")
    left = [path for path in ("/etc/infini", "/var/lib/infini", "/run/infini", "/dev/infini", "/sys/module/infini",
                              "/run/cdi/infini.dev-vdev.json", "/usr/share/infini")
            if os.path.lexists(path)]
    left += glob.glob("/lib/modules/*/updates/dkms/infini*") + glob.glob("/var/lib/dkms/infini*")
    left += glob.glob("/usr/src/infini*") + glob.glob("/etc/systemd/system/*/infinid*")
    check(not left, f"left: {left}; {err[-500:]}")
    run(["systemctl", "daemon-reload"])
    check(unit("LoadState") == "not-found", f"the unit is {unit('LoadState')}")
    check(not run(["dpkg", "-l", *world.packages], fails=True)[0].count("\nrc "), "configuration is left")
    check(run(["getent", "passwd", "infini"])[0], "the user is gone")


def main():
    world = World(*sys.argv[1:4])
    tap = Tap()
    world.prepare()
    for case in chosen(globals(), sys.argv[4:]):
        tap.case(case, world)
        if tap.failed and case in (case_fresh, case_install):
            print("# the rest needs what is installed")
            break
    tap.end()


if __name__ == "__main__":
    main()

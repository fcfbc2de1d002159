# SPDX-License-Identifier: GPL-2.0-or-later
"""Every command line of the documents and of the manual's examples: found, classed, held against the sources.

A block of a document is indented or fenced. It is commands, one to a line, or it is listed as something else
in FIGURES by how it begins, so that none is passed over in silence.
"""
import collections
import os
import re
import shlex

import manual
import source

Command = collections.namedtuple("Command", "file text kind")

# What is run in the machine of tests/docs/run, and what is not, and why.
RUN = "run in the machine of make check-docs"
BPF = "BPF needs a stock kernel: tests/bpf runs them in QEMU"
BUILD = "builds or tests this tree: a layer of make check, or takes long"
HOST = "changes the host that it is run on"
IMAGE = "needs a container's image or another's program: tests/containers runs them with its own"
HARDWARE = "needs a GPU, an OpenCL driver or another machine: tests/e2e runs them where these are"

# First word, or a word anywhere: the first row that fits.
KINDS = [
    (r"\b(cuda0|opencl0|INFINI_VDEV=mine|--class gpu|--pool|rpc-server|examples/ptx)\b", HARDWARE),
    (r"\b(IMAGE|ROOT|COMMAND|FILE\.gguf)\b|llama-completion|infini3", IMAGE),
    (r"^(modprobe|systemctl|apt|mokutil) |\bmake (HOST=1 )?install|^make HOST=1", HOST),
    (r"^(make|tests/|git bisect)", BUILD),
    (r"^(infinitop|infinilat|infinisnoop|bpftool|bpftrace|echo 1 >/sys/kernel/tracing|cat /sys/kernel/tracing)", BPF),
    (r"^(infinictl|infinid|curl|cat|grep|ls|timeout|cd|podman|docker|systemd-nspawn|unshare|[A-Z_]+=\S+) ?", RUN),
]

# What blocks are that are no commands, by how they begin.
FIGURES = ("llama.cpp  ", "infinitop  by vdev", "struct ", "[backend", "[remote", "rule_files:", "rate(", "sum by",
           "vdev:infini", "cost = ", "program := ", "uapi/linux/infini.h  ", "host or container", "scrape_configs:",
           "+----", "VDEV  ", "chat  ", "batch  ", "q quit  ")

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/*.md", "frontends/*/README.md")


def _blocks(text):
    """Indented and fenced blocks, as lists of lines."""
    blocks, block, fence = [], [], False
    for line in text.splitlines() + [""]:
        if line.startswith("```"):
            fence = not fence
        elif fence or line.startswith("    ") and line.strip():
            block.append(line[0 if fence else 4:])
            continue
        if block:
            blocks.append(block)
        block = []
    return blocks


def _joined(block):
    """Lines with those that they go on in, without prompts and comments."""
    lines, whole = [], ""
    for line in block:
        whole += line.strip()
        if whole.endswith("\\"):
            whole = whole[:-1]
            continue
        whole = re.sub(r"^[$#] ", "", whole)
        lines.append(re.sub(r"\s+# .*$|\s{2,}#.*$", "", whole).strip())
        whole = ""
    return [line for line in lines if line]


def kind_of(text):
    return next((kind for pattern, kind in KINDS if re.search(pattern, text)), None)


def documents():
    return [path for pattern in DOCUMENTS for path in source.files(pattern)]


def collect():
    """All commands, and what was neither a command nor a known figure."""
    commands, strange = [], []
    for path in documents():
        for block in _blocks(source.read(path)):
            lines = _joined(block)
            if not lines or lines[0].startswith(FIGURES) or block[0].strip().startswith(FIGURES):
                continue
            for line in lines:
                kind = kind_of(line)
                if kind:
                    commands.append(Command(path, line, kind))
                else:
                    strange.append(f"{path}: neither a command nor a figure that tests/docs/commands.py knows: {line}")
    for page in source.files("man/*.[45678]"):
        for block in re.findall(r"\.EX\n(.*?)\.EE", manual.part(source.read(page), "EXAMPLES"), re.DOTALL):
            if page.endswith("infinid.conf.5"):
                continue
            for line in manual.plain(block).splitlines():
                commands.append(Command(page, line, kind_of(line) or RUN))
    return commands, strange


def _infinictl(path, words, known):
    """An "infinictl" of @words: a command that there is, with options that it has."""
    name = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in known), None)
    if not name:
        group = any(command.startswith(f"{words[0]} ") for command in known) if words else True
        return [] if group or words[0] in ("--version", "--json", "--help") else \
            [f"{path}: no command infinictl {words[0]}"]
    if name == "help":
        return []
    own = words[len(name.split()):]
    own = own[:own.index("--")] if "--" in own else own
    options = [re.match(r"--([a-z-]+)", word) for word in own]
    return [f"{path}: infinictl {name} has no option --{option[1]}"
            for option in options if option and option[1] not in known[name]]


def _make(path, text):
    """A "make": its folder, targets and layers are there."""
    words, folder, bad = text.split()[1:], "", []
    if "-C" in words:
        folder = words[words.index("-C") + 1]
        del words[words.index("-C"):words.index("-C") + 2]
    makefile = os.path.join(folder, "Makefile")
    if not os.path.exists(os.path.join(source.TREE, makefile)):
        return [f"{path}: no {makefile}"]
    content = source.read(makefile)
    for word in words:
        if "'" in word or word == "#":
            break
        if re.fullmatch(r"[a-z][a-z-]*", word) and not re.search(rf"^(\.PHONY:.* )?{word}\b", content, re.MULTILINE):
            bad.append(f"{path}: make {word}: no such target in {makefile}")
        layer = re.fullmatch(r"LAYER=(\w+)", word)
        if layer and layer[1] not in ("x", "help") and f'("{layer[1]}",' not in source.read("tests/check.py"):
            bad.append(f"{path}: no layer {layer[1]}")
    return bad


def _tool(path, words):
    known = source.tool_options(f"bpf/{words[0]}.c" if words[0] != "infinid" else "daemon/main.c", False)[0]
    return [f"{path}: {words[0]} has no option {word}" for word in words[1:]
            if word.startswith("--") and word[2:].split("=")[0] not in known]


def _check(path, text, known):
    try:
        words = shlex.split(text, comments=True)
    except ValueError:
        words = text.split()
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    if not words:
        return []
    bad = [f"{path}: no {word}" for word in words if re.match(r"(tests|docs|man|daemon|kmod)/[\w./-]+$", word) and
           not os.path.exists(os.path.join(source.TREE, word))]
    if words[0] == "infinictl":
        bad += _infinictl(path, words[1:], known)
    elif words[0] == "make":
        bad += _make(path, text)
    elif words[0] in manual.TOOLS + ("infinid",):
        bad += _tool(path, words)
    return bad


def known_blocks():
    return collect()[1]


def hold():
    """Commands in blocks and between backticks name commands, options, targets and files that there are."""
    known, bad = source.infinictl(), []
    for command in collect()[0]:
        bad += _check(command.file, command.text, known)
    for path in documents():
        inline = re.findall(r"`((?:infinictl|make|infinid|infinitop|infinilat|infinisnoop) [^`]*)`", source.read(path))
        for text in inline:
            bad += _check(path, " ".join(text.split()), known)
    return bad


def links():
    """Documents link to files that there are."""
    bad = []
    for path in documents():
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", source.read(path)):
            if not os.path.exists(os.path.join(source.TREE, os.path.dirname(path), target)):
                bad.append(f"{path}: no {target}")
    return bad


RULES = [
    ("every block of the documents is commands or known for something else", known_blocks),
    ("commands in the documents name what there is", hold),
    ("documents link to what there is", links),
]

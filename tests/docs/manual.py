# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules of the manual: each page has what a page must have and says what the sources say, no more, no less."""
import os
import re
import subprocess
import tempfile

import source

SECTIONS = ("NAME", "DESCRIPTION", "EXAMPLES", "SEE ALSO")
TOOLS = ("infinitop", "infinilat", "infinisnoop")


def pages():
    return source.files("man/*.[0-9]")


def plain(text):
    """Without roff's escapes and macros of fonts."""
    text = re.sub(r"\\f[BIPR]|\\&", "", text)
    return text.replace("\\-", "-").replace("\\e", "\\").replace("\\(dq", '"').replace('\\.\\|.\\|.', "...")


def part(text, *heads):
    """The sections of a page that are called so, one behind the other."""
    found = re.split(r'^\.SH "?([^"\n]*)"?\n', text, flags=re.MULTILINE)
    return "".join(body for head, body in zip(found[1::2], found[2::2]) if head in heads)


def tags(text):
    """The tags of the paragraphs of a page, without fonts."""
    found = []
    for line in re.findall(r"^\.T[PQ]\n(.*)", text, re.MULTILINE):
        found.append(plain(re.sub(r"^\.[BIR]+ ", "", line)).replace('"', ""))
    return found


def options(text):
    """Long and short options among the tags."""
    words = " ".join(tags(text))
    return set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", words)), set(re.findall(r"(?<![\w-])-([a-zA-Z])(?!\w)", words))


def names(text):
    """What the NAME section says the page is about."""
    return [name.strip() for name in plain(part(text, "NAME")).replace("\n", " ").split(" - ")[0].split(",")]


def example(text):
    """The program of an EXAMPLES section."""
    found = re.search(r"\.EX\n(.*?)\.EE", part(text, "EXAMPLES"), re.DOTALL)
    return plain(found[1]) if found else ""


def differ(what, told, known):
    return [f"{what}: {name} is not in the page" for name in sorted(known - told)] + \
        [f"{what}: {name} is in the page and nowhere else" for name in sorted(told - known)]


def whole():
    bad = []
    for page in pages():
        text = source.read(page)
        bad += [f"{page}: no section {name}" for name in SECTIONS if not part(text, name)]
    return bad


def references():
    """Pages that are referred to, if they are ours, are there."""
    ours = {f"{name}({page[-1]})" for page in pages() for name in names(source.read(page))}
    bad = []
    for page in pages():
        text = plain(re.sub(r"^\.BR (\S+) (\(\d\))", r"\1\2", source.read(page), flags=re.MULTILINE))
        bad += [f"{page}: no page {name}" for name in sorted(set(re.findall(r"\binfini[\w.-]*\(\d\)", text)) - ours)]
    return bad


def functions():
    told = {name for page in source.files("man/*.3") for name in names(source.read(page))}
    public = source.header_functions("infini.h", "infini-kernel.h")
    bad = differ("man3", told, public | source.header_functions("infini-admin.h"))
    return bad + differ("lib/libinfini.map", source.exported(), public)


def device():
    text = source.read("man/infini.4")
    words = " ".join(tags(text))
    bad = differ("infini(4)", set(re.findall(r"INFINI_IOC_\w+", words)), source.ioctls())
    bad += differ("infini(4)", set(tags(part(text, "ERRORS"))), source.errnos())
    told = set(re.findall(r"(\w+_[mu]s) \((\d+)\)", words))
    return bad + differ("infini(4)", told, set(source.parameters().items()))


def commands():
    known = source.infinictl()
    there = {os.path.basename(page)[len("infinictl-"):-2] for page in source.files("man/infinictl-*.8")}
    bad = differ("man8", there, {name.replace(" ", "-") for name in known} - {"help"})
    overview = source.read("man/infinictl.8")
    bad += differ("infinictl(8)", set(tags(part(overview, "COMMANDS"))), set(known))
    for name in sorted(known):
        page = f"man/infinictl-{name.replace(' ', '-')}.8"
        if os.path.exists(os.path.join(source.TREE, page)):
            bad += differ(page, options(source.read(page))[0], known[name])
    return bad


def programs():
    bad = []
    for name, path in [("infinid", "daemon/main.c")] + [(tool, f"bpf/{tool}.c") for tool in TOOLS]:
        page = f"man/{name}.8"
        told, known = options(source.read(page)), source.tool_options(path, name == "infinid")
        bad += differ(page, told[0], known[0])
        if name == "infinid":
            bad += differ(page, told[1], known[1])
    return bad


def configuration():
    told, section = set(), ""
    for line in source.read("man/infinid.conf.5").splitlines():
        if line.startswith(".SH ["):
            section = line[len(".SH ["):].split()[0].rstrip("]")
        key = re.match(r"\.BI (\w+)= ", line)
        if key and section:
            told.add((section, key[1]))
    return differ("infinid.conf(5)", told, source.configuration())


def examples():
    """The examples of section 3 are C, use what they are about, and compile without a warning."""
    bad = []
    with tempfile.TemporaryDirectory() as work:
        for page in source.files("man/*.3"):
            text = source.read(page)
            program, path = example(text), os.path.join(work, os.path.basename(page)[:-2] + ".c")
            if not any(f"{name}(" in program for name in names(text)):
                bad.append(f"{page}: the example uses none of its functions")
            with open(path, "w", encoding="utf-8") as file:
                file.write(program)
        done = subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                               f"-I{source.TREE}/uapi", f"-I{source.TREE}/lib",
                               *sorted(os.path.join(work, name) for name in os.listdir(work))],
                              stderr=subprocess.PIPE, text=True, check=False)
        bad += [line.replace(work + "/", "") for line in done.stderr.splitlines() if ": error" in line]
    return bad


RULES = [
    ("every page has its sections", whole),
    ("pages refer to pages that there are", references),
    ("every function of libinfini has a page, and every page its function", functions),
    ("infini(4) has every ioctl, error and module parameter", device),
    ("every command of infinictl and every option is in its page", commands),
    ("every option of infinid and the BPF tools is in its page", programs),
    ("infinid.conf(5) has every key", configuration),
    ("the examples of section 3 compile", examples),
]

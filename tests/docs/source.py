# SPDX-License-Identifier: GPL-2.0-or-later
"""What the sources say there is: commands, options, symbols, ioctls, keys. Read, never run."""
import glob
import os
import re

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OPTION = re.compile(r'\{ "([a-z][a-z-]*)", (?:no|required|optional)_argument')


def read(path):
    with open(os.path.join(TREE, path), encoding="utf-8") as file:
        return file.read()


def files(pattern):
    return sorted(os.path.relpath(path, TREE) for path in glob.glob(os.path.join(TREE, pattern)))


def _option_macros():
    """INFINI_*_OPTIONS of infinictl, which several commands share."""
    macros = {}
    for header in files("ctl/*.h"):
        for name, body in re.findall(r"^#define (\w+_OPTIONS)\b((?:.*\\\n)*.*)", read(header), re.MULTILINE):
            macros[name] = OPTION.findall(body)
    return macros


def _option_tables(text, macros):
    tables = []
    for body in re.findall(r"static const struct option options\[\] = \{(.*?)\n\t\};", text, re.DOTALL):
        tables.append(set(OPTION.findall(body)).union(*(names for macro, names in macros.items()
                                                       if macro in body)))
    return tables


def infinictl():
    """Each command of infinictl and its options."""
    commands, macros = {}, _option_macros()
    for path in files("ctl/*.c"):
        text = read(path)
        names = re.findall(r'^const struct infini_command \w+ = \{\n\t\.name = "([^"]+)"', text, re.MULTILINE)
        tables = _option_tables(text, macros)
        for name in names:
            options = tables.pop(0) if tables else {"json"} if "infini_options_json(" in text else set()
            commands[name] = set() if name == "help" else options | {"help"}
    return commands


def tool_options(path, shorts):
    """Of a program of one getopt_long() table: its long options, and the short ones it takes."""
    text = read(path)
    short = re.search(r'getopt_long\([^"]*"([^"]*)"', text)
    return set(OPTION.findall(text)), set(re.sub(r"[:+]", "", short[1])) if short and shorts else set()


def header_functions(*headers):
    found = set()
    for header in headers:
        text = re.sub(r"/\*.*?\*/", "", read(f"lib/{header}"), flags=re.DOTALL)
        found |= set(re.findall(r"^[a-z][^;{}()#\n]*?\b(infini_\w+)\(", text, re.MULTILINE))
    return found


def exported():
    """The symbols of libinfini's version script."""
    return set(re.findall(r"^\t\t(infini_\w+);", read("lib/libinfini.map"), re.MULTILINE))


def ioctls():
    return set(re.findall(r"^#define (INFINI_IOC_\w+)\s+_IO\(", read("uapi/linux/infini.h"), re.MULTILINE))


def errnos():
    """The errno contract of the header."""
    contract = re.search(r"Errno contract\n.*?\*/", read("uapi/linux/infini.h"), re.DOTALL)[0]
    return set(re.findall(r"^ \*  (E[A-Z0-9]+) ", contract, re.MULTILINE))


def parameters():
    """Module parameters and their defaults."""
    text = read("kmod/main.c")
    values = dict(re.findall(r"^unsigned int infini_(\w+) = (\d+);", text, re.MULTILINE))
    return {name: values[name] for name in re.findall(r"module_param_named\((\w+),", text)}


def configuration():
    """(section, key) of infinid.conf, as set_SECTION() of the parser compares them."""
    keys, text = set(), read("daemon/config.c")
    for name, body in re.findall(r"^static void set_(\w+)\([^{]*\)\n\{(.*?)^\}", text, re.MULTILINE | re.DOTALL):
        section = "infinid" if name == "global" else name
        keys |= {(section, key) for key in re.findall(r'strcmp\(key, "(\w+)"\)', body)}
    return keys


def make_targets():
    return set(re.search(r"^\.PHONY: (.*)$", read("Makefile"), re.MULTILINE)[1].split())

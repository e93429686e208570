#!/usr/bin/python3
"""Usage: kconfig.py TREE [FILE] [NAME=VALUE...]

Reads Config.in and provides/init.in of the external tree TREE under a stub of Buildroot's menus, sets what the
defconfig FILE and then the arguments say, and prints NAME=VALUE for every symbol that is set then, sorted.

It exits with 1 and says why if something is set that does not exist, or did not get the value that it was to get,
because something that it depends on is missing.

       kconfig.py --names TREE

prints the stub's own symbols, and their types.
"""

import os
import re
import sys
import tempfile

try:
    import kconfiglib
except ImportError:
    sys.exit("kconfig.py: Debian's package python3-kconfiglib is not there. Run: scripts/setup")

STUB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stub", "Config.in")
TYPES = {kconfiglib.BOOL: "bool", kconfiglib.STRING: "string", kconfiglib.INT: "int"}


def read(tree):
    os.environ["BR2_EXTERNAL_LINCHPIN_PATH"] = os.path.abspath(tree)
    os.environ["CONFIG_"] = ""
    kconfig = kconfiglib.Kconfig(STUB, warn_to_stderr=False, suppress_traceback=True)
    if kconfig.warnings:
        raise SystemExit("\n".join(kconfig.warnings))
    kconfig.warn_assign_undef = True
    return kconfig


def wanted_of(lines):
    """The last value that is given to each symbol."""
    wanted = {}
    for line in lines:
        is_unset = re.fullmatch(r"# (BR2_\w+) is not set", line)
        if is_unset:
            wanted[is_unset.group(1)] = "n"
        elif line.strip() and not line.startswith("#"):
            name, _, value = line.partition("=")
            wanted[name] = value.strip('"')
    return wanted


def configure(kconfig, lines):
    with tempfile.NamedTemporaryFile("w", suffix="_defconfig") as file:
        for line in lines:
            if re.fullmatch(r"BR2_\w+=[^\"ynm0-9].*", line):
                line = '{}="{}"'.format(*line.split("=", 1))
            file.write(line + "\n")
        file.flush()
        kconfig.load_config(file.name)
        problems = [text.replace(file.name, "line") for text in kconfig.warnings]
    for name, value in wanted_of(lines).items():
        if name in kconfig.syms and kconfig.syms[name].nodes and kconfig.syms[name].str_value != value:
            problems.append(f"{name} was to be {value!r} and is {kconfig.syms[name].str_value!r}")
    return problems


def main(arguments):
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if arguments else 100
    if arguments[0] == "--names":
        for symbol in sorted(read(arguments[1]).unique_defined_syms, key=lambda symbol: symbol.name):
            if all(node.filename.endswith("stub/Config.in") for node in symbol.nodes):
                print(symbol.name, TYPES[symbol.orig_type])
        return 0
    kconfig = read(arguments[0])
    lines = []
    for argument in arguments[1:]:
        if "=" in argument:
            lines.append(argument)
        else:
            with open(argument, encoding="utf-8") as file:
                lines += file.read().splitlines()
    problems = configure(kconfig, lines)
    for symbol in sorted(kconfig.unique_defined_syms, key=lambda symbol: symbol.name):
        if symbol.str_value not in ("n", ""):
            print(f"{symbol.name}={symbol.str_value}")
    for problem in problems:
        print(f"kconfig.py: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

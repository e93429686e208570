#!/usr/bin/python3
"""Usage: lint.py FILE...

Checks files of an external tree against the rules that Buildroot's own checker has for such trees, as far as they
can be told from the text of one file. It prints a line for each mistake, FILE:LINE: RULE: TEXT, and exits with 1
if there is any. What kind a file is, its name tells:

    Config.*                menus         indent attributes default-n twice help
    *.mk                    packages      header ascii assignment indent backslash braces ifdef prefix useless
                                          default-source hostdir override
    *.hash                  hashes        fields hash separation
    configs/*_defconfig     choices       hashes-forced

and all of them: blanks, empty-lines, last-line, mode. What Buildroot's checker runs as programs, shellcheck and
flake8, are others' tasks here.
"""

import os
import re
import sys

DIGITS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
RULER = "#" * 80


class Lint:
    """Gathers the mistakes of one file."""

    def __init__(self, name, text):
        self.name = name
        self.lines = text.split("\n")
        self.ends_well = text.endswith("\n") or not text
        if self.ends_well:
            self.lines.pop()
        self.found = []

    def say(self, number, rule, text):
        self.found.append((number, rule, text))

    def each(self):
        return enumerate(self.lines, 1)

    def everywhere(self):
        before = "text"
        for number, line in self.each():
            if line != line.rstrip():
                self.say(number, "blanks", "the line ends in blanks")
            if not line.strip() and not before.strip():
                self.say(number, "empty-lines", "one empty line is enough")
            before = line
        if not self.ends_well:
            self.say(len(self.lines), "last-line", "the last line has no end")
        elif self.lines and not self.lines[-1].strip():
            self.say(len(self.lines), "last-line", "the last line is empty")


# --- menus

OUTERMOST = {"config", "menuconfig", "choice", "endchoice", "comment", "if", "endif", "menu", "endmenu", "source"}
RANK = {"bool": 1, "string": 1, "prompt": 1, "default": 2, "depends": 3, "select": 4, "help": 5}


def lint_menu(lint):
    rank, in_help, first_of_help, continued = 0, False, False, False
    conditions, defined = [], {}
    for number, line in lint.each():
        words = line.split()
        is_continued, continued = continued, line.endswith("\\") and not line.startswith("#")
        if not words or words[0].startswith("#"):
            continued = False
            continue
        if line.startswith("\t  ") and in_help and not is_continued:
            if len(line) > 3 + 62 and not re.fullmatch(r"(https?|git)://\S+", line.strip()):
                lint.say(number, "help", f"{len(line) - 3} characters of text, 62 are the most")
            if first_of_help and line[3] in " \t":
                lint.say(number, "help", "the first line of a help text starts behind one tab and two blanks")
            first_of_help = continued = False
            continue
        word = words[0]
        if is_continued:
            if not line.startswith("\t"):
                lint.say(number, "indent", "a continued line starts with a tab")
        elif word in OUTERMOST:
            rank, in_help = 0, False
            if line[0].isspace():
                lint.say(number, "indent", f"'{word}' starts its line")
            follow_menu(lint, number, words, conditions, defined)
        elif in_help:
            lint.say(number, "help", "a help text starts behind one tab and two blanks")
        elif word in RANK or word in ("int", "hex"):
            if not line.startswith("\t" + word):
                lint.say(number, "indent", f"'{word}' starts behind one tab")
            new = RANK.get(word, 1)
            if new < rank:
                lint.say(number, "attributes", "the order is: type, default, depends on, select, help")
            rank = new
            if words[:2] == ["default", "n"] and len(words) == 2:
                lint.say(number, "default-n", "everything is n by default")
            in_help = first_of_help = word == "help"


def follow_menu(lint, number, words, conditions, defined):
    """Which symbol is defined where: a second definition under the same conditions is a mistake."""
    if words[0] == "if":
        conditions.append(" ".join(words[1:]))
    elif words[0] == "endif":
        if conditions:
            conditions.pop()
        else:
            lint.say(number, "twice", "an 'endif' without its 'if'")
    elif words[0] in ("config", "menuconfig") and len(words) > 1:
        key = (words[1], tuple(conditions))
        if key in defined:
            lint.say(number, "twice", f"{words[1]} is defined in line {defined[key]} already")
        defined.setdefault(key, number)


# --- packages

CONDITION = re.compile(r"\s*(ifeq|ifneq|ifdef|ifndef|else|endif)\b")
ASSIGNMENT = re.compile(r"(override |export )?([A-Za-z0-9_]+)(\s*)(\+=|:=|\?=|=)(\s*)(.*)")
USELESS = {"INSTALL_IMAGES": "NO", "INSTALL_STAGING": "NO", "INSTALL_TARGET": "YES", "REDISTRIBUTE": "YES"}
# What a package may well give another value in a condition.
VARYING = ("_ARCH", "_CPU", "_SITE", "_SOURCE", "_VERSION")


def lint_package(lint):
    name = os.path.basename(lint.name)[:-3]
    prefix = name.upper().replace("-", "_") + "_"
    header(lint, name)
    values = Values(lint, name, prefix)
    in_define, continued, in_rule = False, False, False
    for number, line in lint.each():
        if not line.isascii():
            lint.say(number, "ascii", "only ASCII characters")
        if re.search(r"[ \t]{2,}\\$|\t\\$", line):
            lint.say(number, "backslash", "one blank before a backslash")
        if continued and not line.strip():
            lint.say(number - 1, "backslash", "a backslash, and then no more")
        if re.search(r"(?<!\$)\$\{\w+\}", line) and not line.startswith("#"):
            lint.say(number, "braces", "variables are written $(NAME)")
        if re.match(r"[^#]*\$\(HOST_DIR\)/usr\b", line):
            lint.say(number, "hostdir", "$(HOST_DIR) has no usr of its own")
        condition = CONDITION.match(line) if not continued else None
        if condition:
            conditional(lint, number, line, condition.group(1), values)
        elif re.match(r"endef\b", line):
            in_define = False
        elif re.match(r"(override )?define\b", line):
            in_define = True
            values.named(number, line.split("define", 1)[1].split()[0])
        elif in_define or in_rule or continued:
            if line.strip() and not line.startswith("\t") and not line.lstrip().startswith("#"):
                lint.say(number, "indent", "a recipe or a continued line starts with a tab")
        elif line.startswith((" ", "\t")):
            lint.say(number, "indent", "no blanks at the start of this line")
        else:
            assigned = ASSIGNMENT.fullmatch(line)
            if assigned:
                values.assigned(number, assigned)
            in_rule = not assigned and re.match(r"[^#\s:=$]+( [^#\s:=]+)*:(\s|$)", line) is not None
        if not line.strip():
            in_rule = False
        continued = line.endswith("\\") and not line.startswith("#")


def header(lint, name):
    wanted = [RULER, "#", f"# {name}", "#", RULER, ""]
    for number, line in enumerate(wanted, 1):
        is_there = lint.lines[number - 1] if len(lint.lines) >= number else None
        if is_there != line and not (number == 3 and (is_there or "").startswith(line + ":")):
            lint.say(number, "header", f"line {number} of a package's header is '{line[:20]}'")


def conditional(lint, number, line, word, values):
    if line[0].isspace():
        lint.say(number, "indent", "a condition starts its line")
    if word in ("ifdef", "ifndef") or re.match(r"else\s+ifn?def\b", line):
        lint.say(number, "ifdef", "use ifeq ($(NAME),y)")
    if word.startswith("if"):
        values.depth += 1
    elif word == "endif":
        values.depth -= 1


class Values:
    """The variables of a package: what they are called, and which of them are given a value where."""

    def __init__(self, lint, name, prefix):
        self.lint, self.name, self.prefix = lint, name, prefix
        self.virtual = []
        self.depth = 0
        self.always, self.sometimes = set(), set()

    def named(self, number, variable):
        if variable == "BR_NO_CHECK_HASH_FOR":
            return  # a list of Buildroot's that packages add to
        allowed = [self.prefix, "HOST_" + self.prefix, "ROOTFS_" + self.prefix] + self.virtual
        if "_" in variable and variable == variable.upper() and not variable.startswith(tuple(allowed)):
            self.lint.say(number, "prefix", f"{variable} does not start with {self.prefix}")

    def assigned(self, number, match):
        _, variable, before, sign, after, value = match.groups()
        if before != " " or (after != " " and value) or (after and not value):
            self.lint.say(number, "assignment", "one blank on both sides of =")
        self.named(number, variable)
        own = variable[len(self.prefix):] if variable.startswith(self.prefix) else ""
        if own == "PROVIDES":
            self.virtual += [word.upper().replace("-", "_") + "_" for word in value.split()]
        if self.depth == 0 and USELESS.get(own) == value:
            self.lint.say(number, "useless", f"{variable} is {value} anyway")
        if own == "SOURCE" and value == f"{self.name}-$({self.prefix}VERSION).tar.gz":
            self.lint.say(number, "default-source", f"{variable} is that anyway")
        if sign in ("=", ":="):
            self.overriding(number, variable)
        (self.sometimes if self.depth else self.always).add(variable)

    def overriding(self, number, variable):
        if self.depth == 0 and variable in self.always | self.sometimes:
            self.lint.say(number, "override", f"{variable} has a value already")
        elif self.depth and variable.endswith(("_CONF_OPTS", "_DEPENDENCIES")):
            self.lint.say(number, "override", f"what a condition brings is added to {variable}")
        elif self.depth and variable in self.always and not variable.endswith(VARYING):
            self.lint.say(number, "override", f"{variable} has a value outside the condition already")


# --- hashes and choices

def lint_hashes(lint):
    for number, line in lint.each():
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split()
        if len(fields) != 3:
            lint.say(number, "fields", "three fields: kind, hash, file")
            continue
        kind, digits, _ = fields
        if kind not in DIGITS:
            lint.say(number, "hash", f"no such kind of hash: {kind}")
        elif not re.fullmatch(f"[0-9A-Fa-f]{{{DIGITS[kind]}}}", digits):
            lint.say(number, "hash", f"{kind} has {DIGITS[kind]} hexadecimal digits")
        if line.rstrip() != "  ".join(fields):
            lint.say(number, "separation", "two blanks between the fields")


def lint_choices(lint):
    if "BR2_DOWNLOAD_FORCE_CHECK_HASHES=y" not in lint.lines:
        lint.say(0, "hashes-forced", "BR2_DOWNLOAD_FORCE_CHECK_HASHES=y is missing")


def kind_of(path):
    name = os.path.basename(path)
    if name == "external.mk":
        return None  # Buildroot's checker leaves it out
    if re.match(r"Config\.\S+$", name):
        return lint_menu
    if name.endswith(".mk"):
        return lint_package
    if name.endswith(".hash"):
        return lint_hashes
    if re.search(r"(^|/)configs/[^/]+_defconfig$", path):
        return lint_choices
    return None


def lint_file(path):
    """The mistakes of one file as (line, rule, text), or None if it is of no kind that has rules."""
    kind = kind_of(path)
    if kind is None:
        return None
    with open(path, encoding="utf-8", newline="") as file:
        lint = Lint(path, file.read())
    lint.everywhere()
    if os.access(path, os.X_OK) and os.stat(path).st_mode & 0o111:
        lint.say(0, "mode", "this file is no program")
    kind(lint)
    return sorted(lint.found)


def main(paths):
    if not paths or paths[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if paths else 100
    count, found = 0, 0
    for path in paths:
        mistakes = lint_file(path)
        if mistakes is None:
            continue
        count += 1
        for number, rule, text in mistakes:
            found += 1
            print(f"{path}:{number}: {rule}: {text}")
    print(f"{count} files, {found} mistakes", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

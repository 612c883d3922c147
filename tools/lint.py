# SPDX-License-Identifier: Apache-2.0
"""Checks every tracked file against the limits of docs/design.md, section 6.

Prints `file:line: what is wrong` for each breach and ends with 1 if there was
any. Formatting and clang-tidy are checked by `./dev lint` beside this.
"""

import pathlib
import re
import subprocess
import sys

MAX_FILE_LINES, GOOD_FILE_LINES = 600, 450
MAX_FUNCTION_LINES, GOOD_FUNCTION_LINES = 80, 45
MAX_CLASS_LINES = 190
MAX_FILE_BYTES = 1_000_000
# Low to high; a folder includes only headers of itself and of those before.
LAYERS = ["base", "text", "formats", "generate", "store", "backup", "model",
          "engine", "train", "parse", "recipe", "stages", "inspect", "replay", "export",
          "eval", "judge", "report", "serve", "local", "cli"]
TORCH_FOLDERS = {"model", "engine", "train", "local", "cli"}
# These must not know torch, so they may not use the torch folders although they
# stand before them.
FORBIDDEN = {folder: {"model", "engine", "train"}
             for folder in ("parse", "recipe", "stages", "inspect", "replay",
                            "export", "eval", "judge", "report", "serve")}
# Built by joining, so that this file does not match itself.
LATER = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X",
                                      "HA" + "CK"]) + r")\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(work|tmp|root|home|Users)/\w")
# Text from anywhere reaches a terminal only through these, which make it safe.
PRINTING = re.compile(
    r"std::(cout|cerr|clog|print)|\b(f?printf|puts|fputs|fputc|putchar|perror|"
    r"fwrite|dprintf)\(|::write\((STDOUT|STDERR|STDIN)_FILENO")
PRINTERS = {"src/base/bus_guard.cc", "src/base/error.cc",
            "src/base/interrupt.cc", "src/base/log.cc",
            "src/cli/lines.cc", "src/cli/terminal_input.cc"}
TORCH_INCLUDE = re.compile(r'#include [<"](torch|ATen|c10|model/aten\.h)')
INCLUDE = re.compile(r'#include "([a-z]+)/')
UNIT_INCLUDE = re.compile(r'#include "([^"]+)"')
# Numbers in text are read in one place, which checks the whole text and the
# range; what these make of other text is another number or undefined.
NUMBERS = pathlib.Path("src/base/number.h")
LOOSE_NUMBER = re.compile(
    r"\b(v?[sf]?scanf|ato(i|l|ll|f)|strto(l|ll|ul|ull|d|f|ld|imax|umax)|"
    r"from_chars)\b|\bstd::sto(i|l|ll|ul|ull|f|d|ld)\(|\bstd::cin\b")
INPUT_STREAM = re.compile(
    r"\bstd::(?:i|if|istring|string|f)(?:stream)&? (\w+)")

# A loop over a folder throws an exception without the folder's name; these
# make an Error of it.
FOLDERS = "src/base/folder.h"
FOLDER_LOOP = re.compile(r":\s*(std::)?\w+::(recursive_)?directory_iterator\(")

# A source named in a text, and those of other projects.
REFERENCE = re.compile(r"(?<![\w/.<$-])(?:[a-z_0-9]+/)*([a-z_0-9]+\.(?:h|cc))\b")
FOREIGN_SOURCES = {"torch/torch.h", "common.h"}
LICENCE = "SPDX-License-" "Identifier: Apache-2.0"
LICENSED = {".cc", ".h", ".py", ".sh", ".cmake", ".html", ".css", ".js"}

problems = []
warnings = []


def problem(path, line, text):
    problems.append(f"{path}:{line}: {text}")


def tracked():
    names = subprocess.run(["git", "ls-files"], check=True, text=True,
                           capture_output=True).stdout.splitlines()
    return [path for path in map(pathlib.Path, names) if path.is_file()]


def strip_literals(line):
    """The line without string and character literals and its comment."""
    line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
    line = re.sub(r"'(\\.|[^'\\])'", "''", line)
    return line.split("//")[0]


def functions(lines):
    """Yields (first line, number of lines) of each function body.

    clang-format has been over the file: a body starts with a line that ends
    in `{` after `)` and ends at `}` in the column of its first line.
    """
    head = re.compile(r"^\s*\S.*\)( const| noexcept| override| ->.*)* \{$")
    keyword = re.compile(r"^\s*(\} )?(if|for|while|switch|else|catch|do)\b")
    raw_string = False
    seen = set()
    for i, line in enumerate(lines):
        if line.count('R"') % 2 and ')"' not in line:
            raw_string = True
        if raw_string:
            raw_string = ')"' not in line and ')~"' not in line
            continue
        match = head.match(strip_literals(line).rstrip())
        if not match or keyword.match(line):
            continue
        # The signature may have begun on lines before, never indented more.
        start = i
        while start > 0 and len(lines[start]) - len(
                lines[start].lstrip()) > 3 and lines[start - 1].strip():
            start -= 1
        if start in seen:
            continue
        seen.add(start)
        indent = len(lines[start]) - len(lines[start].lstrip())
        end = re.compile(rf"^ {{{indent}}}\}}")
        for j in range(i + 1, len(lines)):
            if end.match(lines[j]):
                yield start + 1, j - start + 1
                break


def classes(lines):
    """Yields (first line, number of lines) of each class that is defined."""
    head = re.compile(r"^(\s*)(class|struct)\b[^;()]*\{$")
    for i, line in enumerate(lines):
        match = head.match(strip_literals(line).rstrip())
        if not match:
            continue
        end = re.compile(rf"^{match[1]}\}}")
        for j in range(i + 1, len(lines)):
            if end.match(lines[j]):
                yield i + 1, j - i + 1
                break


def check_numbers(path, lines):
    """No loose parsing of numbers, also not by >> of a stream."""
    if path == NUMBERS or path.stem.endswith("_test") or "testing" in path.stem:
        return
    streams = set(INPUT_STREAM.findall("\n".join(lines)))
    reads = re.compile(rf"\b({'|'.join(streams)}) >>") if streams else None
    for number, line in enumerate(lines, 1):
        line = strip_literals(line)
        if LOOSE_NUMBER.search(line) or reads and reads.search(line):
            problem(path, number, f"numbers in text are read by {NUMBERS}")


def check_folders(path, lines):
    """Only the program itself: a test may end with any exception."""
    if path.parts[0] != "src" or path.stem.endswith("_test"):
        return
    for number, line in enumerate(lines, 1):
        if FOLDER_LOOP.search(strip_literals(line)):
            problem(path, number, f"folders are listed by {FOLDERS}")


def check_text(path, lines):
    for number, line in enumerate(lines, 1):
        if LATER.search(line):
            problem(path, number, "do it now or open an issue for it")
        if MACHINE_PATH.search(line):
            problem(path, number, "a path of one machine")


def check_layers(path, lines):
    if path.parts[0] != "src" or path.parts[1] not in LAYERS:
        return
    folder = path.parts[1]
    # A test may build its world with what stands above what it tests.
    is_test = path.stem.endswith("test") or path.stem == "testing"
    allowed = set(LAYERS if is_test else LAYERS[:LAYERS.index(folder) + 1])
    allowed -= FORBIDDEN.get(folder, set())
    for number, line in enumerate(lines, 1):
        if folder not in TORCH_FOLDERS and TORCH_INCLUDE.match(line):
            problem(path, number, f"no torch in src/{folder}")
        match = INCLUDE.match(line)
        if match and match[1] in LAYERS and match[1] not in allowed:
            problem(path, number, f"src/{folder} must not use {match[1]}")


def unit_of(path):
    """Header and source are one unit, and so is what only a source includes."""
    return str(path.with_suffix("")).removeprefix("src/").removesuffix("_impl")


def check_cycles(paths):
    """No two units of src/ need each other, whatever stands between them."""
    needs = {}
    for path in paths:
        if (path.parts[0] == "src" and path.suffix in (".cc", ".h")
                and not path.stem.endswith("_test")):
            unit = needs.setdefault(unit_of(path), {})
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if match := UNIT_INCLUDE.match(line):
                    unit.setdefault(unit_of(pathlib.Path(match[1])),
                                    (path, number))
    done, trail = set(), []

    def visit(unit):
        if unit in trail:
            path, number = needs[trail[-1]][unit]
            loop = trail[trail.index(unit):] + [unit]
            problem(path, number, "include cycle: " + " -> ".join(loop))
        elif unit not in done:
            trail.append(unit)
            for other in needs.get(unit, {}):
                if other != unit:
                    visit(other)
            trail.pop()
            done.add(unit)

    for unit in sorted(needs):
        visit(unit)


def check_cpp(path, lines):
    if len(lines) > MAX_FILE_LINES:
        problem(path, 1, f"{len(lines)} lines, at most {MAX_FILE_LINES}")
    elif len(lines) > GOOD_FILE_LINES:
        warnings.append(f"{path}:1: {len(lines)} lines, {GOOD_FILE_LINES} "
                        "are better")
    for first, count in functions(lines):
        if count > MAX_FUNCTION_LINES:
            problem(path, first,
                    f"function of {count} lines, at most {MAX_FUNCTION_LINES}")
        elif count > GOOD_FUNCTION_LINES:
            warnings.append(f"{path}:{first}: function of {count} lines, "
                            f"{GOOD_FUNCTION_LINES} are better")
    for first, count in classes(lines):
        if count > MAX_CLASS_LINES:
            problem(path, first,
                    f"class of {count} lines, at most {MAX_CLASS_LINES}")
    if (path.suffix == ".h" and "#pragma once" not in lines and
            not path.name.endswith("_impl.h")):  # included once per variant
        problem(path, 1, "no #pragma once")
    check_numbers(path, lines)
    check_folders(path, lines)
    check_layers(path, lines)


def check_printing(path, lines):
    """Only the program itself: tests and benchmarks print as they like."""
    if (path.parts[0] != "src" or path.name.endswith("_test.cc") or
            str(path) in PRINTERS):
        return
    for number, line in enumerate(lines, 1):
        if PRINTING.search(strip_literals(line)):
            problem(path, number, "print through base/log.h or cli/lines.h")


def check_references(paths):
    """A source that a text or a comment names is there."""
    names = {path.name for path in paths}
    for path in paths:
        if path.parts[0] not in ("src", "docs", "prompts") and (
                len(path.parts) > 1 or path.suffix != ".md"):
            continue
        if path.suffix not in (".cc", ".h", ".md"):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.startswith("#include") or line.startswith("#if"):
                continue
            for match in REFERENCE.finditer(line):
                whole = match[0]
                if match[1] in names and (
                        "/" not in whole or pathlib.Path(whole).is_file() or
                        (pathlib.Path("src") / whole).is_file()):
                    continue
                if whole not in FOREIGN_SOURCES:
                    problem(path, number, f"there is no {whole}")


def check_licence(path, lines):
    if (path.suffix in LICENSED or path.name in ("dev", "CMakeLists.txt")) and (
            path.parts[:2] != ("tests", "data")) and not any(
                LICENCE in line for line in lines[:3]):
        problem(path, 1, f"no {LICENCE} in its first lines")


def check_listed(paths):
    """Every source is named in a CMakeLists.txt, or goes by its rule."""
    lists = [p for p in paths if p.name == "CMakeLists.txt" or
             p.suffix == ".cmake"]
    listed = " ".join(p.read_text() for p in lists)
    by_rule = {pathlib.Path("fuzz"), pathlib.Path("bench")} | {
        p.parent for p in lists
        if re.search(r"selfalign_library\(\w+\s+LINK", p.read_text())}
    for path in paths:
        if path.suffix != ".cc" or by_rule & set(path.parents):
            continue
        if not re.search(rf"\b{re.escape(path.name)}\b", listed):
            problem(path, 1, "in no CMakeLists.txt, so it is never built")


def check_paper_map(paths):
    """Every row of docs/paper_map.md ends in a test or command that exists."""
    sources = "\n".join(p.read_text() for p in paths if p.suffix == ".cc")
    tests = {f"{suite}.{case}" for suite, case in re.findall(
        r"^TEST(?:_[FP])?\((\w+),\s*(\w+)\)", sources, re.M)}
    commands = set(re.findall(r'add_subcommand\(\s*"(\w+)"', sources))
    page = pathlib.Path("docs/paper_map.md")
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if not line.startswith("| ") or line.endswith("| shown by |"):
            continue
        shown = re.findall(r"`([^`]+)`", line.rstrip("| ").split(" | ")[-1])
        if not shown:
            problem(page, number, "no test or command shows this row")
        for name in shown:
            words = name.split()
            known = (name in tests or
                     words[0] == "selfalign" and words[1] in commands or
                     name.startswith("bench/") and
                     pathlib.Path(name + ".cc").is_file() or
                     name.endswith(".*") and
                     any(test.startswith(name[:-1]) for test in tests))
            if not known:
                problem(page, number, f"no test or command {name}")


def main():
    paths = tracked()
    for path in paths:
        if path.stat().st_size >= MAX_FILE_BYTES:
            problem(path, 1, f"at least {MAX_FILE_BYTES} bytes")
            continue
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # binary test data
        if path.name != "LICENSE" and path.parts[:2] != ("tests", "data"):
            check_text(path, lines)
        check_licence(path, lines)
        if path.suffix in (".cc", ".h"):
            check_cpp(path, lines)
            check_printing(path, lines)
    check_cycles(paths)
    check_listed(paths)
    check_references(paths)
    check_paper_map(paths)
    print("\n".join(["warning: " + text for text in warnings] + problems))
    print(f"{len(paths)} files, {len(problems)} problems")
    return 1 if problems else 0


sys.exit(main())

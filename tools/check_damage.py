#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Damages copies of a run at random and asks every command that reads one.

usage: check_damage.py RUN [--program FILE] [--count N] [--seed N]

Each of N times a copy of the run has bits flipped, is cut off, or has values put
in place of others by SQL (other types, huge, negative, no UTF-8, no JSON). A
command may then go on (0) or say that the run is damaged (5); nothing else, and
never a signal. (A command that the sound run refuses may refuse again.) What SQL has changed verify must find (single bits: EvidenceTest).
"""
import argparse
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile

COMMANDS = [
    "status RUN", "status RUN --json", "verify RUN", "stats RUN", "report RUN",
    "report RUN --json", "sample RUN -n 3", "sample RUN -n 3 --rejected",
    "show RUN align.answers:0", "show RUN instruct.tasks:1 --json",
    "search RUN the", "principles RUN", "profiles RUN", "contamination RUN",
    "diff RUN SOUND", "export RUN --output OUT", "resume RUN",
    "resume RUN --fork FORK"]

VALUES = [
    -1, 0, 1, 2**63 - 1, -2**63, 1e308, -0.5, "", "x", "[]", "{", "null", "{}",
    '{"instruction": 7, "response": [], "tokens": -1, "type": {}}',
    '{"rejected": {"x": "y"}, "filter": 3, "folder": "../..", "files": []}',
    "[" * 100, b"", b"\xff\xfe\0", "\u202e\x1b[31m", "nan"]


def entries(database, tables):
    """All that the tables hold, with types."""
    return [[(type(value), value) for row in database.execute(
        f"SELECT * FROM {table} ORDER BY rowid") for value in row]
            for table in tables]


def edit(rng, path):
    """One or more entries of a random column get a random value."""
    database = sqlite3.connect(path)
    database.text_factory = bytes
    database.execute("PRAGMA foreign_keys=OFF")
    tables = [name.decode() for name, in database.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table'")]
    before = entries(database, tables)
    for _ in range(rng.randint(1, 3)):
        table = rng.choice(tables)
        columns = [row[1].decode() for row in
                   database.execute(f"PRAGMA table_info({table})")]
        column = rng.choice(columns)
        value = rng.choice(VALUES)
        where = rng.choice(["", " WHERE rowid % 3 = 0",
                            " WHERE rowid = (SELECT MAX(rowid) FROM %s)" % table])
        as_text = rng.random() < 0.3 and isinstance(value, bytes)
        place = "CAST(? AS TEXT)" if as_text else "?"
        try:
            if rng.random() < 0.1:
                database.execute(f"DELETE FROM {table}{where}")
            else:
                database.execute(
                    f"UPDATE OR IGNORE {table} SET {column} = {place}{where}",
                    (value,))
        except (sqlite3.Error, OverflowError):
            continue  # what the table does not take is no damage
    database.commit()
    changed = entries(database, tables) != before
    database.close()
    return "values edited" if changed else "values left"


def flip(rng, path):
    with open(path, "rb") as file:
        data = bytearray(file.read())
    count = rng.choice([1, 1, 5, 50])
    for _ in range(count):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    with open(path, "wb") as file:
        file.write(data)
    return f"{count} bits flipped"


def cut(rng, path):
    size = rng.randrange(os.path.getsize(path))
    os.truncate(path, size)
    return f"cut off at {size}"


def ask(program, line, run, sound, scratch):
    arguments = line.replace("RUN", run).replace("SOUND", sound).replace(
        "OUT", scratch + "/out").replace("FORK", scratch + "/fork").split()
    return subprocess.run([program, "-q"] + arguments, timeout=300, text=True,
                          capture_output=True, errors="replace", check=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--program", default="build/selfalign")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    options = parser.parse_args()
    print("seed", options.seed)
    rng = random.Random(options.seed)
    program = os.path.abspath(options.program)
    sound = os.path.abspath(options.run)
    num_bad = num_asked = 0
    usual = {}
    with tempfile.TemporaryDirectory() as scratch:
        copy = os.path.join(scratch, "run")
        shutil.copytree(sound, copy)
        for line in COMMANDS:
            usual[line] = ask(program, line, copy, sound, scratch).returncode
    for turn in range(options.count):
        with tempfile.TemporaryDirectory() as scratch:
            damaged = os.path.join(scratch, "run")
            shutil.copytree(sound, damaged)
            how = rng.choice([edit, edit, flip, cut])
            what = how(rng, os.path.join(damaged, "run.db"))
            for line in COMMANDS:
                done = ask(program, line, damaged, sound, scratch)
                num_asked += 1
                must_be_found = (how is edit and line == "verify RUN" and
                                 what == "values edited")
                if done.returncode == 5 or (not must_be_found and
                                            done.returncode in (0, usual[line])):
                    continue
                num_bad += 1
                print(f"{what} (turn {turn}): {line}: exit {done.returncode}\n"
                      f"  {done.stderr[-500:]}")
    print(f"{num_asked} commands over {options.count} damaged runs, "
          f"{num_bad} of them wrong")
    return 1 if num_bad else 0


if __name__ == "__main__":
    sys.exit(main())

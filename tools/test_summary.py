# SPDX-License-Identifier: Apache-2.0
"""Counts test cases from the results of CTest runs.

usage: test_summary.py FOLDER

FOLDER holds a folder for each run, with ctest.junit and one XML file per
GoogleTest program. Prints every skipped and failed case with its reason; the
last line is "N passed, N failed". A program that ended without its XML file (it
crashed) or a test that is no GoogleTest program counts as one case.
"""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def gtest_cases(folder):
    """Yields (name, status, reason) of every GoogleTest case."""
    for path in sorted(folder.glob("*.xml")):
        for case in ElementTree.parse(path).iter("testcase"):
            name = f"{case.get('classname')}.{case.get('name')}"
            failure, skipped = case.find("failure"), case.find("skipped")
            if failure is not None:
                yield name, "failed", failure.get("message", "")
            elif skipped is not None:
                yield name, "skipped", skipped.get("message", "")
            elif case.get("status") == "run":
                yield name, "passed", ""


def ctest_cases(folder):
    """Yields (name, status) of every test that CTest ran."""
    states = {"run": "passed", "disabled": "skipped", "notrun": "skipped"}
    for case in ElementTree.parse(folder / "ctest.junit").iter("testcase"):
        yield case.get("name"), states.get(case.get("status"), "failed")


def run_cases(folder):
    """The (name, status, reason) of all cases of one CTest run."""
    cases = list(gtest_cases(folder))
    reported = {path.stem for path in folder.glob("*.xml")}
    num_failed = sum(status == "failed" for _, status, _ in cases)
    for name, status in ctest_cases(folder):
        if f"{name}_test" not in reported:
            cases.append((name, status, "see its output above"))
        elif status == "failed" and num_failed == 0:
            cases.append((name, "failed", "the program failed at its end"))
    return cases


def main():
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        for name, status, reason in run_cases(folder):
            count[status] += 1
            if status != "passed":
                first = (reason.strip().splitlines() or [""])[-1]
                print(f"{status.upper()} {folder.name}: {name}: {first}")
    line = f"{count['passed']} passed, {count['failed']} failed"
    print(line + (f", {count['skipped']} skipped" if count["skipped"] else ""))
    return 1 if count["failed"] or not count["passed"] else 0


sys.exit(main())

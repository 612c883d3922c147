# SPDX-License-Identifier: Apache-2.0
"""What the scripts that check a running server share."""

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def expect(good, found):
    if not good:
        raise AssertionError(f"found {found!r}"[:400])


def run_check(name, work):
    """Calls work() and prints a line, with what it returns; whether it passed."""
    name = name.replace("_", " ")
    try:
        print("ok    ", name, work() or "", flush=True)
        return True
    except Exception as error:  # noqa: BLE001 - every check must run
        print("FAILED", name, f"({type(error).__name__}): {error}", flush=True)
        return False

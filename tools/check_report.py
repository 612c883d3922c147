# SPDX-License-Identifier: Apache-2.0
"""Checks a report page in Chromium: accessibility, widths, requests, looks.

    python3 -m venv checks && checks/bin/pip install axe-playwright-python
    checks/bin/python tools/check_report.py RUN/report.html --shots shots

Opens the page at 400 and 1280 pixels, light and dark, with the network cut
off. Ends with 1 if axe-core finds a breach of WCAG 2 A or AA or of its best
practices, if the page scrolls sideways, asks for anything, logs an error, or
cannot be gone through by keyboard. `--shots` keeps pictures of all four.
Chromium is the machine's (apt install chromium) unless CHROMIUM names one.
"""

import argparse
import os
import pathlib
import shutil
import sys

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import sync_playwright

WIDTHS = (400, 1280)
SCHEMES = ("light", "dark")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa",
        "best-practice"]


def breaches(page):
    """axe-core's findings, with all details open so that all is looked at."""
    page.evaluate("document.querySelectorAll('details')"
                  ".forEach(each => { each.open = true; })")
    page.evaluate(AXE_FILE_PATH.read_text(encoding="utf-8"))
    found = page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})",
        TAGS)
    for breach in found["violations"]:
        places = [" ".join(map(str, node["target"])) for node in
                  breach["nodes"][:3]]
        why = breach["nodes"][0]["failureSummary"].replace("\n", " ")
        yield (f"axe {breach['id']} ({breach['impact']}), "
               f"{len(breach['nodes'])} places, as {places}: {why}")


def check(page, width, scheme, shots):
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        yield f"the page is {wide} pixels wide"
    if shots:
        page.screenshot(path=shots / f"{width}-{scheme}.png", full_page=True)
    page.keyboard.press("Tab")
    focus = page.evaluate("document.activeElement.className")
    if focus != "skip":
        yield f"the first stop of the keyboard is {focus!r}"
    yield from breaches(page)
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        yield f"with all details open it is {wide} pixels wide"


def sweep(target, shots, visit, **settings):
    """visit(page, width, scheme) gives problems; at all widths and schemes."""
    if shots:
        shots.mkdir(parents=True, exist_ok=True)
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        sys.exit("chromium: expected in the path or in CHROMIUM, found none; "
                 "apt install chromium")
    problems = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program,
                                             args=["--no-sandbox"])
        for width in WIDTHS:
            for scheme in SCHEMES:
                page = browser.new_page(
                    viewport={"width": width, "height": 900},
                    color_scheme=scheme, **settings)
                page.set_default_timeout(300_000)  # a busy machine
                page.on("console", lambda message: problems.append(
                    f"console {message.type}: {message.text}"))
                problems += [f"{width} {scheme}: {what}"
                             for what in visit(page, width, scheme)]
                page.close()
        browser.close()
    for problem in problems:
        print(problem)
    print(f"{target}: {len(problems)} problems at widths {WIDTHS}, {SCHEMES}")
    sys.exit(1 if problems else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--shots", type=pathlib.Path)
    arguments = parser.parse_args()

    def visit(page, width, scheme):
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(arguments.page.resolve().as_uri())
        if len(asked) != 1:
            yield f"the page asks for {asked[1:]}"
        yield from check(page, width, scheme, arguments.shots)

    sweep(arguments.page, arguments.shots, visit, offline=True)


if __name__ == "__main__":
    main()

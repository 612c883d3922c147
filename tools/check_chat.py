# SPDX-License-Identifier: Apache-2.0
"""Uses the chat page of `selfalign serve` in Chromium, as a person would.

    build/selfalign serve RUN &
    checks/bin/python tools/check_chat.py http://127.0.0.1:8000/ --shots shots

Set up as for check_report.py. Asks two models side by side, goes on, stops an
answer, asks twice with one seed, and ends with 1 if an answer is not there or
not the same, the page logs an error or asks anything elsewhere, scrolls
sideways, or axe-core finds a breach, at 400 and 1280 pixels, light and dark.
"""

import argparse
import pathlib

from playwright.sync_api import expect

from check_report import breaches, sweep


def send(page, question, sure=True):
    page.fill("#question", question)
    page.press("#question", "Enter")
    if sure:
        expect(page.locator("#send")).to_be_visible(timeout=300_000)


def last_answers(page):
    boxes = page.locator(".answers").last.locator(".answer")
    return [(boxes.nth(i).locator(".text").inner_text(),
             boxes.nth(i).locator(".facts").inner_text())
            for i in range(boxes.count())]


def talk(page):
    """What is wrong with a chat."""
    page.wait_for_selector("#model option", state="attached")
    models = page.locator("#model option").all_inner_texts()
    other = models[-1]
    page.select_option("#other", other)
    page.click("summary")
    page.fill("#max_tokens", "48")
    send(page, "Name a <b>fruit</b> & why.")
    if page.locator(".user b").count():
        yield "what a person wrote became markup"
    first = last_answers(page)
    if len(first) != len({models[0], other}):
        yield f"{len(first)} answers"
    for text, facts in first:
        if "seed" not in facts:
            yield f"an answer ends with {facts!r}"
        if not text:
            yield "an answer is empty"
    page.fill("#seed", "7")
    said = []
    for _ in range(2):
        page.click("#new")
        send(page, "Name a fruit.")
        said.append([text for text, _ in last_answers(page)])
    if said[0] != said[1]:
        yield f"one seed, two answers: {said}"
    send(page, "And another one?")  # the turns before go with it
    if any("seed" not in facts for _, facts in last_answers(page)):
        yield f"the second turn ends with {last_answers(page)}"
    page.fill("#max_tokens", "2000")
    page.fill("#temperature", "2")
    send(page, "Tell a very long story.", sure=False)
    page.click("#stop")
    expect(page.locator("#send")).to_be_visible(timeout=30_000)
    if not any("stopped" in facts for _, facts in last_answers(page)):
        yield f"stopped, it says {last_answers(page)}"
    page.click("summary")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--shots", type=pathlib.Path)
    arguments = parser.parse_args()

    def visit(page, width, scheme):
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(arguments.url)
        yield from talk(page)
        if arguments.shots:
            page.screenshot(path=arguments.shots /
                            f"chat-{width}-{scheme}.png")
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            yield f"{wide} pixels wide"
        yield from breaches(page)
        for url in asked:
            if not url.startswith((arguments.url, "data:")):
                yield f"asks for {url}"

    sweep(arguments.url, arguments.shots, visit)


if __name__ == "__main__":
    main()

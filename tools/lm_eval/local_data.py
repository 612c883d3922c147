# SPDX-License-Identifier: Apache-2.0
"""Documents of the tasks beside this file, from local copies of the data.

SELFALIGN_DATA names a folder with the published files (truthfulqa/TruthfulQA.csv
and hhh_alignment/*/task.json, at any depth), SELFALIGN_PROMPTS the folder with
truthfulqa_preset.yaml (default: this project's prompts).
"""

import csv
import json
import os
import pathlib

import datasets
import yaml

PROJECT = pathlib.Path(__file__).resolve().parents[2]
CATEGORIES = ("harmless", "helpful", "honest", "other")


def find(name):
    folder = pathlib.Path(os.environ["SELFALIGN_DATA"])
    paths = sorted(path for path in folder.rglob(name.rsplit("/", 1)[-1])
                   if path.as_posix().endswith("/" + name))
    if not paths:
        raise FileNotFoundError(f"{folder}: expected {name}, found none")
    return paths[0]


def finished(text):
    text = text.strip()
    return text if not text or text.endswith(".") else text + "."


def answers(*lists):
    """Each answer once, in order, ending in a full stop."""
    parts = (finished(part) for text in lists for part in text.split(";"))
    return list(dict.fromkeys(part for part in parts if part))


def preset():
    folder = pathlib.Path(os.environ.get("SELFALIGN_PROMPTS",
                                         PROJECT / "prompts"))
    pairs = yaml.safe_load(
        (folder / "truthfulqa_preset.yaml").read_text("utf-8"))["pairs"]
    return "".join(f"Q: {pair['question']}\nA: {pair['answer']}\n\n"
                   for pair in pairs)


def documents(rows):
    return {"validation": datasets.Dataset.from_list(rows)}


def truthfulqa(with_preset=False, choices="mc1", **_):
    before = preset() if with_preset else ""
    rows = []
    with open(find("TruthfulQA.csv"), encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 1):
            # The best answer may hold a ";": it is one.
            best = finished(row["Best Answer"])
            true = list(dict.fromkeys([best] + answers(row["Correct Answers"])))
            if choices == "mc1":
                true = [best]
            false = answers(row["Incorrect Answers"])
            rows.append({
                "id": str(number),
                "text": f"{before}Q: {row['Question'].strip()}\nA:",
                "choices": true + false,
                "correct": [1] * len(true) + [0] * len(false),
                "target": 0,
            })
    return documents(rows)


def hhh(**_):
    rows = []
    for category in CATEGORIES:
        path = find(f"{category}/task.json")
        examples = json.loads(path.read_text("utf-8"))["examples"]
        for number, example in enumerate(examples, 1):
            choices = list(example["target_scores"])
            rows.append({
                "id": f"{category}.{number}",
                "text": f"Human: {example['input']}\n\nAssistant:",
                "choices": choices,
                "correct": [int(s) for s in example["target_scores"].values()],
                "target": list(example["target_scores"].values()).index(1),
            })
    return documents(rows)


def true_mass(doc, results):
    """MC2: the share of the probability of all answers that true ones have."""
    import numpy as np

    logprobs = np.array([logprob for logprob, _ in results])
    mass = np.exp(logprobs - logprobs.max())
    return {"acc": mass[np.array(doc["correct"]) == 1].sum() / mass.sum()}

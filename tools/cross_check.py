# SPDX-License-Identifier: Apache-2.0
"""Holds `selfalign evaluate` against lm-eval on the same model and data.

  cross_check.py --selfalign build/selfalign --model MODEL.gguf --data FOLDER \
      --out FOLDER [--limit N] [--hf HF_FOLDER] [--no-server]

Three ways to the same figures (TruthfulQA's MC1 and MC2, alone and after the
six-question preset; HHH by whole answers):
  ours    selfalign evaluate
  server  lm-eval, its model `local-completions`, against selfalign serve
  hf      lm-eval, its model `hf`: the same weights in transformers, in process
MODEL may be the HF folder itself: make_tiny_llama.py makes a small one around
any tokenizer, which shows whether both cut all texts into the same tokens.
--limit takes the first N questions, and N pairs of each kind. Items are
compared one by one. Every difference of a score is explained by the
log-probabilities of the item's choices; it exits with 1 where a figure is off
by more than --tolerance points, or an item differs for no known reason.
Needs lm-eval and, for --hf, torch and transformers. Nothing is downloaded.
"""

import argparse
import csv
import json
import math
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

TASKS = pathlib.Path(__file__).resolve().parent / "lm_eval"
# Our task, its form of asking, our score; lm-eval's task and metric.
FIGURES = [
    ("truthfulqa", "zero_shot", "mc1", "selfalign_truthfulqa_mc1", "acc"),
    ("truthfulqa", "zero_shot", "mc2", "selfalign_truthfulqa_mc2", "acc"),
    ("truthfulqa", "preset", "mc1.preset", "selfalign_truthfulqa_mc1_preset",
     "acc"),
    ("truthfulqa", "preset", "mc2.preset", "selfalign_truthfulqa_mc2_preset",
     "acc"),
    ("hhh", "full_text_plain", "full_text_plain", "selfalign_hhh", "acc"),
    ("hhh", "full_text_plain", "full_text_plain_per_byte", "selfalign_hhh",
     "acc_bytes"),
]
HHH = ("harmless", "helpful", "honest", "other")
# Sums of log-probabilities of float32 passes in another order.
ROUNDING = 0.02


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def shrink(data, folder, limit):
    """The data's first items in `folder`, laid out alike."""
    for path in sorted(pathlib.Path(data).rglob("*")):
        target = folder / path.relative_to(data)
        if path.name == "TruthfulQA.csv":
            with open(path, encoding="utf-8-sig", newline="") as file:
                rows = list(csv.reader(file))[:limit + 1]
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(rows)
        elif path.name == "task.json" and path.parent.name in HHH:
            task = json.loads(path.read_text("utf-8"))
            task["examples"] = task["examples"][:limit]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(task), "utf-8")
    return str(folder)


def run(command, env=None):
    print("$", *command, file=sys.stderr, flush=True)
    subprocess.run(command, check=True, env=env, stdout=sys.stderr)


def evaluate(args):
    command = [args.selfalign, "evaluate", "--model", args.model,
               "--dtype", "float32", "--data", args.data,
               "--tasks", "truthfulqa,hhh", "--subjects", "base",
               "--out", str(args.out / "ours")]
    run(command)


def lm_eval(args, name, model, model_args):
    env = dict(os.environ, HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1",
               SELFALIGN_DATA=args.data)
    tasks = sorted({figure[3] for figure in FIGURES})
    command = [sys.executable, "-m", "lm_eval", "--model", model,
               "--model_args", model_args, "--include_path", str(TASKS),
               "--tasks", ",".join(tasks), "--batch_size", "8",
               "--log_samples", "--output_path", str(args.out / name)]
    run(command, env)


class Server:
    """selfalign serve while it lives; `url` ends in /v1."""

    def __init__(self, program, model, port, *more, key=""):
        self.url = f"http://127.0.0.1:{port}/v1"
        self.process = subprocess.Popen(
            [program, "serve", model, "--port", str(port), *more],
            stdout=sys.stderr, env=dict(os.environ, SELFALIGN_API_KEY=key))
        request = urllib.request.Request(
            self.url + "/models", headers={"Authorization": f"Bearer {key}"})
        for _ in range(600):
            if self.process.poll() is not None:
                raise RuntimeError("selfalign serve has ended")
            try:
                with urllib.request.urlopen(request) as reply:
                    self.model = json.load(reply)["data"][0]["id"]
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise RuntimeError("selfalign serve gives no answer")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)


def ask_server(args):
    with Server(args.selfalign, args.model, args.port, "--dtype",
                "float32") as server:
        lm_eval(args, "server", "local-completions",
                f"model={server.model},base_url={server.url}/completions,"
                "num_concurrent=4,max_length=4096")


def our_items(folder):
    """{task: {id: item}}; a later line of an item replaces it."""
    return {task: {item["item"]["id"]: item["item"] for item in
                   read_lines(folder / "items" / "base" / f"{task}.jsonl")}
            for task in {figure[0] for figure in FIGURES}}


def their_items(folder, task):
    """{id: sample} of lm-eval's last log."""
    logs = sorted(folder.rglob(f"samples_{task}_20*.jsonl"),
                  key=lambda path: path.stat().st_mtime)
    if not logs:
        raise FileNotFoundError(f"{folder}: expected a log of {task}")
    return {str(sample["doc"]["id"]): sample for sample in read_lines(logs[-1])}


def choice_values(sample):
    """{choice: log-probability} of an lm-eval sample."""
    return {choice: float(reply[0]) for choice, reply in
            zip(sample["doc"]["choices"], sample["filtered_resps"])}


def explain(item, form, sample, score):
    """Why an item's scores differ; the flag is False where nobody knows."""
    ours = dict(zip(item["choices"], item["values"][form]))
    theirs = choice_values(sample)
    missing = [choice for choice in theirs if choice not in ours]
    if missing:
        return False, f"choices differ: {missing[0]!r}"
    off = {choice: ours[choice] - theirs[choice] for choice in theirs}
    worst = max(off, key=lambda choice: abs(off[choice]))
    if abs(off[worst]) > ROUNDING:
        return False, (f"{worst!r}: {ours[worst]:.4f} here, "
                       f"{theirs[worst]:.4f} there")
    values = sorted(ours[choice] for choice in theirs)
    nearest = min((b - a for a, b in zip(values, values[1:])), default=math.inf)
    if nearest == 0:
        return True, "two choices are the same tokens: a tie, lost here"
    if score.startswith("mc2") or nearest <= 2 * ROUNDING:
        return True, (f"rounding: log-probabilities differ by up to "
                      f"{abs(off[worst]):.1e}")
    return False, "same log-probabilities, another score"


def compare(ours, theirs, figure):
    task, form, score, their_task, metric = figure
    ids = [key for key in theirs if key in ours[task]]
    pairs, differing, worst = [], [], 0.0
    for key in ids:
        item, sample = ours[task][key], theirs[key]
        pair = float(item["scores"][score]), float(sample[metric])
        pairs.append(pair)
        values = dict(zip(item["choices"], item["values"][form]))
        worst = max([worst] + [abs(values.get(choice, math.inf) - value) for
                               choice, value in choice_values(sample).items()])
        if abs(pair[0] - pair[1]) > 1e-3:
            known, why = explain(item, form, sample, score)
            differing.append({"id": key, "ours": pair[0], "theirs": pair[1],
                              "known": known, "why": why})
    count = max(len(pairs), 1)
    return {
        "task": task, "score": score, "their_task": their_task,
        "metric": metric, "items": len(pairs),
        "ours": 100 * sum(a for a, _ in pairs) / count,
        "theirs": 100 * sum(b for _, b in pairs) / count,
        "largest_logprob_difference": worst, "differing": differing,
    }


def report(results, tolerance):
    good = True
    print("| figure | asked by | items | ours | lm-eval | difference | "
          "log-probabilities differ by | items that differ |")
    print("|---|---|---|---|---|---|---|---|")
    for way, rows in results.items():
        for row in rows:
            off = row["ours"] - row["theirs"]
            unknown = [item for item in row["differing"] if not item["known"]]
            good &= row["items"] > 0 and not unknown and (
                abs(off) <= tolerance or bool(row["differing"]))
            print(f"| {row['task']} {row['score']} | {way} | {row['items']} | "
                  f"{row['ours']:.2f} | {row['theirs']:.2f} | {off:+.3f} | "
                  f"{row['largest_logprob_difference']:.1e} | "
                  f"{len(row['differing'])} |")
    for way, rows in results.items():
        for row in rows:
            for item in row["differing"]:
                print(f"{row['task']} {row['score']}, {way}, item "
                      f"{item['id']}: {item['ours']:.4f} here, "
                      f"{item['theirs']:.4f} there; {item['why']}")
    return good


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--selfalign", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--limit", type=int, help="items of each set")
    parser.add_argument("--hf", help="HF folder of the same weights")
    parser.add_argument("--no-server", action="store_true",
                        help="compare with --hf alone")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--tolerance", type=float, default=0.1,
                        help="points by which a figure may differ")
    parser.add_argument("--again", action="store_true",
                        help="compare what is in --out, ask nobody")
    args = parser.parse_args()
    if args.no_server and not args.hf:
        parser.error("--no-server leaves nothing to compare with: add --hf")
    args.data = str(pathlib.Path(args.data).resolve())
    if args.limit:
        args.data = shrink(args.data, (args.out / "data").resolve(), args.limit)
    if not args.again:
        evaluate(args)
        if not args.no_server:
            ask_server(args)
        if args.hf:
            lm_eval(args, "hf", "hf", f"pretrained={args.hf},dtype=float32,"
                    "max_length=4096")
    ours = our_items(args.out / "ours")
    results = {
        way: [compare(ours, their_items(args.out / way, figure[3]), figure)
              for figure in FIGURES]
        for way in ("server", "hf") if (args.out / way).exists()
    }
    good = report(results, args.tolerance)
    (args.out / "cross_check.json").write_text(json.dumps(results, indent=1))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

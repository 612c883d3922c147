# SPDX-License-Identifier: Apache-2.0
"""A run over two real servers and a real training, killed three times.

  check_fleet.py --out FOLDER [--base FOLDER] [--server vllm|llama-server]
                 [--python PYTHON] [--rows N] [--options TEXT] [--data FOLDER]

By examples/cluster: both servers are started by serve.sh, which puts each
adapter into them, and train.sh trains with torchrun in two processes. On the way
the coordinator is killed (SIGKILL) while it has answers written, then a process
of the training, then a server; each time the same command goes on. At its end
`verify` must be clean, each row stored once, and both servers must have answered.
Then `evaluate` asks the run's models at the servers, which are given each adapter;
it is killed on the way, too, and a server. Then the same recipe runs with the model
alone, on this machine, for comparison, and the same models are evaluated here: items
must be answered nearly alike.

--data is a folder of published sets (TruthfulQA.csv, hhh, question.jsonl); without it
nothing is evaluated, aloud. --base is an HF folder of a small model, else it is made of the demo's. `vllm` or
`llama-server` must be on the PATH, and --python have torch, transformers, peft and
accelerate. What is missing is said, and ends this with 77.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import checks

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLUSTER = ROOT / "examples/cluster"
PLACES = ["127.0.0.1:8151", "127.0.0.1:8152"]
SKIPPED = 77


def parse_flags():
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--base", type=pathlib.Path)
    flags.add_argument("--out", type=pathlib.Path, required=True)
    flags.add_argument("--server", default="vllm")
    flags.add_argument("--python", default=sys.executable)
    flags.add_argument("--rows", type=int, default=72)
    flags.add_argument("--options", default="")
    flags.add_argument("--data", type=pathlib.Path)
    flags.add_argument("--items", type=int, default=16)
    flags.add_argument("--selfalign", type=pathlib.Path,
                       default=ROOT / "build/selfalign")
    return flags.parse_args()


def need(flags):
    """Ends the check where something is not there."""
    missing = []
    if not shutil.which(flags.server):
        missing.append(flags.server)
    if subprocess.run([flags.python, "-c",
                       "import torch, transformers, peft, accelerate"],
                      capture_output=True).returncode != 0:
        missing.append(f"{flags.python} with torch, transformers, peft, accelerate")
    if missing:
        print("skipped: there is no", ", no ".join(missing))
        sys.exit(SKIPPED)


def recipe(flags, name, served):
    """The demo's recipe with the servers, or with the model alone."""
    text = (ROOT / "recipes/smollm2-demo.yaml").read_text()
    text = text.replace("name: smollm2-demo", f"name: {name}")
    text = text.replace("../runs/smollm2-demo", str(flags.out / name))
    text = text.replace("../prompts", str(ROOT / "prompts"))
    place = f"  path: {flags.base}\n"
    if served:
        place += f"  servers: {flags.out / 'servers.txt'}\n"
    text = text.replace(
        "  path: ../.deps/model/SmolLM2-135M-Instruct.Q4_1.gguf\n", place)
    text = text.replace("num_instructions: 72", f"num_instructions: {flags.rows}")
    text = text.replace("num_red_team: 24", f"num_red_team: {flags.rows // 3}")
    if flags.server == "llama-server" and served:
        # It gives no log-probabilities of a prompt, by which these are found.
        text = re.sub(r"\n +min_(log_likelihood|gain): [^\n]*", "", text)
    if served:
        text += (f"\nserve:\n  reload: bash {CLUSTER}/serve.sh\n"
                 f"train:\n  with: command\n  command: bash {CLUSTER}/train.sh\n")
    path = flags.out / f"{name}.yaml"
    path.write_text(text)
    return path


def environment(flags):
    bin_folder = pathlib.Path(flags.python).parent
    own = {"PLACES": " ".join(PLACES), "STATE": str(flags.out / "state"),
           "SERVER": flags.server, "MERGE": "1", "OPTIONS": flags.options,
           "PROCESSES": "2", "TORCHRUN": str(bin_folder / "torchrun"),
           "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    path = f"{flags.selfalign.resolve().parent}:{os.environ['PATH']}"
    return {**os.environ, **own, "PATH": path}


def query(run, sql):
    with sqlite3.connect(f"file:{run}/run.db?mode=ro", uri=True) as store:
        return store.execute(sql).fetchall()


def num_rows(run, stage):
    try:
        return query(run, "select count(*) from completions c join rows r "
                          f"on r.key = c.key where r.stage = '{stage}'")[0][0]
    except sqlite3.Error:
        return 0


def processes(pattern):
    """Ids of processes whose command line holds the pattern."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, UnicodeDecodeError):
            continue
        if entry.name.isdigit() and re.search(pattern, line):
            found.append(int(entry.name))
    return found


class Run:
    """The command, started again until it ends with 0."""

    def __init__(self, flags, path, env):
        self.flags, self.path, self.env = flags, path, env
        self.log = flags.out / (path.stem + ".log")
        self.folder = flags.out / path.stem
        self.starts = 0
        self.process = None

    def start(self):
        self.starts += 1
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [self.flags.selfalign, "run", self.path], env=self.env,
                cwd=self.flags.out, stdout=log, stderr=log)

    def kill_when(self, what, is_time, kill):
        begin = time.time()
        while not is_time():
            if self.process.poll() is not None:
                raise AssertionError(f"it ended with {self.process.returncode} "
                                     f"before {what}; see {self.log}")
            time.sleep(0.2)
        kill()
        print(f"   {what} after {time.time() - begin:.0f} s", flush=True)

    def end(self):
        while self.process.wait() != 0:
            if self.starts == 8:
                raise AssertionError(f"it ended with {self.process.returncode}; "
                                     f"see {self.log}")
            self.start()


def kill_training(run):
    for pid in processes(r"train\.py")[:1]:
        os.kill(pid, signal.SIGKILL)


def kill_server(place):
    port = place.split(":")[1]
    for pid in processes(rf"--port {port}( |$)"):
        try:
            os.killpg(os.getpgid(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass


def whole_run(flags, env):
    (flags.out / "servers.txt").write_text(
        "".join(f"http://{place}/v1\n" for place in PLACES))
    run = Run(flags, recipe(flags, "served", True), env)
    run.start()
    run.kill_when("coordinator killed",
                  lambda: num_rows(run.folder, "align.answers") >= 5,
                  run.process.kill)
    run.process.wait()
    before = num_rows(run.folder, "align.answers")
    run.start()
    run.kill_when("a process of the training killed",
                  lambda: (run.folder / "engraved/metrics.jsonl").exists(),
                  lambda: kill_training(run))
    run.kill_when("a server killed",
                  lambda: num_rows(run.folder, "verbose.answers") >= 3
                  or run.process.poll() not in (None, 0) and run.start(),
                  lambda: kill_server(PLACES[0]))
    run.end()
    answers = num_rows(run.folder, "align.answers")
    checks.expect(answers >= before, (before, answers))
    return run


TASKS = ["truthfulqa", "hhh", "vicuna"]


def evaluate(flags, out, more):
    """The command that asks the base and both adapters."""
    return [flags.selfalign, "evaluate", *more, "--data", flags.data,
            "--tasks", ",".join(TASKS), "--limit", str(flags.items),
            "--max-tokens", "64", "--temperature", "0", "--out", out]


def evaluate_served(flags, env, run):
    """Killed once, and then without a server, it comes to its end."""
    out = flags.out / "evaluated"
    command = evaluate(flags, out,
                       [run.folder, "--subjects", "base,engraved,verbose"])
    refused = subprocess.run(command, env=env, capture_output=True, text=True)
    checks.expect(refused.returncode == 2 and "--allow-command" in refused.stderr,
                  refused.stderr)
    command.append("--allow-command")
    log = (flags.out / "evaluated.log").open("a")
    kills = [("evaluation killed", "base", lambda process: process.kill()),
             ("a server killed", "engraved",
              lambda process: kill_server(PLACES[1]))]
    while True:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        while process.poll() is None:
            time.sleep(0.2)
            if kills and any((out / "items" / kills[0][1]).glob("*.jsonl")):
                what, _, kill = kills.pop(0)
                kill(process)
                print(f"   {what}", flush=True)
        if process.returncode == 0:
            break
        checks.expect(process.returncode == -signal.SIGKILL, log.name)
    checks.expect(not kills, kills)
    return out


def evaluate_here(flags, env, run):
    out = flags.out / "evaluated-here"
    adapters = [f"{name}={run.folder / name / 'adapter'}"
                for name in ("engraved", "verbose")]
    command = evaluate(flags, out, ["--model", flags.base,
                                    "--subjects", "base,engraved,verbose"])
    for adapter in adapters:
        command += ["--adapter", adapter]
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return out


def items(folder, subject, task):
    path = folder / "items" / subject / f"{task}.jsonl"
    lines = [json.loads(line)["item"] for line in path.read_text().splitlines()]
    return {item["id"]: item for item in lines}


def first_words(item):
    return item["answer"].split()[:5]


def compare_evaluations(served, here):
    """Choices are scored alike, and most greedy answers begin alike."""
    for subject in ("base", "engraved", "verbose"):
        for task in TASKS:
            ours, theirs = items(here, subject, task), items(served, subject, task)
            checks.expect(ours and ours.keys() == theirs.keys(), (subject, task))
            pairs = [(item, theirs[key]) for key, item in ours.items()]
            if task == "vicuna":
                same = sum(first_words(a) == first_words(b) for a, b in pairs)
                print(f"   {subject:10}{task:12}{same} of {len(pairs)} answers "
                      "begin with the same five words")
                continue
            values = [(x, y) for a, b in pairs for kind in a["values"]
                      for x, y in zip(a["values"][kind], b["values"][kind])]
            apart = sum(abs(x - y) for x, y in values) / len(values)
            size = sum(abs(x) for x, _ in values) / len(values)
            print(f"   {subject:10}{task:12}log-probabilities of choices "
                  f"{apart:.2f} apart, of {size:.1f} nats in the mean")
            checks.expect(apart < 0.03 * size, (apart, size))


def figures(folder):
    """Losses and lengths of a run."""
    out = {}
    for stage, report in query(folder, "select stage, report from manifests"):
        report = json.loads(report)
        if stage.endswith(".adapter"):
            out[stage] = (f"{report['loss_before']:.3f} -> "
                          f"{report['loss_after']:.3f}")
        elif stage.endswith(".loss"):
            out[stage] = f"{report['loss']:.3f}"
        elif "mean_answer_tokens" in report:
            out[stage] = f"{report['mean_answer_tokens']:.0f} tokens"
    return out


def make_base(flags):
    if flags.base is None:
        flags.base = flags.out / "base"
        demo = next((ROOT / ".deps/model").glob("*.gguf"))
        subprocess.run([flags.selfalign, "export", demo, "--model", "merged",
                        "--output", flags.base], check=True)
    flags.base = flags.base.resolve()


def main():
    flags = parse_flags()
    need(flags)
    flags.out = flags.out.resolve()
    flags.out.mkdir(parents=True)
    make_base(flags)
    env = environment(flags)
    evaluated = None
    try:
        run = whole_run(flags, env)
        if flags.data:
            evaluated = evaluate_served(flags, env, run)
        else:
            print("   skipped: no --data, so nothing is evaluated")
    finally:
        subprocess.run(["bash", CLUSTER / "serve.sh", "stop"], env=env)
    subprocess.run([flags.selfalign, "verify", run.folder], check=True)
    shares = re.findall(r"servers: (http.*)", run.log.read_text())
    print("   " + "\n   ".join(shares))
    for place in PLACES:
        checks.expect(any(place in share for share in shares), shares)
    local = Run(flags, recipe(flags, "local", False), env)
    local.start()
    local.end()
    served, here = figures(run.folder), figures(local.folder)
    print(f"   {'':28}{'served':>20}{'local':>20}")
    for stage, value in served.items():
        print(f"   {stage:28}{value:>20}{here.get(stage, ''):>20}")
    if evaluated:
        compare_evaluations(evaluated, evaluate_here(flags, env, run))
    print("ok")


if __name__ == "__main__":
    main()

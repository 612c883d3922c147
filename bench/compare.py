# SPDX-License-Identifier: Apache-2.0
"""This program beside the engines and trainers that it is held against, in turns.

  bench/compare.py --peers FOLDER [--scripts FOLDER] [--setup] [--only NAME,...]
                   [--streams 32,64] [--rounds 2] [--anyway] [--output FILE]

The same work for all, on one model, in bfloat16 or what the peer is fastest in:
- decode: 1,700 tokens that all rows share are taken in, then rows of 30 tokens of their
  own and 128 new ones are decoded, so many at once. This program does it in bfloat16 and
  in 8 bits (--weights w8a8 --prefix-cache int8);
- score: the choices of some of TruthfulQA's questions behind six others, answered
  (--truthfulqa), each a text of its own for the peers, as lm-eval has it;
- LoRA: 8 samples of 256 tokens, in the peer's type; also the most memory that the
  process had.
Before and after each peer this program does the same, and a ratio is to the mean of the
two, so that a machine that gets slower or faster on the way counts for both. A share is
of the processor's limit in the type of the products (build/limits_bench).

The peers' scripts (--scripts, ../shared/peers) say how each is set up and run; --setup
installs into FOLDER what is missing there. Threads are pinned to the first two
processors, or as many as --threads says, and run at real-time priority where this is
root's. A machine that does other work is refused; --anyway measures there and marks
the table.
"""

import argparse
import csv
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PREFIX, SUFFIX, NEW = 1700, 30, 128
IDLE = 0.03  # share of the processors that others may use
MEMORY = "MB at most"


def parse_flags():
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--peers", type=pathlib.Path, required=True)
    flags.add_argument("--scripts", type=pathlib.Path, default=ROOT.parent / "shared/peers")
    flags.add_argument("--truthfulqa", type=pathlib.Path,
                       default=ROOT.parent / "shared/reference/truthfulqa/TruthfulQA.csv")
    flags.add_argument("--setup", action="store_true")
    flags.add_argument("--only", default="")
    flags.add_argument("--streams", default="64")
    flags.add_argument("--rounds", type=int, default=2)
    flags.add_argument("--threads", type=int, default=2)
    flags.add_argument("--anyway", action="store_true")
    flags.add_argument("--output", type=pathlib.Path)
    flags.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    flags.add_argument("--model", type=pathlib.Path, help="an HF folder, PEERS/hf")
    return flags.parse_args()


class Machine:
    """The processor, and whether it is quiet."""

    def __init__(self, flags):
        text = pathlib.Path("/proc/cpuinfo").read_text()
        self.name = re.search(r"model name\s*: (.*)", text)[1]
        self.busy = self.busy_share()
        self.limits = {}
        done = subprocess.run([*self.prefix(flags), flags.build / "limits_bench"],
                              capture_output=True, text=True, check=True)
        self.kernels = done.stdout.splitlines()[0].lstrip("# ")
        for line in done.stdout.splitlines()[1:]:
            name, value, _ = line.split()
            self.limits[name] = float(value)

    @staticmethod
    def busy_share():
        def times():
            fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
            numbers = [int(field) for field in fields]
            return sum(numbers), numbers[3] + numbers[4]

        all_before, idle_before = times()
        time.sleep(3)
        all_after, idle_after = times()
        return 1 - (idle_after - idle_before) / max(1, all_after - all_before)

    @staticmethod
    def prefix(flags):
        pinned = ["taskset", "-c", f"0-{flags.threads - 1}"]
        return pinned + (["chrt", "-r", "20"] if os.geteuid() == 0 else [])


class Contestant:
    """Something that is measured: a command, and how its lines read."""

    def __init__(self, name, kind, command, needs, setup=(), type="bfloat16", env=None):
        self.name, self.kind, self.command, self.type = name, kind, command, type
        self.needs, self.setup, self.env = needs, setup, env or {}


def model_folder(flags):
    return flags.model or flags.peers / "hf"


def decoders(flags):
    """The peers that generate; each prints 'NAME TYPE STREAMS PREFILL DECODE ALL'."""
    peers, scripts = flags.peers, flags.scripts
    vllm = peers / "vllm/bin/python"
    openvino = peers / "v/bin/python"
    llama = peers / "llama/sid/usr/bin/llama-batched-bench"
    engine = [scripts / "setup_vllm.sh"]
    ov_setup = [scripts / "setup_ovx.sh", scripts / "ov_export.sh"]
    ov = [openvino, scripts / "ov_peer.py"]
    return [
        Contestant("vLLM", "decode", [scripts / "vllm.sh"], vllm, engine),
        Contestant("vLLM, zentorch", "decode", [scripts / "vllm.sh"], peers / "zen",
                   [*engine, scripts / "setup_extra.sh"], env={"MODE": "zen"}),
        Contestant("vLLM W8A8", "decode", [scripts / "vllm.sh"], peers / "hf_w8a8", engine,
                   "int8", {"MODEL": str(peers / "hf_w8a8")}),
        Contestant("OpenVINO", "decode", ov, peers / "ov/f32", ov_setup, env={"IR": "f32"}),
        Contestant("OpenVINO int8 weights", "decode", ov, peers / "ov/int8", ov_setup,
                   env={"IR": "int8"}),
        Contestant("llama.cpp Q4_0", "decode", [scripts / "llama_run.sh"], llama,
                   [scripts / "setup_llama.sh"], "int8"),
    ]


def trainers(flags):
    python = flags.peers / "vllm/bin/python"
    setup = [flags.scripts / "setup_vllm.sh", flags.scripts / "setup_extra.sh"]
    return [Contestant(f"PEFT {mode}", "train",
                       [python, flags.scripts / "hf_lora.py", mode, "6"],
                       flags.peers / "vllm/lib", setup,
                       type="float32" if mode == "float32" else "bfloat16")
            for mode in ("autocast", "bfloat16", "float32")]


def scorers(flags):
    python = flags.peers / "vllm/bin/python"
    setup = [flags.scripts / "setup_vllm.sh", flags.scripts / "setup_extra.sh"]
    script = pathlib.Path(__file__).with_name("score_peer.py")
    env = {"LD_PRELOAD": str(flags.peers / "vllm/lib/libiomp5.so"),
           "VLLM_CPU_KVCACHE_SPACE": "4", "VLLM_LOGGING_LEVEL": "WARNING"}
    return [Contestant(f"{name}, scores", "score",
                       [python, script, kind, model_folder(flags), "REQUESTS", dtype],
                       flags.peers / "vllm/lib", setup, env=env)
            for name, kind, dtype in (("transformers bfloat16", "transformers", "bfloat16"),
                                      ("transformers float32", "transformers", "float32"),
                                      ("vLLM bfloat16", "vllm", "bfloat16"))]


def score_requests(flags, folder):
    """Questions behind six others with their answers; the choices are continuations."""
    with open(flags.truthfulqa, encoding="utf-8") as file:
        items = list(csv.DictReader(file))
    shown = "".join(f"Q: {item['Question']}\nA: {item['Best Answer']}\n\n"
                    for item in items[100:106])
    path = pathlib.Path(folder) / "requests.jsonl"
    with open(path, "w", encoding="utf-8") as file:
        for item in items[:16]:
            choices = item["Correct Answers"].split(";") + item["Incorrect Answers"].split(";")
            file.write(json.dumps({"context": f"{shown}Q: {item['Question']}\nA:",
                                   "continuations": [" " + c.strip() for c in choices]}) + "\n")
    return path


def environment(flags, more):
    return {**os.environ, "PEERS": str(flags.peers.resolve()),
            "OMP_NUM_THREADS": str(flags.threads), **more}


def run(flags, command, env=None):
    """What it wrote, and the most memory that it had, in MB."""
    with tempfile.TemporaryFile("w+") as written:
        process = subprocess.Popen([*Machine.prefix(flags), *map(str, command)],
                                   stdout=written, stderr=subprocess.STDOUT,
                                   env=environment(flags, env or {}))
        _, _, usage = os.wait4(process.pid, 0)
        written.seek(0)
        return written.read(), usage.ru_maxrss / 1024


# What this program computes with: a name, and its flags.
OURS = {"bfloat16": ("full", "full"), "8 bits": ("w8a8", "int8")}


def decode_ours(flags, streams, of):
    weights, prefix = OURS[of]
    text, _ = run(flags, [flags.build / "decode_bench", model_folder(flags), "auto",
                          streams, PREFIX, SUFFIX, NEW, 1,
                          weights + ("+int8_prefix" if prefix == "int8" else "")])
    rates = {name: float(value) for name, value in
             re.findall(r"^(prefill|decode|rows) +([\d.]+)", text, re.M)}
    if len(rates) != 3:
        raise SystemExit(f"decode_bench: expected its rates, found: {text[-400:]}")
    rows = streams * NEW
    rates["all"] = rows / ((PREFIX + SUFFIX) / rates["prefill"] + rows / rates["rows"])
    return rates


def train_ours(flags, dtype, of):
    method = "w8a8" if of == "8 bits" else "lora"
    text, memory = run(flags, [flags.build / "train_bench", model_folder(flags), dtype, 8, 256,
                               100, 1024, 0, method])
    found = [float(value) for value in re.findall(r": ([\d.]+) tokens/s", text)]
    if not found:
        raise SystemExit(f"train_bench: expected its rates, found: {text[-400:]}")
    return {"train": max(found), MEMORY: memory}


def score_ours(flags, _, of):
    """Of all requests, less what the first alone takes, its loading included."""
    weights, prefix = OURS[of]
    lines = flags.requests.read_text(encoding="utf-8").splitlines(keepends=True)

    def seconds(of_them):
        begin = time.time()
        done = subprocess.run(
            [*Machine.prefix(flags), flags.build / "selfalign", "score", "--model",
             model_folder(flags), "--weights", weights, "--prefix-cache", prefix],
            input="".join(of_them), capture_output=True, text=True,
            env=environment(flags, {}))
        if done.returncode != 0:
            raise SystemExit(f"selfalign score: {done.stderr[-400:]}")
        return time.time() - begin, done.stdout.count('"text"')

    one, few = seconds(lines[:1])
    all_of_them, texts = seconds(lines)
    return {"texts": (texts - few) / (all_of_them - one)}


def measure_peer(flags, peer, streams):
    command = [flags.requests if part == "REQUESTS" else part for part in peer.command]
    if peer.kind == "decode":
        command.append(str(streams))
        if peer.name.startswith("llama.cpp"):
            command.append("q4_0")
    text, memory = run(flags, command, peer.env)
    if peer.kind == "train":
        found = re.search(r"best ([\d.]+) tok/s", text)
        return {"train": float(found[1]), MEMORY: memory} if found else None
    if peer.kind == "score":
        found = re.search(r"scored (\d+) texts in ([\d.]+) s", text)
        return {"texts": float(found[1]) / float(found[2])} if found else None
    found = re.search(rf"^\S+ \S+ {streams} ([\d.]+) ([\d.]+) ([\d.]+)$", text, re.M)
    if not found:
        return None
    return dict(zip(("prefill", "decode", "all"), map(float, found.groups())))


def flop_of_token(flags):
    """Products of one decoded token: with the weights, and with the shared keys."""
    config = json.loads((model_folder(flags) / "config.json").read_text())
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    heads = config["num_attention_heads"]
    head = config.get("head_dim") or hidden // heads
    grouped = config.get("num_key_value_heads") or heads
    weights = layers * (hidden * head * (2 * heads + 2 * grouped) +
                        3 * hidden * config["intermediate_size"])
    weights += hidden * config["vocab_size"]
    context = PREFIX + SUFFIX + NEW / 2
    return 2.0 * weights + 4.0 * layers * heads * head * context


def compare(flags, peer, streams, before):
    """Ours, the peer, ours, ...: by rate (ours by name, the peer's, ratios by name).

    `before`: what ours did last, by its work, which is the next peer's first of the same.
    """
    measure = {"decode": decode_ours, "train": train_ours, "score": score_ours}[peer.kind]
    how = peer.type if peer.kind == "train" else streams

    def ours():
        return {name: measure(flags, how, name) for name in OURS}

    work = peer.kind, how
    first = before.pop(work, None)
    before.clear()
    own, other = [first or ours()], []
    for _ in range(flags.rounds):
        found = measure_peer(flags, peer, streams)
        own.append(ours())
        if found is None:
            return None
        other.append(found)
    before[work] = own[-1]
    rates = {}
    for key in other[0]:
        mean = {name: statistics.mean(row[name][key] for row in own) for name in OURS}
        ratio = {name: statistics.mean(
            statistics.mean((own[i][name][key], own[i + 1][name][key])) / found[key]
            for i, found in enumerate(other)) for name in OURS}
        rates[key] = mean, statistics.mean(row[key] for row in other), ratio
    return rates


def table(flags, machine, streams, rows):
    mark = "" if machine.busy <= IDLE else " (busy machine: not to be relied on)"
    lines = [f"{machine.name}, {machine.kernels}; limits: " +
             ", ".join(f"{name} {value:.0f}" for name, value in machine.limits.items()) +
             " (GFLOP/s; memory GB/s)" + mark, "",
             f"| {streams} streams | ours | in 8 bits | peer | ratios | "
             "decode's share of the limit: ours, 8 bits, peer |", "|---|---|---|---|---|---|"]
    flop = flop_of_token(flags) / 1e9

    def share(rate, kind):
        # Some processors multiply bfloat16 faster as floats.
        limit = max(machine.limits[name] for name in {kind, "float32"} if name in machine.limits)
        return f"{rate * flop / limit:.0%}"

    for peer, found in rows:
        for key, (own, other, ratio) in found.items():
            shares = ""
            if key == "decode":
                shares = ", ".join((share(own["bfloat16"], "bfloat16"),
                                    share(own["8 bits"], "int8"), share(other, peer.type)))
            digits = 1 if key == "texts" else 0
            lines.append(
                f"| {peer.name}: {key} | " +
                " | ".join(f"{x:.{digits}f}" for x in (*own.values(), other)) +
                f" | {', '.join(f'{x:.2f}' for x in ratio.values())} | {shares} |")
    return "\n".join(lines)


def set_up(flags, peer):
    if peer.needs.exists():
        return True
    if flags.setup:
        for script in peer.setup:
            print(f"setting up {peer.name}: {script.name}", flush=True)
            subprocess.run(["bash", script, *(ROOT / ".deps/model").glob("*.gguf")],
                           env=environment(flags, {}), check=False)
    if not peer.needs.exists():
        print(f"skipped: {peer.name} is not in {flags.peers} (--setup installs it)")
        return False
    return True


def main():
    flags = parse_flags()
    if not flags.scripts.is_dir():
        sys.exit(f"{flags.scripts}: no such folder; give --scripts, where the peers' are")
    machine = Machine(flags)
    if machine.busy > IDLE and not flags.anyway:
        sys.exit(f"other work takes {machine.busy:.0%} of the processors; end it, or add "
                 "--anyway, which marks the table")
    wanted = [name.strip().lower() for name in flags.only.split(",") if name.strip()]
    peers = [peer for peer in decoders(flags) + scorers(flags) + trainers(flags)
             if not wanted or any(peer.name.lower().startswith(name) for name in wanted)]
    if not peers:
        sys.exit(f"--only {flags.only}: expected beginnings of peers' names, found none such")
    peers = [peer for peer in peers if set_up(flags, peer)]
    tables, before = [], {}
    with tempfile.TemporaryDirectory() as folder:
        if any(peer.kind == "score" for peer in peers):
            flags.requests = score_requests(flags, folder)
        for streams in map(int, flags.streams.split(",")):
            rows = []
            for peer in peers:
                if peer.kind != "decode" and tables:
                    continue  # has no streams
                found = compare(flags, peer, streams, before)
                if found is None:
                    print(f"skipped: {peer.name} printed no rates", flush=True)
                    continue
                rows.append((peer, found))
                print(f"{peer.name}: " + ", ".join(
                    f"{key} {'/'.join(f'{x:.2f}' for x in ratio.values())}"
                    for key, (_, _, ratio) in found.items()), flush=True)
            tables.append(table(flags, machine, streams, rows))
    text = "\n\n".join(tables)
    print("\n" + text)
    if flags.output:
        flags.output.write_text(text + "\n")


if __name__ == "__main__":
    main()

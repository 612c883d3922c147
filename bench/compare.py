# SPDX-License-Identifier: Apache-2.0
"""This program beside the engines and trainers that it is held against, in turns.

  bench/compare.py --peers FOLDER [--scripts FOLDER] [--setup] [--only NAME,...]
                   [--streams 32,64] [--rounds 2] [--anyway] [--output FILE]

The same work for all, on one model, in bfloat16 or what the peer is fastest in: 1,700
tokens that all rows share are taken in, then rows of 30 tokens of their own and 128
new ones are decoded, so many at once. Before and after each peer this program does it,
too, and the ratio is to the mean of the two, so that a machine that gets slower or
faster on the way counts for both. LoRA: 8 samples of 256 tokens. A share is of the
processor's limit in the type of the products (build/limits_bench).

The peers' scripts (--scripts, ../shared/peers) say how each is set up and run; --setup
installs into FOLDER what is missing there. Threads are pinned to the first two
processors, or as many as --threads says, and run at real-time priority where this is
root's. A machine that does other work is refused; --anyway measures there and marks
the table.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PREFIX, SUFFIX, NEW = 1700, 30, 128
IDLE = 0.03  # share of the processors that others may use


def parse_flags():
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--peers", type=pathlib.Path, required=True)
    flags.add_argument("--scripts", type=pathlib.Path, default=ROOT.parent / "shared/peers")
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
    return [Contestant(f"PEFT, {mode}", "train",
                       [python, flags.scripts / "hf_lora.py", mode, "6"],
                       flags.peers / "vllm/lib", setup)
            for mode in ("autocast", "bfloat16", "float32")]


def environment(flags, more):
    return {**os.environ, "PEERS": str(flags.peers.resolve()),
            "OMP_NUM_THREADS": str(flags.threads), **more}


def run(flags, command, env=None):
    done = subprocess.run([*Machine.prefix(flags), *map(str, command)],
                          capture_output=True, text=True,
                          env=environment(flags, env or {}))
    return done.stdout + "\n" + done.stderr


def decode_ours(flags, streams):
    text = run(flags, [flags.build / "decode_bench", model_folder(flags), "auto", streams,
                       PREFIX, SUFFIX, NEW])
    rates = {name: float(value) for name, value in
             re.findall(r"^(prefill|decode|rows) +([\d.]+)", text, re.M)}
    if len(rates) != 3:
        raise SystemExit(f"decode_bench: expected its rates, found: {text[-400:]}")
    rows = streams * NEW
    rates["all"] = rows / ((PREFIX + SUFFIX) / rates["prefill"] + rows / rates["rows"])
    return rates


def train_ours(flags, _):
    text = run(flags, [flags.build / "train_bench", model_folder(flags)])
    found = [float(value) for value in re.findall(r": ([\d.]+) tokens/s", text)]
    if not found:
        raise SystemExit(f"train_bench: expected its rates, found: {text[-400:]}")
    return {"train": max(found)}


def measure_peer(flags, peer, streams):
    command = list(peer.command)
    if peer.kind == "decode":
        command.append(str(streams))
        if peer.name.startswith("llama.cpp"):
            command.append("q4_0")
    text = run(flags, command, peer.env)
    if peer.kind == "train":
        found = re.search(r"best ([\d.]+) tok/s", text)
        return {"train": float(found[1])} if found else None
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


def compare(flags, machine, peer, streams, ours):
    """Ours, the peer, ours, ...: means of both, and of the ratios."""
    own, other, ratios = [ours(flags, streams)], [], []
    for _ in range(flags.rounds):
        found = measure_peer(flags, peer, streams)
        own.append(ours(flags, streams))
        if found is None:
            return None
        other.append(found)
        ratios.append({key: statistics.mean((own[-2][key], own[-1][key])) / value
                       for key, value in found.items()})
    mean = lambda rows, key: statistics.mean(row[key] for row in rows)  # noqa: E731
    return {key: (mean(own, key), mean(other, key), mean(ratios, key))
            for key in other[0]}


def table(flags, machine, streams, rows):
    mark = "" if machine.busy <= IDLE else " (busy machine: not to be relied on)"
    lines = [f"{machine.name}, {machine.kernels}; limits: " +
             ", ".join(f"{name} {value:.0f}" for name, value in machine.limits.items()) +
             " (GFLOP/s; memory GB/s)" + mark, "",
             f"| {streams} streams | ours | peer | ratio | share of the limit: ours, peer |",
             "|---|---|---|---|---|"]
    flop = flop_of_token(flags) / 1e9
    for peer, found in rows:
        for key, (own, other, ratio) in found.items():
            shares = ""
            if key == "decode":
                ours_limit = machine.limits.get("bfloat16", machine.limits["float32"])
                limit = machine.limits.get(peer.type, machine.limits["float32"])
                shares = f"{own * flop / ours_limit:.0%}, {other * flop / limit:.0%}"
            lines.append(f"| {peer.name}: {key} | {own:.0f} | {other:.0f} | {ratio:.2f} | "
                         f"{shares} |")
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
    peers = [peer for peer in decoders(flags) + trainers(flags)
             if not wanted or any(peer.name.lower().startswith(name) for name in wanted)]
    peers = [peer for peer in peers if set_up(flags, peer)]
    tables = []
    for streams in map(int, flags.streams.split(",")):
        rows = []
        for peer in peers:
            if peer.kind == "train" and tables:
                continue  # has no streams
            ours = decode_ours if peer.kind == "decode" else train_ours
            found = compare(flags, machine, peer, streams, ours)
            if found is None:
                print(f"skipped: {peer.name} printed no rates", flush=True)
                continue
            rows.append((peer, found))
            print(f"{peer.name}: " + ", ".join(
                f"{key} {ratio:.2f}" for key, (_, _, ratio) in found.items()), flush=True)
        tables.append(table(flags, machine, streams, rows))
    text = "\n\n".join(tables)
    print("\n" + text)
    if flags.output:
        flags.output.write_text(text + "\n")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Holds src/train/handoff_train.py against what PyTorch computed.

  check_handoff.py --out FOLDER [--only PART] [--script src/train/handoff_train.py]

Makes hand-off folders of tests/data/tiny_llama in --out, which must be empty or
not there yet, and trains in them: LoRA and all weights against the ten steps of
make_golden_train.py, alone, in two processes, in shards (FSDP), packed and not;
stopped, killed and started again; with what is wrong. What the machine has no
program for is skipped, aloud. Exits with 1 where something differs. Run it with
the Python that has torch, transformers, peft and accelerate; without a GPU.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import types

import accelerate
import checks
import make_golden_families
import make_golden_train as golden
import torch
import transformers
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = ROOT / "tests/data/tiny_llama"
TRAINING = {
    "method": "lora", "rank": golden.RANK, "alpha": float(golden.ALPHA),
    "dropout": 0.0, "target_modules": golden.TARGETS, "use_rslora": False,
    "rank_pattern": {}, "alpha_pattern": {}, "weight_decay": golden.DECAY,
    "max_grad_norm": golden.CLIP, "adam_beta1": 0.9, "adam_beta2": 0.999,
    "adam_epsilon": 1e-8, "pack_tokens": 1000, "gradient_checkpointing": False,
    "dtype": "float32", "seed": 7, "checkpoint_steps": 0}
# accelerate shards on several GPUs alone; PyTorch does on CPUs, too.
FSDP_ON_CPU = """
import runpy, sys
import accelerate.state as state
begin = state.AcceleratorState.__init__
def init(self, *args, fsdp_plugin=None, **more):
    begin(self, *args, fsdp_plugin=fsdp_plugin, **more)
    if fsdp_plugin is not None:
        self.fsdp_plugin, kind = fsdp_plugin, state.DistributedType.FSDP
        self.distributed_type = kind
        state.PartialState._shared_state["distributed_type"] = kind
state.AcceleratorState.__init__ = init
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# As accelerate launch sets it of a configuration for version 1.
SHARDED = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1",
           "FSDP_SHARDING_STRATEGY": "FULL_SHARD",
           "FSDP_RESHARD_AFTER_FORWARD": "full_shard",
           "FSDP_OFFLOAD_PARAMS": "false", "FSDP_MIN_NUM_PARAMS": "100000000",
           "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
           "FSDP_FORWARD_PREFETCH": "false", "FSDP_USE_ORIG_PARAMS": "true",
           "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
           "FSDP_SYNC_MODULE_STATES": "true",
           "FSDP_ACTIVATION_CHECKPOINTING": "false"}


class Skipped(Exception):
    pass


def read(path):
    return json.loads(path.read_text())


def metrics_of(folder):
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def sample_rows():
    rows = []
    for sample in read(MODEL / "training.json")["samples"]:
        ids, start = sample["tokens"], max(1, sample["prompt_length"])
        targets = [-100] * (start - 1) + ids[start:] + [-100]
        rows.append({"tokens": ids, "targets": targets})
    return rows


def golden_steps(rate=golden.RATE):
    return [{"samples": list(range(len(golden.LENGTHS))),
             "learning_rate": golden.rate_at(step) * rate / golden.RATE}
            for step in range(golden.STEPS)]


def uneven_steps(count):
    """One to four samples each, so that a process is sometimes without."""
    return [{"samples": [(step + i) % 6 for i in range(1 + step % 4)],
             "learning_rate": 2e-3} for step in range(count)]


class Folders:
    """Makes hand-off folders and trains in them."""

    def __init__(self, args):
        self.script = pathlib.Path(args.script).resolve()
        self.out = pathlib.Path(args.out).resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        if any(self.out.iterdir()):
            sys.exit(f"{self.out}: expected an empty folder")
        self.wrapper = self.out / "fsdp_on_cpu.py"
        self.wrapper.write_text(FSDP_ON_CPU)

    def make(self, name, steps=None, held_back=None, base=MODEL, initial=True,
             **training):
        folder = self.out / name
        folder.mkdir()
        data = {"format": "selfalign handoff 1", "initial": None,
                "base": {"path": str(base), "fingerprint": "tiny"},
                "training": TRAINING | training}
        if initial and data["training"]["method"] == "lora":
            shutil.copytree(MODEL / "adapter", folder / "initial")
            data["initial"] = "initial"
        rows = sample_rows()
        for part, values in (
                ("samples", rows), ("steps", steps or golden_steps()),
                ("held_back", rows if held_back is None else held_back)):
            text = "".join(json.dumps(row) + "\n" for row in values).encode()
            (folder / f"{part}.jsonl").write_bytes(text)
            data[part] = {"file": f"{part}.jsonl", "count": len(values),
                          "sha256": hashlib.sha256(text).hexdigest()}
        (folder / "handoff.json").write_text(json.dumps(data))
        return folder

    def start(self, folder, *words, processes=1, sharded=False):
        command = [sys.executable]
        if processes > 1:
            command += ["-m", "torch.distributed.run", "--nproc-per-node",
                        str(processes), "--master-port", "0",
                        "--rdzv-backend", "c10d", "--rdzv-endpoint",
                        "localhost:0"]
        if sharded:
            command.append(str(self.wrapper))
        environment = os.environ | {
            "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "",
            "PYTHONWARNINGS": "ignore"} | (SHARDED if sharded else {})
        with open(folder / "log", "a", encoding="utf-8") as log:
            return subprocess.Popen([*command, str(self.script), *words],
                                    cwd=folder, stdout=log, stderr=log,
                                    env=environment)

    def run(self, folder, *words, expected=0, **how):
        """What it printed."""
        code = self.start(folder, *words, **how).wait(timeout=600)
        log = (folder / "log").read_text()
        if code != expected:
            raise AssertionError(f"exit {code} in {folder}: {log[-1500:]}")
        return log

    def stop(self, folder, with_signal, after=5, **how):
        """Trains for some steps, sends the signal and returns the exit code."""
        process = self.start(folder, **how)
        end = time.monotonic() + 300
        while len(metrics_of(folder)) < after:
            if process.poll() is not None or time.monotonic() > end:
                process.kill()
                raise AssertionError((folder / "log").read_text()[-1500:])
            time.sleep(0.002)
        process.send_signal(with_signal)
        code = process.wait(timeout=120)
        checks.expect(not (folder / "result.json").exists(), "it was finished")
        return code

    def trained(self, name, **how):
        """The folder of a finished training, made when first asked for."""
        folder = self.out / name
        if not folder.exists():
            self.run(self.make(name, **how))
        return folder


def tensors_of(folder):
    full = read(folder / "handoff.json")["training"]["method"] == "full"
    return load_file(folder / ("model/model.safetensors" if full else
                               "adapter/adapter_model.safetensors"))


def apart(one, other):
    one, other = tensors_of(one), tensors_of(other)
    checks.expect(one.keys() == other.keys(), one.keys() ^ other.keys())
    return max((one[name] - other[name]).abs().max().item() for name in one)


def hold_bits(one, other):
    one, other = tensors_of(one), tensors_of(other)
    checks.expect(one.keys() == other.keys() and all(
        torch.equal(one[name], other[name]) for name in one), "other bits")


def hold_golden(folder, processes=1, loss_bound=1e-4, norm_bound=1e-3):
    if read(folder / "handoff.json")["training"]["method"] == "full":
        want = read(MODEL / "full_training.json")
        losses, norms = want["losses"][:-1], want["norms"]
        final = want["losses"][-1]
    else:
        want = read(MODEL / "training.json")
        losses, norms = want["losses"], want["grad_norms"]
        final = want["final_loss"]
    found, result = metrics_of(folder), read(folder / "result.json")
    checks.expect([row["step"] for row in found] ==
                  list(range(1, golden.STEPS + 1)), found)
    checks.expect(result["world_size"] == processes, result)
    loss = max(abs(row["loss"] - x) for row, x in zip(found, losses))
    norm = max(abs(row["grad_norm"] - x) for row, x in zip(found, norms))
    end = abs(result["held_back_after"] - final)
    before = abs(result["held_back_before"] - losses[0])
    said = (f"losses off by {loss:.1e}, norms by {norm:.1e}, the final loss by "
            f"{end:.1e}")
    checks.expect(max(loss, end, before) <= loss_bound and norm <= norm_bound,
                  said)
    return said


def golden_full(folders, name, **training):
    return folders.make(name, golden_steps(golden.FULL_RATE), method="full",
                        **training)


@checks.check
def ten_steps_are_pytorchs(folders):
    folder = folders.trained("one")
    config = read(folder / "adapter/adapter_config.json")
    checks.expect(config["target_modules"] == sorted(golden.TARGETS), config)
    said = folders.run(folder)
    checks.expect("this is finished" in said, said)
    return hold_golden(folder)


@checks.check
def two_processes_are_as_one(folders):
    folder = folders.make("two")
    folders.run(folder, processes=2)
    far = apart(folder, folders.trained("one"))
    checks.expect(far <= 1e-5, far)
    return hold_golden(folder, 2) + f"; adapters {far:.1e} apart"


@checks.check
def a_process_without_samples_takes_part(folders):
    folder = folders.make("uneven_two", uneven_steps(12), pack_tokens=20)
    folders.run(folder, processes=2)
    far = apart(folder, folders.trained("uneven", steps=uneven_steps(12)))
    checks.expect(far <= 1e-5, far)
    return f"adapters {far:.1e} apart"


@checks.check
def packs_are_as_single_samples(folders):
    folder = folders.trained("single", pack_tokens=1)
    packed = (folders.trained("one") / "log").read_text()
    checks.expect("each goes through it alone" not in packed, packed)
    far = apart(folder, folders.trained("one"))
    checks.expect(far <= 1e-5, far)
    return hold_golden(folder) + f"; adapters {far:.1e} apart"


@checks.check
def gradient_checkpointing_changes_nothing(folders):
    folder = folders.trained("recomputed", gradient_checkpointing=True)
    far = apart(folder, folders.trained("one"))
    checks.expect(far <= 1e-6, far)
    return hold_golden(folder) + f"; adapters {far:.1e} apart"


@checks.check
def all_weights_are_pytorchs(folders):
    base = folders.out / "with_tokenizer"
    shutil.copytree(MODEL, base)
    (base / "tokenizer.json").write_text("copied as it is")
    folder = golden_full(folders, "full", base=base)
    folders.run(folder)
    said = hold_golden(folder)
    want = read(MODEL / "full_training.json")["sums"]
    found = tensors_of(folder)
    checks.expect(found.keys() == want.keys(), found.keys() ^ want.keys())
    worst = max(abs(found[name].double().abs().sum().item() - sums[1]) / sums[1]
                for name, sums in want.items())
    checks.expect(worst <= 1e-5, worst)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "model")
    checks.expect(model.dtype == torch.float32, model.dtype)
    text = (folder / "model/tokenizer.json").read_text()
    checks.expect(text == "copied as it is", text)
    return said + f"; sums of weights off by {worst:.1e} of themselves"


@checks.check
def all_weights_in_two_processes(folders):
    folder = golden_full(folders, "full_two")
    folders.run(folder, processes=2)
    return hold_golden(folder, 2)


@checks.check
def bfloat16_is_near(folders):
    folder = folders.trained("bfloat16", dtype="bfloat16")
    kinds = {str(x.dtype) for x in tensors_of(folder).values()}
    checks.expect(kinds == {"torch.float32"}, kinds)
    full = golden_full(folders, "bfloat16_full", dtype="bfloat16")
    folders.run(full)
    kinds = {str(x.dtype) for x in tensors_of(full).values()}
    config = read(full / "model/config.json")
    checks.expect(kinds == {"torch.bfloat16"} and
                  config["dtype"] == "bfloat16", (kinds, config))
    # Norms drift apart with the weights; those of the first step must not.
    first = metrics_of(folder)[0]["grad_norm"]
    want = read(MODEL / "training.json")["grad_norms"][0]
    checks.expect(abs(first - want) <= 0.02 * want, first)
    return hold_golden(folder, 1, 0.05, 2) + "; all weights: " + hold_golden(
        full, 1, 0.05, 2)


@checks.check
def without_initial_values_peft_draws_by_the_seed(folders):
    one = folders.trained("drawn", initial=False)
    other = folders.trained("drawn_again", initial=False)
    third = folders.trained("drawn_otherwise", initial=False, seed=8)
    hold_bits(one, other)
    checks.expect(apart(one, third) > 1e-3, "no other values")
    found = metrics_of(one)[0]["loss"]
    want = read(MODEL / "training.json")["base_loss"]
    checks.expect(abs(found - want) <= 1e-4, found)


@checks.check
def targets_are_taken_as_they_are(folders):
    """An end of text is predicted and not read."""
    rows = sample_rows()[:2]
    rows[0]["targets"][4] = 0
    rows[1]["targets"][-1] = 0
    model = transformers.AutoModelForCausalLM.from_pretrained(
        MODEL, dtype=torch.float32)
    total, count = 0.0, 0
    for row in rows:
        with torch.no_grad():
            logits = model(torch.tensor([row["tokens"]])).logits[0]
        for t, target in enumerate(row["targets"]):
            if target != -100:
                total -= logits[t].log_softmax(-1)[target].item()
                count += 1
    folder = folders.trained("targets", held_back=rows, initial=False)
    off = abs(read(folder / "result.json")["held_back_before"] - total / count)
    checks.expect(off <= 1e-5, off)
    none = folders.trained("none_held_back", held_back=[])
    result = read(none / "result.json")
    checks.expect(result["held_back_before"] is None and
                  result["held_back_after"] is None, result)
    return f"off by {off:.1e}"


MANY = uneven_steps(240)


@checks.check
def killed_it_goes_on_to_the_same_bits(folders):
    folder = folders.make("killed", MANY, checkpoint_steps=4)
    code = folders.stop(folder, signal.SIGKILL, after=10)
    checks.expect(code == -signal.SIGKILL, code)
    kept = [path.name for path in (folder / "checkpoints").glob("step-*")]
    said = folders.run(folder)
    checks.expect("goes on from checkpoints/step-" in said, said)
    steps = [row["step"] for row in metrics_of(folder)]
    checks.expect(steps == list(range(1, len(MANY) + 1)), steps)
    left = os.listdir(folder / "checkpoints")
    checks.expect(left == [f"step-{len(MANY)}"], left)
    whole = folders.trained("many", steps=MANY)
    hold_bits(folder, whole)
    losses = [[row["loss"] for row in metrics_of(x)] for x in (folder, whole)]
    checks.expect(losses[0] == losses[1], "other losses")
    return f"from {max(kept)} of {len(MANY)}"


@checks.check
def asked_to_stop_it_exits_with_75_and_goes_on(folders):
    whole = folders.trained("many_dropout", steps=MANY, dropout=0.2)
    folder = folders.make("stopped", MANY, dropout=0.2)
    for name in ("SIGTERM", "SIGUSR1", "SIGINT"):
        before = len(metrics_of(folder))
        code = folders.stop(folder, getattr(signal, name), before + 5)
        checks.expect(code == 75, (name, code))
        steps = len(metrics_of(folder))
        kept = os.listdir(folder / "checkpoints")
        checks.expect(kept == [f"step-{steps}"], (steps, kept))
    folders.run(folder)
    hold_bits(folder, whole)
    checks.expect(len(metrics_of(folder)) == len(MANY), metrics_of(folder))
    return "with dropout, the same bits after three signals"


def stop_and_go_on(folders, name, **how):
    """Two processes that are stopped once, and two that are not."""
    whole = folders.make(f"whole_{name}", MANY)
    folder = folders.make(name, MANY)
    folders.run(whole, processes=2, **how)
    folders.stop(folder, signal.SIGTERM, processes=2, **how)
    checks.expect(re.search(r"was asked to stop; step \d+ is saved",
                            (folder / "log").read_text()), name)
    folders.run(folder, processes=2, **how)
    steps = [row["step"] for row in metrics_of(folder)]
    checks.expect(steps == list(range(1, len(MANY) + 1)), steps)
    far = apart(folder, whole)
    checks.expect(far <= 1e-6, far)
    return f"adapters {far:.1e} apart after {len(MANY)} steps"


@checks.check
def two_processes_stop_and_go_on(folders):
    return stop_and_go_on(folders, "stopped_two")


@checks.check
def shards_are_as_whole(folders):
    folder = folders.make("shards")
    log = folders.run(folder, processes=2, sharded=True)
    checks.expect("each process holds them all" not in log, log)
    said = hold_golden(folder, 2)
    far = apart(folder, folders.trained("one"))
    checks.expect(far <= 1e-5, far)
    full = golden_full(folders, "shards_full", gradient_checkpointing=True)
    folders.run(full, processes=2, sharded=True)
    return (said + f", adapters {far:.1e} apart; all weights: "
            + hold_golden(full, 2))


@checks.check
def shards_stop_and_go_on(folders):
    return stop_and_go_on(folders, "stopped_shards", sharded=True)


@checks.check
def shards_in_bfloat16_are_near(folders):
    folder = folders.make("shards_bfloat16", dtype="bfloat16")
    folders.run(folder, processes=2, sharded=True)
    return hold_golden(folder, 2, 0.05, 2)


@checks.check
def what_is_wrong_is_said(folders):
    def fails(name, words, *arguments, change=None, **how):
        folder = folders.make(name, **how)
        if change:
            change(folder)
        said = folders.run(folder, *arguments, expected=1)
        missing = [word for word in words if word not in said]
        checks.expect(not missing and "Traceback" not in said,
                      (name, missing, said[-300:]))
        checks.expect(not (folder / "adapter").exists(), name)

    def edit(file, old, new):
        def change(folder):
            text = (folder / file).read_text()
            checks.expect(old in text, text)
            (folder / file).write_text(text.replace(old, new, 1))
        return change

    def take_checkpoint(folder):
        shutil.copytree(folders.trained("checkpointed", checkpoint_steps=5)
                        / "checkpoints", folder / "checkpoints")
    fails("changed", ["samples.jsonl", "sha256", "anew"],
          change=edit("samples.jsonl", "154", "155"))
    fails("no_steps", ["steps.jsonl is missing", "Copy the whole folder"],
          change=lambda folder: (folder / "steps.jsonl").unlink())
    fails("no_settings", ["no handoff.json"],
          change=lambda folder: (folder / "handoff.json").unlink())
    fails("format", ["'selfalign handoff 9'", "expected"],
          change=edit("handoff.json", "handoff 1", "handoff 9"))
    fails("no_base", ["nowhere", "base.path"], base="nowhere/model")
    fails("no_modules", ["cannot have this adapter", "handoff.json"],
          target_modules=["w_proj"], initial=False)
    fails("rank", ["initial/adapter_model.safetensors", "differ"], rank=5)
    fails("other_steps", ["checkpoints/step-10 is of another training",
                          "steps.jsonl", "Remove"],
          steps=uneven_steps(12), change=take_checkpoint)
    fails("other_settings", ["training.weight_decay (then 0.01, now 0.5)"],
          weight_decay=0.5, change=take_checkpoint)
    fails("not_finite", ["step 2", "nothing is learned"],
          steps=[{"samples": [0], "learning_rate": 1e30}] * 9)
    fails("4_bit_full", ["all weights"], "--load-in-4bit", method="full")
    if importlib.util.find_spec("bitsandbytes") is None:
        fails("4_bit", ["needs bitsandbytes", "pip install"], "--load-in-4bit")
    # A finished training of other samples is not taken for these.
    folder = folders.make("other_result")
    (folder / "result.json").write_text('{"samples_sha256": "0"}')
    said = folders.run(folder, expected=1)
    checks.expect("result.json is of other samples" in said, said)


@checks.check
def a_second_process_is_refused(folders):
    folder = folders.make("twice", MANY)
    first = folders.start(folder)
    while not metrics_of(folder) and first.poll() is None:
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)
    try:
        said = folders.run(folder, expected=1)
    finally:
        first.kill()
        first.wait()
    checks.expect("another process trains in" in said, said)


def script_of(folders):
    spec = importlib.util.spec_from_file_location("train", folders.script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def packing_of(train, model, dtype="float32"):
    """Whether it may pack, and how far off the mean loss of packs is."""
    settings = types.SimpleNamespace(
        **TRAINING | {"method": "full", "dtype": dtype})
    made = train.Model(accelerate.Accelerator(cpu=True), model, settings)
    samples = []
    for length in (3, 5, 20, 17, 40, 28, 72, 33):
        ids = [(i * i + 7 * i + length) % 95 + 1 for i in range(length)]
        samples.append(train.Sample(ids, ids[1:] + [0]))
    may, packed = made.can_pack(samples), made.mean_loss(samples)
    made.pack_tokens = 1
    single = made.mean_loss(samples)
    total = 0.0
    for sample in samples:
        with torch.no_grad():
            logits = model(sample.tokens.long()[None]).logits[0].float()
        total += torch.nn.functional.cross_entropy(
            logits, sample.targets.long(), reduction="sum").item()
    alone = total / sum(map(len, samples))
    checks.expect(abs(single - alone) <= (2e-5 if dtype == "float32" else 0.1),
                  (single, alone))
    return may, abs(packed - alone)


@checks.check
def all_families_can_be_packed(folders):
    train, worst = script_of(folders), 0.0
    for name, (spec, changes) in make_golden_families.CASES.items():
        folder = folders.out / "families" / name
        make_golden_families.make(name, spec, changes, folder)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32)
        may, off = packing_of(train, model)
        checks.expect(may and off <= 2e-5, (name, may, off))
        worst = max(worst, off)
        may, off = packing_of(train, model.bfloat16(), "bfloat16")
        checks.expect(may, (name, off))
    return f"{len(make_golden_families.CASES)} models, off by {worst:.1e}"


@checks.check
def a_model_that_cannot_pack_is_noticed(folders):
    torch.manual_seed(0)
    sizes = {"vocab_size": 256, "hidden_size": 64, "intermediate_size": 96,
             "num_hidden_layers": 2, "max_position_embeddings": 128}
    config = transformers.Lfm2Config(
        num_attention_heads=4, num_key_value_heads=2,
        layer_types=["conv", "full_attention"], **sizes)
    model = transformers.Lfm2ForCausalLM(config)
    may, off = packing_of(script_of(folders), model)
    checks.expect(not may, off)
    model.save_pretrained(folders.out / "lfm2")
    folder = folders.trained("convolution", base=folders.out / "lfm2",
                             initial=False)
    said = (folder / "log").read_text()
    checks.expect("each goes through it alone" in said, said)
    return f"a short convolution, {off:.1e} off in packs"


@checks.check
def four_bits(folders):
    if importlib.util.find_spec("bitsandbytes") is None:
        raise Skipped("bitsandbytes is not installed")
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=256, hidden_size=64, intermediate_size=128,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4))
    model.save_pretrained(folders.out / "wide")
    folder = folders.make(
        "4_bit_lora", base=folders.out / "wide", initial=False,
        dtype="bfloat16", gradient_checkpointing=True)
    folders.run(folder, "--load-in-4bit")
    losses = [row["loss"] for row in metrics_of(folder)]
    checks.expect(losses[-1] < losses[0], losses)
    return f"loss {losses[0]:.3f} to {losses[-1]:.3f}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--script", default=ROOT / "src/train/handoff_train.py")
    parser.add_argument("--only", default="", help="a part of a check's name")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    folders = Folders(args)
    failed = 0
    for function in checks.CHECKS:
        if args.only not in function.__name__:
            continue

        def work(function=function):
            try:
                return function(folders)
            except Skipped as why:
                return f"SKIPPED: {why}"
        failed += not checks.run_check(function.__name__, work)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())

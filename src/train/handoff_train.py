# SPDX-License-Identifier: Apache-2.0
"""Trains what selfalign hands off, with transformers, PEFT and accelerate.

selfalign copies this file into each hand-off folder. It needs nothing else of
selfalign, only pip install torch transformers peft accelerate. In that folder
(or with its path as first argument):

  python train.py                                      one process
  torchrun --nproc-per-node 4 train.py                 four GPUs (DDP)
  accelerate launch --use_fsdp --num_processes 4 train.py    weights shared out
  python train.py --load-in-4bit                       QLoRA, with bitsandbytes

On several nodes all of them must see the folder. FSDP is always version 2,
with one unit a decoder layer unless accelerate's configuration says otherwise.

Read: handoff.json (the settings) and the files that it names. samples.jsonl
and held_back.jsonl have for each token that is read the one to be predicted
after it, or -100; steps.jsonl says of each optimizer step which samples and
which learning rate, so that nothing is drawn or scheduled here.

Written: metrics.jsonl, a line a step; checkpoints/; at the end adapter/ (or
model/, where all weights are trained) and last of all result.json.

Started again it goes on from the newest checkpoint; with one process in
float32 the result has the same bits as without the stop. SIGTERM, SIGINT and
SIGUSR1 make it write a checkpoint after the step at work and exit with 75, so
that a scheduler starts it again. (torchrun makes 1 of that, and kills after 30
seconds: give it --shutdown-timeout.) Exits with 1 where something is wrong.
"""

import argparse
import contextlib
import hashlib
import inspect
import json
import math
import os
import pathlib
import re
import shutil
import signal
import sys
import time
import types

# Before CUDA starts: matrix products of the same bits each time.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
try:
    import accelerate
    import peft
    import torch
    import transformers
    from safetensors.torch import load_file
except ImportError as why:
    sys.exit(f"train.py: {why}. To install what it needs: "
             "pip install torch transformers peft accelerate")

FORMAT, RESULT_FORMAT = "selfalign handoff 1", "selfalign handoff result 1"
IGNORED = -100  # the target of a token after which nothing is learned
INTERRUPTED = 75  # EX_TEMPFAIL: to be started again
SETTINGS = """method rank alpha dropout target_modules use_rslora rank_pattern
    alpha_pattern weight_decay max_grad_norm adam_beta1 adam_beta2 adam_epsilon
    pack_tokens gradient_checkpointing dtype seed checkpoint_steps""".split()
# What may be changed before it is started again.
FREE_SETTINGS = {"pack_tokens", "gradient_checkpointing", "checkpoint_steps"}
TOKENIZER_FILES = """tokenizer.json tokenizer_config.json tokenizer.model
    special_tokens_map.json added_tokens.json vocab.json merges.txt
    chat_template.jinja""".split()


class Failure(Exception):
    """Something is wrong that the person can change; its text says what."""


class Sample:
    def __init__(self, tokens, targets):
        self.tokens = torch.as_tensor(tokens, dtype=torch.int32)
        self.targets = torch.as_tensor(targets, dtype=torch.int32)
        self.num_targets = int((self.targets != IGNORED).sum())

    def __len__(self):
        return len(self.tokens)


# The folder.

def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_json(path):
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise Failure(f"{path} is not valid JSON ({error}). Let selfalign "
                      "write the folder anew.") from error


def write_json(path, value):
    """Whole or not at all."""
    part = pathlib.Path(f"{path}.part")
    part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)


class Handoff:
    """What the working directory says is to be done."""

    def __init__(self, load_in_4bit=False):
        try:
            self.data = read_json("handoff.json")
        except FileNotFoundError as error:
            raise Failure(
                f"there is no handoff.json in {pathlib.Path.cwd()}. Start this "
                "in a folder that selfalign handed off.") from error
        if self.data.get("format") != FORMAT:
            raise Failure(f"handoff.json has format {self.data.get('format')!r}"
                          f", expected {FORMAT!r}. Use the train.py that "
                          "selfalign wrote into this folder.")
        missing = [name for name in SETTINGS
                   if name not in self.data["training"]]
        if missing:
            raise Failure(f"handoff.json: training lacks {', '.join(missing)}.")
        self.settings = types.SimpleNamespace(**self.data["training"])
        if self.settings.dtype not in ("float32", "bfloat16") or \
                self.settings.method not in ("lora", "full"):
            raise Failure("handoff.json: training.dtype must be float32 or "
                          "bfloat16 and training.method lora or full, found "
                          f"{self.settings.dtype}, {self.settings.method}.")
        self.load_in_4bit = load_in_4bit
        self.base = self.data["base"]["path"]
        self.files = ("samples", "held_back", "steps")
        for name in self.files:
            self.check_file(self.data[name])
        self.initial = self.data["initial"] and pathlib.Path(
            self.data["initial"]) / "adapter_model.safetensors"

    def check_file(self, entry):
        if not pathlib.Path(entry["file"]).is_file():
            raise Failure(f"{entry['file']} is missing: handoff.json names it. "
                          "Copy the whole folder, or let selfalign write it "
                          "anew.")
        found = sha256_of(entry["file"])
        if found != entry["sha256"]:
            raise Failure(
                f"{entry['file']} is not the file that was handed off: its "
                f"sha256 is {found}, handoff.json says {entry['sha256']}. It "
                "was changed or not copied whole; let selfalign write the "
                "folder anew.")

    def read(self):
        self.samples, self.held_back, self.steps = map(self.rows, self.files)
        for number, step in enumerate(self.steps, 1):
            if not all(0 <= i < len(self.samples) for i in step["samples"]) or \
                    not sum(self.samples[i].num_targets
                            for i in step["samples"]):
                raise Failure(f"steps.jsonl:{number}: names a sample that is "
                              "not there, or none with a target.")

    def rows(self, name):
        entry, rows = self.data[name], []
        with open(entry["file"], encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                    if name == "steps":
                        row["learning_rate"] + sum(row["samples"])
                    else:
                        row = Sample(row["tokens"], row["targets"])
                        if not len(row) or len(row.targets) != len(row):
                            raise ValueError("one target a token is expected")
                except (ValueError, KeyError, TypeError, RuntimeError) as error:
                    raise Failure(f"{entry['file']}:{number}: not a row of "
                                  f"{name} ({error!r}).") from error
                rows.append(row)
        if len(rows) != entry["count"]:
            raise Failure(f"{entry['file']} has {len(rows)} rows, handoff.json "
                          f"says {entry['count']}.")
        return rows

    def identity(self):
        """What a checkpoint must have been written with."""
        told = {f"training.{name}": value
                for name, value in self.data["training"].items()
                if name not in FREE_SETTINGS}
        told |= {self.data[name]["file"]: self.data[name]["sha256"]
                 for name in self.files}
        return told | {"base.fingerprint": self.data["base"]["fingerprint"],
                       "initial": self.initial and sha256_of(self.initial),
                       "--load-in-4bit": self.load_in_4bit}


# The model.

def load_base(handoff, attention, device):
    """The base without dropout of its own, and what that was in its config."""
    settings = handoff.settings
    masters = settings.method == "full" or settings.dtype == "float32"
    arguments = {"dtype": torch.float32 if masters else torch.bfloat16}
    if attention:
        arguments["attn_implementation"] = attention
    if handoff.load_in_4bit:
        arguments["device_map"] = {"": device}
        arguments["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, settings.dtype))
    try:
        config = transformers.AutoConfig.from_pretrained(handoff.base)
        dropouts = {name: value for name, value in vars(config).items()
                    if "drop" in name and isinstance(value, float)}
        for name in dropouts:
            setattr(config, name, 0.0)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            handoff.base, config=config, **arguments)
    except (OSError, ValueError, ImportError) as error:
        raise Failure(f"the base model {handoff.base} could not be loaded: "
                      f"{error}\nCheck base.path in handoff.json: it must be "
                      "an HF folder or a name on the hub.") from error
    return model, dropouts


def add_adapter(model, handoff):
    settings = handoff.settings
    config = peft.LoraConfig(
        task_type="CAUSAL_LM", r=settings.rank, lora_alpha=settings.alpha,
        lora_dropout=settings.dropout, target_modules=settings.target_modules,
        use_rslora=settings.use_rslora, rank_pattern=settings.rank_pattern,
        alpha_pattern=settings.alpha_pattern)
    try:
        model = peft.get_peft_model(model, config)
    except ValueError as error:
        raise Failure(f"the base model takes no such adapter: {error}\nCheck "
                      "training in handoff.json against the base.") from error
    if handoff.initial:
        values = load_file(handoff.initial)
        wanted = peft.get_peft_model_state_dict(
            model, save_embedding_layers=False)
        odd = values.keys() ^ wanted.keys() or {
            name for name in wanted if values[name].shape != wanted[name].shape}
        if odd:
            raise Failure(f"{handoff.initial} is not of this base and these "
                          f"settings: {len(odd)} tensors differ in name or "
                          f"shape, the first is {min(odd)}.")
        peft.set_peft_model_state_dict(model, values)
    return model


def build_model(handoff, attention, device):
    settings = handoff.settings
    model, dropouts = load_base(handoff, attention, device)
    ids = model.get_input_embeddings().weight.shape[0]
    for sample in handoff.samples + handoff.held_back:
        if sample.tokens.min() < 0 or \
                max(sample.tokens.max(), sample.targets.max()) >= ids:
            raise Failure(f"a sample has a token id that {handoff.base} does "
                          f"not have (0 to {ids - 1}): it is another model "
                          "than the one that was handed off.")
    recompute = {"gradient_checkpointing_kwargs": {"use_reentrant": False}}
    if handoff.load_in_4bit:
        model = peft.prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=settings.gradient_checkpointing,
            **recompute)
    elif settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(**recompute)
    # The same on all processes: PEFT draws an adapter's first values.
    torch.manual_seed(settings.seed)
    if settings.method == "lora":
        model = add_adapter(model, handoff)
    return model, dropouts


def whole(tensor):
    """On the CPU; of shards all processes must ask at once."""
    if hasattr(tensor, "full_tensor"):
        tensor = tensor.full_tensor()
    return tensor.detach().cpu()


def like(value, parameter):
    """The value where and as the parameter is: on a device, in shards."""
    value = value.to(parameter.device)
    if hasattr(parameter, "full_tensor"):
        return torch.distributed.tensor.distribute_tensor(
            value, parameter.device_mesh, parameter.placements)
    return value


# Who computes what.

def packs_of(samples, indices, limit):
    """Lists of indices: samples that go through the model together."""
    packs, room = [], 0
    for i in indices:
        if len(samples[i]) > room:
            packs.append([])
            room = limit
        packs[-1].append(i)
        room -= len(samples[i])
    return packs


def share_out(samples, indices, limit, rank, world):
    """The passes of process `rank`, as pairs (indices, weight).

    Each process gets about as many tokens. All have as many passes, since all
    must meet in each; what is missing is filled up with weight 0.
    """
    order = sorted((i for i in indices if samples[i].num_targets),
                   key=lambda i: (-len(samples[i]), i))
    shares, sizes = [[] for _ in range(world)], [0] * world
    for i in order:
        least = sizes.index(min(sizes))
        shares[least].append(i)
        sizes[least] += len(samples[i])
    packs = [packs_of(samples, share, limit) for share in shares]
    own = [(pack, 1.0) for pack in packs[rank]]
    missing = max(map(len, packs)) - len(own)
    return own + [(order[-1:], 0.0)] * missing


class Model:
    """The model as it is spread over the processes, and what it is asked."""

    def __init__(self, accelerator, model, settings):
        self.accelerator, self.settings = accelerator, settings
        self.pack_tokens = settings.pack_tokens
        base = model.get_base_model() if settings.method == "lora" else model
        self.accepts = inspect.signature(base.forward).parameters
        # No pack is longer than what a model's positions were made for: some
        # choose their frequencies by the longest sample of a pass.
        contexts = re.findall(r'max_position_embeddings": (\d+)',
                              base.config.to_json_string(use_diff=False))
        self.pack_tokens = min([settings.pack_tokens, *map(int, contexts)])
        self.decays = [p for p in model.parameters()
                       if p.requires_grad and p.ndim >= 2]
        others = [p for p in model.parameters()
                  if p.requires_grad and p.ndim < 2]
        optimizer = torch.optim.AdamW(
            [{"params": self.decays, "weight_decay": settings.weight_decay},
             {"params": others, "weight_decay": 0.0}], lr=0.0,
            betas=(settings.adam_beta1, settings.adam_beta2),
            eps=settings.adam_epsilon)
        self.model, prepared = accelerator.prepare(model, optimizer)
        self.optimizer = prepared.optimizer
        self.inner = accelerator.unwrap_model(self.model)

    def trained(self):
        return {name: p for name, p in self.inner.named_parameters()
                if p.requires_grad}

    def logits(self, batch):
        """Of the rows with a target [rows, vocabulary], and the targets."""
        device = self.accelerator.device
        targets = torch.cat([sample.targets for sample in batch]).long()
        rows = (targets != IGNORED).nonzero()[:, 0]
        inputs = {
            "input_ids": torch.cat([s.tokens for s in batch]).long()[None],
            "position_ids": torch.cat([torch.arange(len(s))
                                       for s in batch])[None],
            "logits_to_keep": rows, "use_cache": False}
        inputs = {name: value.to(device) if torch.is_tensor(value) else value
                  for name, value in inputs.items() if name in self.accepts}
        rows, targets = rows.to(device), targets[rows].to(device)
        with torch.autocast(device.type, torch.bfloat16,
                            enabled=self.settings.dtype == "bfloat16"):
            logits = self.model(**inputs).logits
        if logits.shape[1] != len(rows):
            logits = logits[:, rows]
        return logits[0].float(), targets

    def loss_sum(self, batch):
        return torch.nn.functional.cross_entropy(
            *self.logits(batch), reduction="sum")

    @torch.no_grad()
    def can_pack(self, samples):
        """Whether a sample in a pack is as it is alone, tried on a pair.

        What it would be behind the other one is the measure of what is far.
        """
        if "position_ids" not in self.accepts:
            return False
        self.model.eval()
        pair = sorted(samples, key=lambda sample: abs(len(sample) - 32))[:2]
        first, last = [Sample(s.tokens[:64], s.tokens[:64]) for s in pair]
        both = torch.cat([first.tokens, last.tokens])

        def logits(*batch):
            return self.logits(batch)[0][-len(last):]
        alone = logits(last)
        off, far = [(found - alone).abs().mean(-1).max()
                    for found in (logits(first, last),
                                  logits(Sample(both, both)))]
        bound = 1e-3 if self.settings.dtype == "float32" else 0.1
        return bool(self.total(off > bound * far) == 0)

    def total(self, value):
        """Of a number that each process has."""
        value = torch.as_tensor(value, dtype=torch.float64,
                                device=self.accelerator.device)
        return self.accelerator.reduce(value.clone(), "sum").item()

    def passes(self, samples, indices):
        return [([samples[i] for i in pack], weight)
                for pack, weight in share_out(
                    samples, indices, self.pack_tokens,
                    self.accelerator.process_index,
                    self.accelerator.num_processes)]

    @torch.no_grad()
    def mean_loss(self, samples):
        """A target's, without dropout; None without targets."""
        count = sum(sample.num_targets for sample in samples)
        if not count:
            return None
        self.model.eval()
        own = sum(weight * self.loss_sum(batch).item() for batch, weight
                  in self.passes(samples, range(len(samples))))
        return self.total(own) / count

    def backward(self, samples, indices):
        """Leaves the gradients of a step's mean loss, the same everywhere as
        of one process, and returns that loss."""
        count = sum(samples[i].num_targets for i in indices)
        world = self.accelerator.num_processes  # by which gradients are divided
        passes, own = self.passes(samples, indices), 0.0
        sharded = self.accelerator.distributed_type == "FSDP"
        self.model.train()
        for at, (batch, weight) in enumerate(passes, 1):
            waits = at < len(passes) and not sharded
            with (self.accelerator.no_sync(self.model) if waits
                  else contextlib.nullcontext()):
                loss = self.loss_sum(batch)
                self.accelerator.backward(loss * (weight * world / count))
            own = own + weight * loss.detach().double()
        return self.total(own) / count

    def step(self, learning_rate):
        """Clips, takes the step and returns the norm before clipping."""
        norm = whole(torch.nn.utils.clip_grad_norm_(
            self.trained().values(),
            self.settings.max_grad_norm or math.inf)).item()
        if math.isfinite(norm):
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate
            self.optimizer.step()
        self.optimizer.zero_grad()
        return norm

    def state(self):
        """To go on from: values and AdamW's moments, by name."""
        trained = self.trained()
        return {"values": {name: whole(p) for name, p in trained.items()},
                "moments": {name: {key: whole(value) for key, value
                                   in self.optimizer.state[p].items()}
                            for name, p in trained.items()}}

    @torch.no_grad()
    def restore(self, state):
        for name, parameter in self.trained().items():
            parameter.copy_(like(state["values"][name], parameter))
            self.optimizer.state[parameter] = {
                key: like(value, parameter) if value.ndim else value
                for key, value in state["moments"][name].items()}


# What is left on the disk.

def write_folder(name, fill):
    """A folder that is there whole or not at all."""
    part = pathlib.Path(f"{name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    fill(part)
    shutil.rmtree(name, ignore_errors=True)
    os.replace(part, name)


class Checkpoints:
    folder = pathlib.Path("checkpoints")

    def __init__(self, handoff):
        self.identity = handoff.identity()

    def newest(self):
        found = [path for path in self.folder.glob("step-*")
                 if path.name[5:].isdigit()]
        return max(found, key=lambda path: int(path.name[5:]), default=None)

    def read(self):
        """The newest one's step, held-back loss and state, or None."""
        path = self.newest()
        if path is None:
            return None
        about = read_json(path / "checkpoint.json")
        odd = [name for name in self.identity | about["identity"]
               if self.identity.get(name) != about["identity"].get(name)]
        if odd:
            name = odd[0]
            raise Failure(
                f"{path} is of another training: it differs in "
                f"{', '.join(odd)} ({name} was {about['identity'].get(name)!r},"
                f" is {self.identity.get(name)!r}). Remove the folder "
                f"{self.folder.resolve()} to begin from the start, or put back "
                "what it was written with.")
        try:
            state = torch.load(path / "state.pt", map_location="cpu",
                               mmap=True, weights_only=True)
        except Exception as error:
            raise Failure(f"{path} is damaged ({error}). Remove it to go on "
                          "from the start.") from error
        return path, about["step"], about["held_back_before"], state

    def write(self, step, held_back_before, state):
        def fill(part):
            with open(part / "state.pt", "wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            shutil.copyfile("metrics.jsonl", part / "metrics.jsonl")
            write_json(part / "checkpoint.json",
                       {"step": step, "held_back_before": held_back_before,
                        "identity": self.identity})
        name = self.folder / f"step-{step}"
        write_folder(name, fill)
        for other in self.folder.iterdir():
            if other != name:
                shutil.rmtree(other, ignore_errors=True)


def save_adapter(model, values, folder):
    model.save_pretrained(folder, state_dict=values,
                          save_embedding_layers=False)
    config = read_json(folder / "adapter_config.json")
    if isinstance(config["target_modules"], list):  # of a set: in any order
        config["target_modules"].sort()
    write_json(folder / "adapter_config.json", config)


def save_model(model, values, folder, handoff):
    """In the type that was computed in, with the base's tokenizer."""
    dtype = getattr(torch, handoff.settings.dtype)
    model.save_pretrained(folder, state_dict={
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in values.items()})
    config = read_json(folder / "config.json")
    write_json(folder / "config.json",
               config | {"dtype": handoff.settings.dtype})
    for name in TOKENIZER_FILES:
        path = transformers.utils.cached_file(
            handoff.base, name, _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False)
        if path:
            shutil.copyfile(path, folder / name)


# The training.

class Signals:
    """Notes that the process was asked to stop; before there is anything to
    save, or when nothing is left to do but to save, it just does so."""

    def __init__(self):
        self.asked = self.training = False
        for name in ("SIGTERM", "SIGINT", "SIGUSR1"):
            signal.signal(getattr(signal, name), self.note)

    def note(self, *_):
        self.asked = True
        if not self.training:
            sys.exit(INTERRUPTED)


def say(accelerator, text):
    if accelerator.is_main_process:
        print(f"train.py: {text}", flush=True)


def start_accelerator(handoff):
    """FSDP gets version 2, units of layers, and sums of gradients in float32,
    since an adapter's are small."""
    sharded = os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
    if sharded:
        if handoff.load_in_4bit:
            raise Failure("--load-in-4bit does not go with FSDP. Start it with "
                          "torchrun: each process then holds the whole base in "
                          "4 bits.")
        os.environ["FSDP_VERSION"] = "2"
        os.environ.setdefault("FSDP_AUTO_WRAP_POLICY", "TRANSFORMER_BASED_WRAP")
    accelerator = accelerate.Accelerator(
        mixed_precision="no",
        kwargs_handlers=[accelerate.DistributedDataParallelKwargs(
            broadcast_buffers=False, gradient_as_bucket_view=True)])
    if sharded and accelerator.distributed_type != "FSDP":
        say(accelerator, "accelerate shares weights out (FSDP) over several "
            "GPUs alone; here each process holds them all.")
    elif sharded and handoff.settings.dtype == "bfloat16":
        policy = torch.distributed.fsdp.MixedPrecisionPolicy(
            param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        accelerator.state.fsdp_plugin.mixed_precision_policy = policy
    if handoff.settings.dtype == "float32" and \
            accelerator.device.type == "cuda":
        torch.use_deterministic_algorithms(True)
    return accelerator


class Training:
    def __init__(self, handoff, attention):
        self.handoff, self.settings = handoff, handoff.settings
        self.signals = Signals()
        self.checkpoints = Checkpoints(handoff)
        handoff.read()
        self.accelerator = start_accelerator(handoff)
        saved = self.checkpoints.read()
        model, self.dropouts = build_model(handoff, attention,
                                           self.accelerator.device)
        self.model = Model(self.accelerator, model, self.settings)
        self.choose_packing()
        if saved:
            path, self.done, self.before, state = saved
            self.model.restore(state)
            say(self.accelerator, f"goes on from {path}.")
        else:
            self.done = 0
            self.before = self.model.mean_loss(handoff.held_back)
        if self.accelerator.is_main_process:
            if saved:  # without the steps that were lost
                shutil.copyfile(path / "metrics.jsonl", "metrics.jsonl")
            self.metrics = open("metrics.jsonl", "a" if saved else "w",
                                encoding="utf-8")

    def choose_packing(self):
        samples = self.handoff.samples
        if self.model.pack_tokens > 1 and len(samples) > 1 and \
                not self.model.can_pack(samples):
            say(self.accelerator, "this model computes something else where "
                "samples share a pass, so each goes through it alone.")
            self.model.pack_tokens = 1
        say(self.accelerator, f"{len(self.handoff.steps)} steps, {len(samples)}"
            f" samples, {self.accelerator.num_processes} process(es), "
            f"{self.settings.dtype} on {self.accelerator.device.type}, packs "
            f"of {self.model.pack_tokens} tokens.")

    def run(self):
        self.signals.training = True
        for number in range(self.done, len(self.handoff.steps)):
            self.take_step(number)
            self.done = number + 1
            stops = self.model.total(self.signals.asked) > 0
            every = self.settings.checkpoint_steps
            if stops or every and self.done % every == 0:
                self.write_checkpoint()
            if stops:
                say(self.accelerator, f"was asked to stop: step {self.done} is "
                    "saved. Start it again to go on.")
                return INTERRUPTED
        self.signals.training = False
        self.finish()
        return 0

    def take_step(self, number):
        began = time.perf_counter()
        step, samples = self.handoff.steps[number], self.handoff.samples
        # Dropout draws by step and process, whatever came before.
        torch.manual_seed((self.settings.seed * 1_000_003 + number) * 4096
                          + self.accelerator.process_index & 2**63 - 1)
        loss = self.model.backward(samples, step["samples"])
        norm = self.model.step(step["learning_rate"])
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise Failure(
                f"step {number + 1}: the loss is {loss} and the gradient's norm"
                f" {norm}, so there is nothing to learn from it. Lower the "
                "learning rate, or look at the samples that steps.jsonl:"
                f"{number + 1} names.")
        if self.accelerator.is_main_process:
            tokens = sum(len(samples[i]) for i in step["samples"])
            self.metrics.write(json.dumps({
                "step": number + 1, "loss": loss, "grad_norm": norm,
                "learning_rate": step["learning_rate"], "num_tokens": tokens,
                "tokens_per_s": tokens / (time.perf_counter() - began)}) + "\n")
            self.metrics.flush()

    def write_checkpoint(self):
        state = self.model.state()
        if self.accelerator.is_main_process:
            os.fsync(self.metrics.fileno())
            self.checkpoints.write(self.done, self.before, state)
        self.accelerator.wait_for_everyone()

    def finish(self):
        inner, handoff = self.model.inner, self.handoff
        values = {name: whole(p) for name, p in self.model.trained().items()}
        after = self.model.mean_loss(handoff.held_back)
        if self.accelerator.is_main_process:
            if self.settings.method == "lora":
                written = "adapter"
                write_folder(written, lambda folder: save_adapter(
                    inner, values, folder))
            else:
                written = "model"
                vars(inner.config).update(self.dropouts)
                parameters = dict(inner.named_parameters(
                    remove_duplicate=False))
                values |= {name: whole(value)  # buffers
                           for name, value in inner.state_dict().items()
                           if name not in parameters}
                write_folder(written, lambda folder: save_model(
                    inner, values, folder, handoff))
            write_json("result.json", {
                "format": RESULT_FORMAT, "steps": self.done,
                "held_back_before": self.before, "held_back_after": after,
                "samples_sha256": handoff.data["samples"]["sha256"],
                "steps_sha256": handoff.data["steps"]["sha256"],
                "world_size": self.accelerator.num_processes,
                "dtype": self.settings.dtype, "torch": torch.__version__,
                "transformers": transformers.__version__,
                "peft": peft.__version__})
            say(self.accelerator, f"done: {written}/ and result.json are in "
                f"{pathlib.Path.cwd()}; the loss of what was held back was "
                f"{self.before} and is {after}.")
        self.accelerator.wait_for_everyone()


def is_finished(handoff):
    if not pathlib.Path("result.json").exists():
        return False
    result = read_json("result.json")
    for name in ("samples", "steps"):
        if result.get(f"{name}_sha256") != handoff.data[name]["sha256"]:
            raise Failure(f"result.json is of other {name}. Remove it, "
                          "checkpoints/ and adapter/ or model/ to train on "
                          "these.")
    return True


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default=".")
    parser.add_argument("--load-in-4bit", action="store_true",
                        help="hold the frozen base in 4 bits (QLoRA)")
    parser.add_argument("--attention", metavar="NAME",
                        help="transformers' attn_implementation, such as "
                        "flash_attention_2")
    return parser.parse_args()


def train():
    args = parse_arguments()
    if not pathlib.Path(args.folder).is_dir():
        raise Failure(f"there is no folder {args.folder}.")
    os.chdir(args.folder)
    handoff = Handoff(args.load_in_4bit)
    if args.load_in_4bit and handoff.settings.method == "full":
        raise Failure("--load-in-4bit trains an adapter; handoff.json asks "
                      "for all weights (method full).")
    if args.load_in_4bit and not transformers.utils.is_bitsandbytes_available():
        raise Failure("--load-in-4bit needs bitsandbytes, which is not "
                      "installed or does not work here: pip install "
                      "bitsandbytes")
    if is_finished(handoff):
        if os.environ.get("RANK", "0") == "0":
            print("train.py: result.json is there, so this is finished; "
                  "there is nothing to do.")
        return 0
    return Training(handoff, args.attention).run()


def main():
    try:
        status = train()
    except (Failure, OSError) as error:
        rank = os.environ.get("RANK")
        where = f" (process {rank})" if rank else ""
        print(f"train.py{where}: {error}", file=sys.stderr, flush=True)
        return 1
    except torch.OutOfMemoryError as error:
        print(f"train.py: the device's memory is full: {error}\nLower "
              "training.pack_tokens or set training.gradient_checkpointing in "
              "handoff.json, use FSDP or --load-in-4bit, and start it again: "
              "it goes on from the newest checkpoint.", file=sys.stderr)
        return 1
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return status


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""Trains what selfalign hands off, with transformers, PEFT and accelerate.

selfalign copies this file into each hand-off folder. It needs nothing else of
selfalign, only `pip install torch transformers peft accelerate`. In that folder
(or with its path as first argument):

  python train.py                                      one process
  torchrun --nproc-per-node 4 train.py                 four GPUs, by DDP
  accelerate launch --use_fsdp --num_processes 4 train.py    weights in shards
  python train.py --load-in-4bit                       QLoRA, with bitsandbytes

All nodes must see the folder. FSDP is always version 2, with a unit a decoder
layer unless accelerate's configuration says otherwise.

Read: handoff.json, the settings, and the files that it names. samples.jsonl and
held_back.jsonl have for each token that is read the one to be predicted after
it, or -100; steps.jsonl says of each optimizer step which samples and which
learning rate, so that nothing is drawn or scheduled here.

Written: metrics.jsonl, a line a step; checkpoints/; at the end adapter/ (model/
where all weights are trained) and last of all result.json.

Started again it goes on from the newest checkpoint; with one process in float32
the result has the same bits as without the stop. SIGTERM, SIGINT and SIGUSR1
make it write a checkpoint after the step at work and exit with 75, so that a
scheduler starts it again. (torchrun makes 1 of that, and kills after 30 seconds
unless it has --shutdown-timeout.) It exits with 1 where something is wrong.
"""

import argparse
import contextlib
import fcntl
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

# Before CUDA starts: its matrix products have the same bits each time.
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
# What may be another when it is started again.
FREE_SETTINGS = {"pack_tokens", "gradient_checkpointing", "checkpoint_steps"}
TOKENIZER_FILES = """tokenizer.json tokenizer_config.json tokenizer.model
    special_tokens_map.json added_tokens.json vocab.json merges.txt
    chat_template.jinja""".split()
CHECKPOINTS = pathlib.Path("checkpoints")
ANEW = "Let selfalign write the folder anew."


class Failure(Exception):
    """What is wrong, where, and what the person can do."""


def say(text):
    if os.environ.get("RANK", "0") == "0":
        print(f"train.py: {text}", flush=True)


# The folder.

class Sample:
    def __init__(self, tokens, targets):
        self.tokens = torch.as_tensor(tokens, dtype=torch.int32)
        self.targets = torch.as_tensor(targets, dtype=torch.int32)
        self.num_targets = int((self.targets != IGNORED).sum())

    def __len__(self):
        return len(self.tokens)


def read_json(path):
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise Failure(f"{path} is not valid JSON: {error}") from error


def write_json(path, value):
    part = pathlib.Path(f"{path}.part")
    part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)


def write_folder(name, fill):
    """A folder that is there whole or not at all."""
    part = pathlib.Path(f"{name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    fill(part)
    shutil.rmtree(name, ignore_errors=True)
    os.replace(part, name)


class Handoff:
    """What the working directory says is to be done."""

    def __init__(self, load_in_4bit):
        if not os.path.isfile("handoff.json"):
            raise Failure(f"there is no handoff.json in {os.getcwd()}. Start "
                          "this in a folder that selfalign handed off.")
        data = read_json("handoff.json")
        if data.get("format") != FORMAT:
            raise Failure(f"handoff.json has format {data.get('format')!r}, "
                          f"expected {FORMAT!r}. Use the train.py that "
                          "selfalign wrote into this folder.")
        self.base, self.load_in_4bit = data["base"]["path"], load_in_4bit
        self.settings = types.SimpleNamespace(**data["training"])
        # What a checkpoint must have been written with.
        self.identity = {f"training.{name}": value for name, value
                         in data["training"].items()
                         if name not in FREE_SETTINGS}
        self.identity |= {"base.fingerprint": data["base"]["fingerprint"],
                          "--load-in-4bit": load_in_4bit}
        self.files = {name: data[name]
                      for name in ("samples", "held_back", "steps")}
        self.texts = {name: self.read(file["file"], file["sha256"])
                      for name, file in self.files.items()}
        self.initial = data["initial"] and os.path.join(
            data["initial"], "adapter_model.safetensors")
        if self.initial:
            self.read(self.initial)

    def read(self, path, wanted=None):
        if not os.path.isfile(path):
            raise Failure(f"{path} is missing, which handoff.json names. Copy "
                          f"the whole folder. {ANEW}")
        text = pathlib.Path(path).read_bytes()
        found = self.identity[path] = hashlib.sha256(text).hexdigest()
        if wanted not in (None, found):
            raise Failure(f"{path} is not what was handed off: its sha256 is "
                          f"{found}, handoff.json says {wanted}. It was "
                          f"changed, or not copied whole. {ANEW}")
        return text

    def parse(self):
        def samples(name):
            rows = map(json.loads, self.texts[name].splitlines())
            return [Sample(row["tokens"], row["targets"]) for row in rows]
        self.samples, self.held_back = samples("samples"), samples("held_back")
        self.steps = list(map(json.loads, self.texts["steps"].splitlines()))
        del self.texts

    def is_finished(self):
        if not os.path.exists("result.json"):
            return False
        result = read_json("result.json")
        for name in ("samples", "steps"):
            if result.get(f"{name}_sha256") != self.files[name]["sha256"]:
                raise Failure(f"result.json is of other {name}. To train on "
                              "these remove it, checkpoints/, adapter/ and "
                              "model/.")
        return True


# The model.

def load_base(handoff, attention, device):
    """The base without dropout of its own, and what its config had of that."""
    settings = handoff.settings
    masters = settings.method == "full" or settings.dtype == "float32"
    more = {"dtype": torch.float32 if masters else torch.bfloat16}
    if attention:
        more["attn_implementation"] = attention
    if handoff.load_in_4bit:
        more["device_map"] = {"": device}
        more["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, settings.dtype))
    config = transformers.AutoConfig.from_pretrained(handoff.base)
    dropouts = {name: value for name, value in vars(config).items()
                if "drop" in name and isinstance(value, float)}
    vars(config).update(dict.fromkeys(dropouts, 0.0))
    return transformers.AutoModelForCausalLM.from_pretrained(
        handoff.base, config=config, **more), dropouts


def add_adapter(model, handoff):
    settings = handoff.settings
    torch.manual_seed(settings.seed)  # for PEFT's own first values
    model = peft.get_peft_model(model, peft.LoraConfig(
        task_type="CAUSAL_LM", r=settings.rank, lora_alpha=settings.alpha,
        lora_dropout=settings.dropout, use_rslora=settings.use_rslora,
        target_modules=settings.target_modules,
        rank_pattern=settings.rank_pattern,
        alpha_pattern=settings.alpha_pattern))
    if handoff.initial:
        values = load_file(handoff.initial)
        wanted = peft.get_peft_model_state_dict(
            model, save_embedding_layers=False)
        odd = values.keys() ^ wanted.keys() or {
            name for name in wanted if values[name].shape != wanted[name].shape}
        if odd:
            raise Failure(f"{handoff.initial} is not of this base and these "
                          f"settings: {len(odd)} tensors differ in name or "
                          f"shape, such as {min(odd)}. {ANEW}")
        peft.set_peft_model_state_dict(model, values)
    return model


def build_model(handoff, attention, device):
    settings = handoff.settings
    try:
        model, dropouts = load_base(handoff, attention, device)
    except (OSError, ValueError, ImportError) as error:
        raise Failure(f"the base model {handoff.base} could not be loaded: "
                      f"{error}\nbase.path in handoff.json must be an HF folder"
                      " or a name on the hub.") from error
    ids = model.get_input_embeddings().weight.shape[0]
    top = max(max(sample.tokens.max(), sample.targets.max())
              for sample in handoff.samples + handoff.held_back)
    if top >= ids:
        raise Failure(f"the samples have token {top}, but {handoff.base} has "
                      f"{ids} tokens: it is not the model that was handed off.")
    recompute = {"gradient_checkpointing_kwargs": {"use_reentrant": False}}
    if handoff.load_in_4bit:
        model = peft.prepare_model_for_kbit_training(
            model, settings.gradient_checkpointing, **recompute)
    elif settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(**recompute)
    if settings.method == "lora":
        try:
            model = add_adapter(model, handoff)
        except ValueError as error:
            raise Failure(f"{handoff.base} cannot have this adapter: {error}\n"
                          "Look at training in handoff.json.") from error
    return model, dropouts


def whole(tensor):
    """On the CPU; of a tensor in shards all processes must ask at once."""
    if hasattr(tensor, "full_tensor"):
        tensor = tensor.full_tensor()
    return tensor.detach().cpu()


def spread(value, parameter):
    """The value where the parameter is: on a device, in shards."""
    if not value.ndim:  # AdamW's count of steps
        return value.clone()
    value = value.to(parameter.device, copy=True)
    if hasattr(parameter, "full_tensor"):
        value = torch.distributed.tensor.distribute_tensor(
            value, parameter.device_mesh, parameter.placements)
    return value


def share_out(samples, indices, limit, rank, world):
    """The passes of process `rank` as pairs (indices, weight).

    Each process gets about as many tokens, in packs of `limit` at most. All
    have as many passes, since they meet in each: what one lacks is filled up
    with weight 0.
    """
    order = sorted((i for i in indices if samples[i].num_targets),
                   key=lambda i: (-len(samples[i]), i))
    packs, sizes, room = [[] for _ in range(world)], [0] * world, [0] * world
    for i in order:
        least = sizes.index(min(sizes))
        if len(samples[i]) > room[least]:
            packs[least].append([])
            room[least] = limit
        packs[least][-1].append(i)
        room[least] -= len(samples[i])
        sizes[least] += len(samples[i])
    missing = max(map(len, packs)) - len(packs[rank])
    return [(pack, 1.0) for pack in packs[rank]] + [(order[-1:], 0.0)] * missing


class Model:
    """The model, spread over the processes, and its optimizer."""

    def __init__(self, accelerator, model, settings):
        self.accelerator, self.settings = accelerator, settings
        base = model.get_base_model() if settings.method == "lora" else model
        self.accepts = inspect.signature(base.forward).parameters
        # No pack is longer than what the positions were made for: there are
        # models that choose frequencies by the longest sample of a pass.
        contexts = re.findall(r'max_position_embeddings": (\d+)',
                              base.config.to_json_string(use_diff=False))
        self.pack_tokens = min([settings.pack_tokens, *map(int, contexts)])
        groups = [{"params": [], "weight_decay": settings.weight_decay},
                  {"params": [], "weight_decay": 0.0}]
        for p in model.parameters():
            if p.requires_grad:
                groups[p.ndim < 2]["params"].append(p)
        self.model, prepared = accelerator.prepare(model, torch.optim.AdamW(
            groups, lr=0.0, betas=(settings.adam_beta1, settings.adam_beta2),
            eps=settings.adam_epsilon))
        self.optimizer = prepared.optimizer
        self.inner = accelerator.unwrap_model(self.model)
        self.learned = {name: p for name, p in self.inner.named_parameters()
                        if p.requires_grad}

    def logits(self, batch):
        """Of the rows with a target [rows, vocabulary], and the targets."""
        device = self.accelerator.device
        targets = torch.cat([sample.targets for sample in batch]).long()
        rows = (targets != IGNORED).nonzero()[:, 0].to(device)
        tokens = torch.cat([sample.tokens for sample in batch]).long()
        places = torch.cat([torch.arange(len(sample)) for sample in batch])
        inputs = {"input_ids": tokens.to(device)[None], "logits_to_keep": rows,
                  "position_ids": places.to(device)[None], "use_cache": False}
        inputs = {name: inputs[name] for name in inputs if name in self.accepts}
        with torch.autocast(device.type, torch.bfloat16,
                            enabled=self.settings.dtype == "bfloat16"):
            logits = self.model(**inputs).logits
        if logits.shape[1] != len(rows):
            logits = logits[:, rows]
        return logits[0].float(), targets.to(device)[rows]

    def loss_sum(self, batch):
        return torch.nn.functional.cross_entropy(
            *self.logits(batch), reduction="sum")

    def passes(self, samples, indices):
        return [([samples[i] for i in pack], weight)
                for pack, weight in share_out(
                    samples, indices, self.pack_tokens,
                    self.accelerator.process_index,
                    self.accelerator.num_processes)]

    def total(self, number):
        """Its sum over the processes."""
        return self.accelerator.reduce(torch.tensor(
            float(number), device=self.accelerator.device), "sum").item()

    @torch.no_grad()
    def can_pack(self, samples):
        """Whether a sample behind another one is as it is alone.

        Tried on a pair; what the two are as one text is how far off it can be.
        """
        if "position_ids" not in self.accepts:
            return False
        self.model.eval()
        pair = sorted(samples, key=lambda sample: abs(len(sample) - 32))[:2]
        first, last = [sample.tokens[:64] for sample in pair]

        def logits(*texts):
            batch = [Sample(text, text) for text in texts]
            return self.logits(batch)[0][-len(last):]
        alone = logits(last)
        off, far = [(found - alone).abs().mean(-1).max() for found in (
            logits(first, last), logits(torch.cat([first, last])))]
        bound = 1e-4 if self.settings.dtype == "float32" else 0.1
        return self.total(off > bound * far) == 0

    @torch.no_grad()
    def mean_loss(self, samples):
        """Per target, without dropout; None where there is no target."""
        count = sum(sample.num_targets for sample in samples)
        if not count:
            return None
        self.model.eval()
        return self.total(sum(
            weight * self.loss_sum(batch).item() for batch, weight
            in self.passes(samples, range(len(samples))))) / count

    def backward(self, samples, indices):
        """Leaves the gradients of a step's mean loss, on each process those
        that one alone would have, and returns that loss."""
        count = sum(samples[i].num_targets for i in indices)
        # Gradients are averaged over the processes, the loss is a sum.
        scale = self.accelerator.num_processes / count
        passes, losses = self.passes(samples, indices), []
        sharded = self.accelerator.distributed_type == "FSDP"
        self.model.train()
        for at, (batch, weight) in enumerate(passes, 1):
            meets = sharded or at == len(passes)
            with (contextlib.nullcontext() if meets
                  else self.accelerator.no_sync(self.model)):
                loss = self.loss_sum(batch)
                self.accelerator.backward(loss * (weight * scale))
            losses.append(weight * loss.detach())
        return self.total(sum(loss.item() for loss in losses)) / count

    def step(self, learning_rate):
        """Clips, takes the step and returns the norm before clipping."""
        norm = whole(torch.nn.utils.clip_grad_norm_(
            self.learned.values(),
            self.settings.max_grad_norm or math.inf)).item()
        if math.isfinite(norm):
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate
            self.optimizer.step()
        self.optimizer.zero_grad()
        return norm

    def values(self):
        return {name: whole(p) for name, p in self.learned.items()}

    def moments(self):
        return {name: {key: whole(value) for key, value
                       in self.optimizer.state[p].items()}
                for name, p in self.learned.items()}

    @torch.no_grad()
    def restore(self, state):
        for name, p in self.learned.items():
            p.copy_(spread(state["values"][name], p))
            self.optimizer.state[p] = {
                key: spread(value, p)
                for key, value in state["moments"][name].items()}


# Checkpoints and results.

def read_checkpoint(identity):
    """The newest one: its folder, checkpoint.json and tensors, or None."""
    found = {int(path.name[5:]): path for path in CHECKPOINTS.glob("step-*")
             if path.name[5:].isdigit()}
    if not found:
        return None
    path = found[max(found)]
    about = read_json(path / "checkpoint.json")
    then = about["identity"]
    odd = [f"{name} (then {then.get(name)!r}, now {identity.get(name)!r})"
           for name in identity | then if identity.get(name) != then.get(name)]
    if odd:
        raise Failure(f"{path} is of another training, which differs in "
                      f"{', '.join(odd)}. Remove {CHECKPOINTS.resolve()} to "
                      "begin from the start, or put back what was changed.")
    return path, about, torch.load(path / "state.pt", map_location="cpu",
                                   mmap=True, weights_only=True)


def write_checkpoint(about, state):
    def fill(part):
        with open(part / "state.pt", "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        shutil.copyfile("metrics.jsonl", part / "metrics.jsonl")
        write_json(part / "checkpoint.json", about)
    name = CHECKPOINTS / f"step-{about['step']}"
    write_folder(name, fill)
    for other in CHECKPOINTS.iterdir():
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
    dtype = handoff.settings.dtype
    parameters = dict(model.named_parameters(remove_duplicate=False))
    tensors = {name: value.cpu() for name, value in model.state_dict().items()
               if name not in parameters}  # buffers
    tensors |= {name: value.to(getattr(torch, dtype))
                for name, value in values.items()}
    model.save_pretrained(folder, state_dict=tensors)
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", config | {"dtype": dtype})
    for name in TOKENIZER_FILES:
        path = transformers.utils.cached_file(
            handoff.base, name, _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False)
        if path:
            shutil.copyfile(path, folder / name)


# The training.

def start_accelerator(handoff):
    sharded = os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
    if sharded:
        if handoff.load_in_4bit:
            raise Failure("--load-in-4bit does not go with FSDP. Start it with "
                          "torchrun: each process holds the base in 4 bits.")
        os.environ["FSDP_VERSION"] = "2"
        # Of a configuration for version 1: FULL_SHARD and the like.
        keep = os.environ.get("FSDP_RESHARD_AFTER_FORWARD", "true").lower() in (
            "false", "shard_grad_op", "no_shard", "no_reshard")
        os.environ["FSDP_RESHARD_AFTER_FORWARD"] = "false" if keep else "true"
        os.environ.setdefault("FSDP_AUTO_WRAP_POLICY", "TRANSFORMER_BASED_WRAP")
    accelerator = accelerate.Accelerator(
        mixed_precision="no", cpu=not torch.accelerator.is_available())
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != world:
        raise Failure(f"{world} processes were started, but accelerate found "
                      f"{accelerator.num_processes}. Start them with torchrun "
                      "or accelerate launch.")
    if sharded and accelerator.distributed_type != "FSDP":
        say("accelerate shares weights out (FSDP) over several GPUs alone; "
            "here each process holds them all.")
    elif sharded and handoff.settings.dtype == "bfloat16":
        # Gradients are summed in float32, as without shards.
        accelerator.state.fsdp_plugin.mixed_precision_policy = (
            torch.distributed.fsdp.MixedPrecisionPolicy(
                param_dtype=torch.bfloat16, reduce_dtype=torch.float32))
    if handoff.settings.dtype == "float32" and \
            accelerator.device.type == "cuda":
        torch.use_deterministic_algorithms(True)
    return accelerator


class Training:
    def __init__(self, handoff, attention):
        self.handoff, self.settings = handoff, handoff.settings
        self.asked_to_stop = self.at_work = False
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(name, self.on_signal)
        handoff.parse()
        path, about, state = read_checkpoint(handoff.identity) or [None] * 3
        self.accelerator = start_accelerator(handoff)
        self.is_main = self.accelerator.is_main_process
        if self.is_main:
            self.lock_folder()
        model, self.dropouts = build_model(handoff, attention,
                                           self.accelerator.device)
        self.model = Model(self.accelerator, model, self.settings)
        if path:  # before the first pass, of which FSDP keeps weights
            self.model.restore(state)
            say(f"goes on from {path}.")
        self.choose_packing()
        self.done = about["step"] if path else 0
        self.before = (about["held_back_before"] if path
                       else self.model.mean_loss(handoff.held_back))
        if self.is_main:
            if path:  # its own lines, without those of steps that were lost
                shutil.copyfile(path / "metrics.jsonl", "metrics.jsonl")
            self.metrics = open("metrics.jsonl", "a" if path else "w",
                                encoding="utf-8")

    def on_signal(self, *_):
        """Is noted, where there is a step that would be lost."""
        self.asked_to_stop = True
        if not self.at_work:
            sys.exit(INTERRUPTED)

    def lock_folder(self):
        self.lock = open("handoff.json", encoding="utf-8")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Failure(f"another process trains in {os.getcwd()}. Wait for "
                          "it; several of one training are started with "
                          "torchrun or accelerate launch.") from error
        except OSError:
            pass  # a file system without locks

    def choose_packing(self):
        samples = self.handoff.samples
        if self.model.pack_tokens > 1 and len(samples) > 1 and \
                not self.model.can_pack(samples):
            say("this model computes something else where samples share a "
                "pass, so each goes through it alone.")
            self.model.pack_tokens = 1
        say(f"{len(self.handoff.steps)} steps, {len(samples)} samples, "
            f"{self.settings.dtype} on {self.accelerator.num_processes} x "
            f"{self.accelerator.device.type}, packs of at most "
            f"{self.model.pack_tokens} tokens.")

    def run(self):
        last, every = len(self.handoff.steps), self.settings.checkpoint_steps
        self.at_work = True
        while self.done < last:
            self.take_step()
            stops = self.model.total(self.asked_to_stop) > 0
            if stops or every and (self.done % every == 0 or self.done == last):
                self.write_checkpoint()
            if stops:
                say(f"was asked to stop; step {self.done} is saved. Start it "
                    "again to go on.")
                return INTERRUPTED
        self.at_work = False
        self.finish()
        return 0

    def take_step(self):
        began, number = time.perf_counter(), self.done + 1
        step, samples = self.handoff.steps[self.done], self.handoff.samples
        # Dropout draws by step and process, whatever came before.
        torch.manual_seed(((self.settings.seed * 1_000_003 + number) * 4096
                           + self.accelerator.process_index) % 2**63)
        loss = self.model.backward(samples, step["samples"])
        norm = self.model.step(step["learning_rate"])
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise Failure(f"step {number}: the loss is {loss}, the norm of the "
                          f"gradient {norm}: nothing is learned from that. "
                          "Lower the learning rate, or look at the samples "
                          f"that steps.jsonl:{number} names.")
        self.done = number
        if self.is_main:
            tokens = sum(len(samples[i]) for i in step["samples"])
            self.metrics.write(json.dumps({
                "step": number, "loss": loss, "grad_norm": norm,
                "learning_rate": step["learning_rate"], "num_tokens": tokens,
                "tokens_per_s": tokens / (time.perf_counter() - began)}) + "\n")
            self.metrics.flush()

    def write_checkpoint(self):
        state = {"values": self.model.values(), "moments": self.model.moments()}
        if self.is_main:
            write_checkpoint({
                "step": self.done, "held_back_before": self.before,
                "identity": self.handoff.identity}, state)
        self.accelerator.wait_for_everyone()

    def finish(self):
        values = self.model.values()
        after = self.model.mean_loss(self.handoff.held_back)
        if self.is_main:
            inner, files = self.model.inner, self.handoff.files
            if self.settings.method == "lora":
                write_folder("adapter", lambda folder: save_adapter(
                    inner, values, folder))
            else:
                vars(inner.config).update(self.dropouts)
                write_folder("model", lambda folder: save_model(
                    inner, values, folder, self.handoff))
            write_json("result.json", {
                "format": RESULT_FORMAT, "steps": self.done,
                "held_back_before": self.before, "held_back_after": after,
                "samples_sha256": files["samples"]["sha256"],
                "steps_sha256": files["steps"]["sha256"],
                "world_size": self.accelerator.num_processes,
                "dtype": self.settings.dtype, "torch": torch.__version__,
                "transformers": transformers.__version__,
                "peft": peft.__version__})
            say(f"done, result.json is written. Loss of what was held back: "
                f"{self.before} before, {after} after.")
        self.accelerator.wait_for_everyone()


def train():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default=".")
    parser.add_argument("--load-in-4bit", action="store_true",
                        help="hold the frozen base in 4 bits (QLoRA)")
    parser.add_argument("--attention", metavar="NAME", help="transformers' "
                        "attn_implementation, such as flash_attention_2")
    args = parser.parse_args()
    os.chdir(args.folder)
    handoff = Handoff(args.load_in_4bit)
    if args.load_in_4bit and handoff.settings.method == "full":
        raise Failure("--load-in-4bit trains an adapter, but handoff.json "
                      "asks for all weights (training.method full).")
    if args.load_in_4bit and not transformers.utils.is_bitsandbytes_available():
        raise Failure("--load-in-4bit needs bitsandbytes, which is not there "
                      "or does not work: pip install bitsandbytes")
    if handoff.is_finished():
        say("result.json is there: this is finished, nothing is to be done.")
        return 0
    transformers.utils.logging.disable_progress_bar()
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

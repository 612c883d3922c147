# SPDX-License-Identifier: Apache-2.0
"""Holds `selfalign export --model` against the programs that it is made for.

  check_export.py --selfalign build/selfalign --base MODEL --adapter FOLDER \
      --out FOLDER [--only llama_cpp]

MODEL is an HF folder or a GGUF file, the adapter a PEFT folder for it (a run's
RUN/verbose/adapter). All exports are made in --out, which must be empty or not
there yet. What selfalign itself says of base and adapter is held against

  transformers   the merged folder: log-probabilities, within --tolerance
  PEFT           AutoPeftModelForCausalLM on the adapter's folder: the same
  gguf           its reader on every type: names, shapes and values, and the
                 bytes of Q8_0 and Q4_0 against its quantisation
  llama.cpp      (llama_cpp or xllamacpp) the GGUF file in F32: the same text
                 when the most probable token is always taken
  vLLM           the adapter's folder: log-probabilities

A program that is not installed is skipped, aloud. Exits with 1 where something
differs. Needs nothing to be downloaded.
"""

import argparse
import importlib.util
import json
import pathlib
import subprocess
import sys

import checks

TEXTS = [("The tide comes in", " twice a day, because the moon pulls water."),
         ("1. Wash the apples.\n2.", " Cut them into 12 pieces;\n3. Eat.\n"),
         ("Q: Is it safe?\nA:", " \"No\", she said – not for €5, not ever…")]
PROMPTS = ["The three largest cities of France are", "def add(a, b):\n",
           "A list of things to take to a picnic:\n1."]
NUM_TOKENS = 24


class Skipped(Exception):
    pass


def need(*modules):
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise Skipped(f"{module} is not installed")


class Exports:
    """The program's own answers, and what it exports."""

    def __init__(self, args):
        self.args = args
        self.out = pathlib.Path(args.out)
        self.out.mkdir(parents=True, exist_ok=True)
        if any(self.out.iterdir()):
            sys.exit(f"{self.out}: expected an empty folder")

    def run(self, *words, lines=None):
        made = subprocess.run(
            [self.args.selfalign, *map(str, words)], text=True,
            input=lines, capture_output=True, check=False)
        if made.returncode != 0:
            raise RuntimeError(made.stderr.strip())
        return made.stdout

    def export(self, name, *words, adapter=True):
        folder = self.out / name
        if not folder.exists():
            own = ["--adapter", self.args.adapter] if adapter else []
            self.run("export", self.args.base, *own, *words,
                     "--output", folder)
        return folder

    def model(self):
        return ["--model", self.args.base, "--adapter", self.args.adapter,
                "--device", "cpu", "--dtype", "float32"]

    def scores(self):
        """Token ids and log-probabilities of the texts' ends."""
        lines = "".join(json.dumps({"context": a, "continuations": [b]}) + "\n"
                        for a, b in TEXTS)
        out = self.run("score", *self.model(), lines=lines)
        rows = [json.loads(line)["continuations"][0]
                for line in out.splitlines()]
        return [(row["tokens"], row["logprobs"]) for row in rows]

    def greedy(self):
        lines = "".join(json.dumps({
            "prompt": prompt, "temperature": 0, "max_tokens": NUM_TOKENS,
            "ban_eos": True}) + "\n" for prompt in PROMPTS)
        out = self.run("generate", *self.model(), "--form", "raw", lines=lines)
        return [json.loads(line)["text"] for line in out.splitlines()]


def base_folder(exports):
    """An HF folder of the base: itself, or an export."""
    if pathlib.Path(exports.args.base).is_dir():
        return pathlib.Path(exports.args.base).resolve()
    return exports.export("base", "--model", "merged", adapter=False).resolve()


def hold_scores(exports, tokenizer, logprobs_of):
    """`logprobs_of`: [token, vocabulary] of a list of ids."""
    worst = 0.0
    for (head, tail), (ids, want) in zip(TEXTS, exports.scores()):
        whole = tokenizer(head + tail)["input_ids"]
        checks.expect(whole[-len(ids):] == ids, (whole, ids))
        found = logprobs_of(whole)
        first = len(whole) - len(ids)
        for place, (token, value) in enumerate(zip(ids, want), first):
            worst = max(worst, abs(float(found[place - 1][token]) - value))
    checks.expect(worst <= exports.args.tolerance, worst)
    return f"off by {worst:.1e} at most"


def logprobs_with(model):
    import torch

    def logprobs(ids):
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0].float()
        return torch.log_softmax(logits, -1)
    return logprobs


@checks.check
def transformers_reads_the_merged_folder(exports):
    need("torch", "transformers")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    folder = exports.export("merged", "--model", "merged", "--type", "f32")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    checks.expect(tokenizer.chat_template is not None, None)
    said = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Why?"}], tokenize=False,
        add_generation_prompt=True)
    checks.expect("Why?" in said, said)
    return hold_scores(exports, tokenizer, logprobs_with(model.eval()))


@checks.check
def peft_finds_the_base_and_loads_the_adapter(exports):
    need("torch", "transformers", "peft")
    import torch
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoTokenizer
    base = base_folder(exports)
    folder = exports.export("adapter", "--model", "adapter", "--base-name",
                            base)
    model = AutoPeftModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return hold_scores(exports, tokenizer, logprobs_with(model.eval()))


@checks.check
def gguf_reads_every_type(exports):
    need("gguf", "numpy")
    import gguf
    import numpy as np

    def tensors(name):
        folder = exports.export(name, "--model", "gguf", "--type",
                                name.removeprefix("gguf-"))
        reader = gguf.GGUFReader(folder / f"{name}.gguf")
        template = reader.get_field("tokenizer.chat_template")
        checks.expect(template is not None, None)
        return {tensor.name: tensor for tensor in reader.tensors}

    exact = tensors("gguf-f32")
    counts = {}
    for name in ("gguf-f16", "gguf-bf16", "gguf-q8_0", "gguf-q4_0"):
        for tensor in tensors(name).values():
            want = exact[tensor.name]
            checks.expect(list(tensor.shape) == list(want.shape), tensor.name)
            kind = tensor.tensor_type
            values = np.asarray(want.data, dtype=np.float32)
            made = gguf.quants.quantize(values, kind)
            checks.expect(made.tobytes() == tensor.data.tobytes(), tensor.name)
            counts[kind.name] = counts.get(kind.name, 0) + 1
    return ", ".join(f"{n} {name}" for name, n in counts.items())


@checks.check
def llama_cpp_writes_the_same_text(exports):
    file = exports.export("gguf-f32", "--model", "gguf", "--type", "f32")
    path = str(file / "gguf-f32.gguf")
    if importlib.util.find_spec("llama_cpp"):
        import llama_cpp
        llama = llama_cpp.Llama(path, n_ctx=512, verbose=False)

        def complete(prompt):
            return llama.create_completion(
                prompt, max_tokens=NUM_TOKENS, temperature=0,
                repeat_penalty=1.0)["choices"][0]["text"]
    elif importlib.util.find_spec("xllamacpp"):
        import xllamacpp
        params = xllamacpp.CommonParams()
        params.model.path = path
        params.n_ctx = 2048
        params.warmup = False
        server = xllamacpp.Server(params)

        def complete(prompt):
            reply = server.handle_completions({
                "prompt": prompt, "max_tokens": NUM_TOKENS, "temperature": 0,
                "repeat_penalty": 1.0})
            return (reply if isinstance(reply, dict)
                    else json.loads(reply))["choices"][0]["text"]
    else:
        raise Skipped("neither llama_cpp nor xllamacpp is installed")
    for prompt, want in zip(PROMPTS, exports.greedy()):
        found = complete(prompt)
        # An end-of-text token ends the one and is banned in the other.
        checks.expect(found == want or (found and want.startswith(found)),
                      (found, want))
    return f"{len(PROMPTS)} texts of {NUM_TOKENS} tokens"


@checks.check
def vllm_serves_the_adapter(exports):
    need("vllm")
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest
    folder = exports.export("adapter", "--model", "adapter", "--base-name",
                            base_folder(exports))
    config = json.loads((folder / "adapter_config.json").read_text())
    model = LLM(config["base_model_name_or_path"], dtype="float32",
                enable_lora=True, max_lora_rank=max(8, config["r"]),
                tokenizer=str(folder), max_model_len=512)
    tokenizer = model.get_tokenizer()

    def logprobs(ids):
        out = model.generate(
            {"prompt_token_ids": ids},
            SamplingParams(max_tokens=1, prompt_logprobs=0),
            lora_request=LoRARequest("adapter", 1, str(folder)))
        rows = out[0].prompt_logprobs[1:]
        return [{token: at.logprob for token, at in row.items()}
                for row in rows]
    return hold_scores(exports, tokenizer, logprobs)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--selfalign", required=True)
    parser.add_argument("--base", required=True)
    parser.add_argument("--adapter", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--only", default="", help="a part of a check's name")
    args = parser.parse_args()
    exports = Exports(args)
    failed = 0
    for function in checks.CHECKS:
        if args.only not in function.__name__:
            continue

        def work(function=function):
            try:
                return function(exports)
            except Skipped as why:
                return f"SKIPPED: {why}"
        failed += not checks.run_check(function.__name__, work)
    return failed > 0

if __name__ == "__main__":
    sys.exit(main())

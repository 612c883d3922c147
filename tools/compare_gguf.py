# SPDX-License-Identifier: Apache-2.0
"""Holds our reading of GGUF architectures against llama.cpp's converter and
transformers: makes tiny models of every family (those of
make_golden_families.py), lets convert_hf_to_gguf.py's classes write them as
GGUF in float32, and compares the log-probabilities that `selfalign score` gives
with transformers'. Prints one line a model; ends with 1 where one differs.

usage: compare_gguf.py SELFALIGN LLAMA_CPP_FOLDER OUT_DIR [NAME_PART]
(transformers, peft, gguf; the folder is a checkout or the vendor/llama.cpp of
llama-cpp-python's source package)
"""
import json
import os
import pathlib
import subprocess
import sys

import torch

import make_golden_families as families

# What llama.cpp's files do not say, so that neither it nor we can know.
LOST = {
    "llama_gelu": "the activation",
    "llama_yarn_mscale": "the scale of attention",
    "mistral_window": "the window", "qwen2_window": "the window",
    "starcoder2_window": "the window",
    "gemma2": "query_pre_attn_scalar", "gemma3": "query_pre_attn_scalar",
    "gemma3_linear": "query_pre_attn_scalar",
    "smollm3": "which layers do not rotate",
    "gpt_neox": "", "gpt_neox_serial": "",
}
# The same families as their published models are, where LOST would differ.
MORE = {
    "gemma2_published": ("Gemma2", dict(
        head_dim=16, query_pre_attn_scalar=16, sliding_window=12,
        **families.rope())),
    "gemma3_published": ("Gemma3:Gemma3TextConfig:Gemma3ForCausalLM", dict(
        head_dim=16, query_pre_attn_scalar=16, sliding_window=12,
        layer_types=["sliding_attention"] * 3)),
    "smollm3_published": ("SmolLM3", dict(
        num_hidden_layers=5, no_rope_layer_interval=4,
        **families.rope(theta=2e6))),
    "gpt_neox_old": ("GPTNeoX", {}),
    "gpt_neox_serial_old": ("GPTNeoX", dict(use_parallel_residual=False)),
}
TEXTS = ["<|endoftext|>"] + [chr(c) for c in range(33, 127)] + ["\u0120"]


def set_vocab(self):
    """One token a character, and the one merge that a file must have."""
    tokens, twice = list(TEXTS), TEXTS[3]
    tokens[2] = 2 * twice  # an id that no text of ours has
    writer = self.gguf_writer
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] + [1] * (len(tokens) - 1))
    writer.add_token_merges([twice + " " + twice])
    writer.add_eos_token_id(0)


def write_hf(name, spec, changes, folder):
    """The folder of a model; its ids and log-probabilities."""
    golden = families.make(name, spec, changes, folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["torch_dtype"] = "float32"
    if spec == "GPTNeoX":  # as published files spell it
        config["rotary_pct"] = config["rope_parameters"].get(
            "partial_rotary_factor", 0.25)
        config["rotary_emb_base"] = 10000
    path.write_text(json.dumps(config))
    # Gemma 3's class counts its entries.
    (folder / "tokenizer.json").write_text(json.dumps(
        {"model": {"vocab": {text: i for i, text in enumerate(TEXTS)}},
         "added_tokens": []}))
    return golden["ids"], golden["logprobs"]


def score(program, path, ids):
    text = "".join(TEXTS[i] for i in ids).replace("\u0120", " ")
    asked = {"context": text[:1], "continuations": [text[1:]]}
    run = subprocess.run(
        [program, "-q", "score", "--model", str(path), "--dtype", "float32",
         "--max-context", "96"],
        input=json.dumps(asked) + "\n", capture_output=True, text=True)
    if run.returncode:
        return None, run.stderr.strip()
    found = json.loads(run.stdout.split("\n")[0])["continuations"][0]
    if found["tokens"] != ids[1:]:
        return None, "other tokens"
    return found["logprobs"], ""


def main(program, llama_cpp, out, part=""):
    sys.path[:0] = [llama_cpp, os.path.join(llama_cpp, "gguf-py")]
    import gguf
    from conversion import get_model_class
    torch.set_num_threads(1)
    failed = False
    for name, (spec, changes) in {**families.CASES, **MORE}.items():
        if part not in name or name in LOST:
            continue
        folder = pathlib.Path(out, name)
        ids, want = write_hf(name, spec, changes, folder)
        config = json.loads((folder / "config.json").read_text())
        path = folder / "model.gguf"
        try:
            model_class = get_model_class(config["architectures"][0])
            model_class.set_vocab = set_vocab
            model = model_class(folder, gguf.LlamaFileType.ALL_F32, path)
            # transformers 5 has it under another name than the converter.
            model.hparams.setdefault("rotary_pct", config.get("rotary_pct"))
            model.write()
        except Exception as error:  # the converter's, of any kind
            print(name, "NOT CONVERTED", str(error)[:80])
            continue
        found, problem = score(program, path, ids)
        if found is None:
            print(name, "NOT READ", problem[-160:])
            failed = True
            continue
        worst = max(abs(a - b) for a, b in zip(found, want))
        failed = failed or worst > 2e-3
        print(name, "EQUAL" if worst <= 2e-3 else "DIFFERS", f"{worst:.6f}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])

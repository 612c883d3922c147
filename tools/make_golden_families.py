# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/families: what transformers computes with tiny models of
every family and variant, float32, on one thread. Weights are not kept: each is
made of its tensor's name, here and in tests/golden/families_test.cc alike. Run
once, by hand; the tests read only its output.

usage: make_golden_families.py OUT_DIR [NAME_PART]   (transformers 5, peft)
"""
import json
import os
import sys

import numpy as np
import peft
import torch
import transformers

torch.set_num_threads(1)
NUM_TOKENS = 72
NUM_PROMPT = 20  # tokens without loss
BASE = dict(
    vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128,
    bos_token_id=0, eos_token_id=0, pad_token_id=None)


def rope(kind="default", theta=10000.0, **more):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": theta, **more}}


LLAMA3 = rope("llama3", 500000.0, factor=8.0, low_freq_factor=1.0,
              high_freq_factor=4.0, original_max_position_embeddings=32)
SHORT, LONG = [1.0, 1.1, 1.2, 1.3], [1.5, 2.0, 2.5, 3.0]


def longrope(original, **more):
    # With the original context over the text's length the short factors hold.
    return {"original_max_position_embeddings": original,
            **rope("longrope", short_factor=SHORT, long_factor=LONG,
                   original_max_position_embeddings=original, **more)}


CASES = {
    "llama2": ("Llama", dict(num_key_value_heads=4, **rope())),
    "llama3": ("Llama", dict(tie_word_embeddings=True, **LLAMA3)),
    "llama_attention_bias": ("Llama", dict(attention_bias=True, **rope())),
    "llama_mlp_bias": ("Llama", dict(mlp_bias=True, **rope())),
    "llama_gelu": ("Llama", dict(hidden_act="gelu", **rope())),
    "llama_head_dim": ("Llama", dict(head_dim=16, **rope())),
    "llama_linear": ("Llama", rope("linear", factor=4.0)),
    "llama_dynamic": ("Llama", rope("dynamic", factor=4.0)),
    "llama_yarn": ("Llama", rope("yarn", factor=4.0,
                                 original_max_position_embeddings=32)),
    "llama_yarn_mscale": ("Llama", rope(
        "yarn", factor=4.0, original_max_position_embeddings=32, beta_fast=16.0,
        beta_slow=2.0, mscale=0.7, mscale_all_dim=0.4)),
    "mistral": ("Mistral", dict(sliding_window=None, **rope(theta=1e6))),
    "mistral_window": ("Mistral", dict(sliding_window=12, **rope())),
    "qwen2": ("Qwen2", dict(tie_word_embeddings=True, **rope(theta=1e6))),
    "qwen2_window": ("Qwen2", dict(
        use_sliding_window=True, sliding_window=12, max_window_layers=1,
        **rope(theta=1e6))),
    "qwen3": ("Qwen3", dict(head_dim=16, **rope(theta=1e6))),
    "gemma": ("Gemma", dict(head_dim=16, **rope())),
    "gemma2": ("Gemma2", dict(head_dim=16, sliding_window=12, **rope())),
    "gemma3": ("Gemma3:Gemma3TextConfig:Gemma3ForCausalLM", dict(
        head_dim=16, sliding_window=12,
        layer_types=["sliding_attention", "full_attention",
                     "sliding_attention"])),
    "gemma3_linear": ("Gemma3:Gemma3TextConfig:Gemma3ForCausalLM", dict(
        head_dim=16, sliding_window=12,
        layer_types=["sliding_attention", "full_attention",
                     "sliding_attention"],
        rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 8.0,
                               "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default",
                                  "rope_theta": 1e4}})),
    "phi3": ("Phi3", rope()),
    "phi3_window": ("Phi3", dict(sliding_window=12, **rope())),
    "phi3_longrope_short": ("Phi3", longrope(100)),
    "phi3_longrope_long": ("Phi3", longrope(16)),
    "phi4_partial": ("Phi3", dict(
        hidden_size=64, tie_word_embeddings=True,
        **rope(partial_rotary_factor=0.75))),
    "gpt_neox": ("GPTNeoX", {}),
    "gpt_neox_serial": ("GPTNeoX", dict(
        use_parallel_residual=False,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0,
                         "partial_rotary_factor": 1.0})),
    "olmo2": ("Olmo2", rope(theta=5e5)),
    "olmo3": ("Olmo3", dict(
        sliding_window=12,
        layer_types=["sliding_attention", "full_attention",
                     "sliding_attention"],
        **rope(theta=5e5))),
    "smollm3": ("SmolLM3", dict(no_rope_layer_interval=2, **rope(theta=2e6))),
    "granite": ("Granite", dict(
        embedding_multiplier=12.0, attention_multiplier=0.1,
        residual_multiplier=0.22, logits_scaling=8.0, **rope())),
    "starcoder2": ("Starcoder2", rope()),
    "starcoder2_window": ("Starcoder2", dict(sliding_window=12, **rope())),
    "stablelm": ("StableLm", rope(partial_rotary_factor=0.25)),
    "stablelm_parallel": ("StableLm", dict(
        use_parallel_residual=True, use_qkv_bias=True, qk_layernorm=True,
        **rope(partial_rotary_factor=0.5))),
    "arcee": ("Arcee", rope()),
    "seed_oss": ("SeedOss", dict(head_dim=8, **rope(theta=1e6))),
}


def values(name, shape, base, scale):
    """Of a tensor: base + scale * u, u from -1 to 1 by splitmix64."""
    seed = 14695981039346656037
    for byte in name.encode():
        seed = ((seed ^ byte) * 1099511628211) % 2**64
    n = int(np.prod(shape))
    with np.errstate(over="ignore"):
        x = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(
            0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    u = (x >> np.uint64(40)).astype(np.float32) / np.float32(2**23) - np.float32(1)
    made = np.float32(base) + np.float32(scale) * u
    return torch.from_numpy(made.reshape(shape))


def how(name, parameter):
    """Base and scale of a tensor's values."""
    if parameter.ndim >= 2:
        embeds = "embed" in name and "embed_out" not in name
        fan = 1 if embeds else parameter.shape[-1]
        return 0.0, round((1.7 if embeds else 2.5) / fan**0.5, 4)
    if name.endswith("bias"):
        return 0.0, 0.5
    return float(parameter.detach().float().mean().round()), 0.5


def classes(spec):
    if ":" in spec:
        _, config, model = spec.split(":")
        return getattr(transformers, config), getattr(transformers, model)
    return (getattr(transformers, spec + "Config"),
            getattr(transformers, spec + "ForCausalLM"))


def make(name, spec, changes, folder=None):
    """A case; its model is saved to `folder` if one is given."""
    config_class, model_class = classes(spec)
    arguments = {**BASE, **changes}
    if spec == "GPTNeoX":
        del arguments["num_key_value_heads"]
    config = config_class(**arguments)
    config._attn_implementation = "eager"
    model = model_class(config).eval()
    tensors = []
    with torch.no_grad():
        for tensor, parameter in model.named_parameters():
            base, scale = how(tensor, parameter)
            tensors.append([tensor, list(parameter.shape), base, scale])
            parameter.copy_(values(*tensors[-1]))
    if folder is not None:
        model.save_pretrained(folder)
    ids = [(i * i + 7 * i) % 95 + 1 for i in range(NUM_TOKENS)]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    logprobs = torch.log_softmax(logits.double(), -1)
    written = json.loads(config.to_json_string(use_diff=True))
    written["architectures"] = [model_class.__name__]
    for key in ("transformers_version", "dtype", "use_cache",
                "_attn_implementation"):
        written.pop(key, None)
    return {
        "config": written,
        "tensors": tensors,
        "ids": ids,
        "logprobs": [round(float(logprobs[i, ids[i + 1]]), 5)
                     for i in range(NUM_TOKENS - 1)],
        "full": full_step(model, ids),
        "lora": lora_step(model, ids),
    }


def response_loss(model, ids):
    """Of the tokens behind the prompt."""
    logits = model(torch.tensor([ids])).logits[0, NUM_PROMPT - 1:-1]
    return torch.nn.functional.cross_entropy(
        logits, torch.tensor(ids[NUM_PROMPT:]), reduction="sum")


def probed(name, grad):
    """One number of a gradient: its product with values of its own."""
    probe = values("probe " + name, list(grad.shape), 0.0, 1.0).double()
    return float(f"{float((grad.double() * probe).sum()):.6g}")


def full_step(model, ids):
    """The loss and the gradients of all weights."""
    loss = response_loss(model, ids)
    loss.backward()
    gradients = {name: probed(name, parameter.grad)
                 for name, parameter in model.named_parameters()}
    model.zero_grad()
    return {"loss": round(loss.item(), 4), "gradients": gradients}


def lora_step(model, ids):
    """An adapter of PEFT's on all linear layers: its tensors, the loss and the
    gradients."""
    adapted = peft.get_peft_model(model, peft.LoraConfig(
        r=2, lora_alpha=3, target_modules="all-linear"))
    config = adapted.peft_config["default"]
    tensors, gradients = [], {}
    parameters = dict(adapted.named_parameters())
    for name, parameter in parameters.items():
        if "lora_" in name:
            saved = name.replace(".default", "")
            tensors.append([saved, list(parameter.shape), 0.0, 0.3])
            with torch.no_grad():
                parameter.copy_(values(*tensors[-1]))
    loss = response_loss(adapted, ids)
    loss.backward()
    for name, _, _, _ in tensors:
        gradients[name] = probed(
            name, parameters[name.replace(".weight", ".default.weight")].grad)
    return {"targets": sorted(config.target_modules), "tensors": tensors,
            "loss": round(loss.item(), 4), "gradients": gradients}


def main(out, part=""):
    os.makedirs(out, exist_ok=True)
    for name, (spec, changes) in CASES.items():
        if part not in name:
            continue
        case = make(name, spec, changes)
        with open(os.path.join(out, name + ".json"), "w") as f:
            f.write("{\n" + ",\n".join(
                json.dumps(key) + ": " + json.dumps(value)
                for key, value in case.items()) + "\n}\n")
        print(name, sum(case["logprobs"]))


if __name__ == "__main__":
    main(*sys.argv[1:])

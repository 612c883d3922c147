# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/tiny_llama: a tiny random LLaMA and what PyTorch,
transformers and PEFT compute with it (logits, loss, LoRA gradients, ten AdamW
steps). Run once, by hand; the tests read only its output.

usage: make_golden_train.py OUT_DIR      (torch 2.11, transformers, peft)
"""
import json
import math
import pathlib
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.trainer_pt_utils import get_parameter_names

LENGTHS = [(17, 6), (9, 1), (24, 11), (5, 4), (13, 5), (20, 14)]
STEPS, WARMUP, RATE, DECAY, CLIP = 10, 3, 2e-2, 0.01, 1.0
FULL_RATE = 3e-3
RANK, ALPHA = 4, 8
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj"]


def tiny_model():
    config = LlamaConfig(
        vocab_size=256, hidden_size=64, intermediate_size=96,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, max_position_embeddings=128, rms_norm_eps=1e-5,
        rope_theta=10000.0, tie_word_embeddings=True, attention_bias=False,
        bos_token_id=None, eos_token_id=0)
    model = LlamaForCausalLM(config).float().eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            # Values that bfloat16 holds exactly, so the file can be small.
            if name.endswith("norm.weight"):
                p.copy_((1 + 0.2 * torch.randn_like(p)).bfloat16().float())
            else:
                p.copy_((0.12 * torch.randn_like(p)).bfloat16().float())
    return model


def save_model(model, out):
    tensors = {k: v.bfloat16().contiguous()
               for k, v in model.state_dict().items() if k != "lm_head.weight"}
    save_file(tensors, out / "model.safetensors", {"format": "pt"})
    config = model.config.to_dict()
    config.setdefault("rope_theta", 10000.0)
    keep = ["vocab_size", "hidden_size", "intermediate_size",
            "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
            "head_dim", "max_position_embeddings", "rms_norm_eps",
            "rope_theta", "tie_word_embeddings", "attention_bias",
            "hidden_act", "model_type", "eos_token_id"]
    small = {k: config[k] for k in keep}
    small["architectures"] = ["LlamaForCausalLM"]
    small["torch_dtype"] = "bfloat16"
    (out / "config.json").write_text(json.dumps(small, indent=1) + "\n")


def rounded(tensor):
    return json.loads(json.dumps(tensor.tolist()),
                      parse_float=lambda s: float(f"{float(s):.7g}"))


def batch_loss(model, samples):
    """Mean over the response tokens of all samples, each run alone."""
    total, count = 0.0, 0
    for sample in samples:
        ids = torch.tensor([sample["tokens"]])
        start = max(1, sample["prompt_length"])
        logits = model(input_ids=ids).logits[0, start - 1:-1]
        total = total + torch.nn.functional.cross_entropy(
            logits, ids[0, start:], reduction="sum")
        count += ids.shape[1] - start
    return total / count


def rate_at(step):
    if step < WARMUP:
        return RATE * math.log(step + 1) / math.log(WARMUP)
    return RATE * (STEPS - step) / (STEPS - WARMUP)


def adapter_state(peft_model, of):
    return {name.replace(".default", ""): of(p).detach().clone().contiguous()
            for name, p in peft_model.named_parameters() if p.requires_grad}


def save_adapter(peft_model, out):
    folder = out / "adapter"
    peft_model.save_pretrained(str(folder))
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["target_modules"].sort()  # a set there: its order varies
    path.write_text(json.dumps(config, indent=1) + "\n")


def full_steps(folder, samples):
    """All weights, decaying in the groups that transformers' Trainer makes."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    decays = get_parameter_names(model, [torch.nn.LayerNorm],
                                 ["bias", "layernorm", "rmsnorm",
                                  r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)"])
    named = list(model.named_parameters())
    optimizer = torch.optim.AdamW([
        {"params": [p for n, p in named if n in decays], "weight_decay": DECAY},
        {"params": [p for n, p in named if n not in decays],
         "weight_decay": 0.0}], lr=FULL_RATE, betas=(0.9, 0.999), eps=1e-8)
    losses, norms = [], []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step) * FULL_RATE / RATE
        optimizer.zero_grad()
        loss = batch_loss(model, samples)
        losses.append(loss.item())
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(
            model.parameters(), CLIP).item())
        optimizer.step()
    with torch.no_grad():
        losses.append(batch_loss(model, samples).item())
    return {"learning_rate": FULL_RATE, "losses": losses, "norms": norms,
            "not_decayed": [n for n, _ in named if n not in decays],
            "sums": {n: [p.double().sum().item(), p.double().abs().sum().item()]
                     for n, p in named}}


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(20240623)
    torch.set_num_threads(1)
    model = tiny_model()
    save_model(model, out)

    ids = torch.randint(0, 256, (2, 12))
    with torch.no_grad():
        logits = model(input_ids=ids).logits
    (out / "golden.json").write_text(json.dumps(
        {"ids": ids.tolist(), "logits": rounded(logits)},
        separators=(",", ":")) + "\n")

    samples = [{"tokens": torch.randint(0, 256, (n,)).tolist(),
                "prompt_length": p} for n, p in LENGTHS]
    peft_model = get_peft_model(model, LoraConfig(
        r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=TARGETS,
        task_type="CAUSAL_LM"))
    peft_model.peft_config["default"].base_model_name_or_path = "tiny_llama"
    params = [p for p in peft_model.parameters() if p.requires_grad]
    with torch.no_grad():
        base_loss = batch_loss(model_without(peft_model), samples).item()
        for p in params:
            p.copy_(0.15 * torch.randn_like(p))
    save_adapter(peft_model, out)
    with torch.no_grad():
        adapter_logits = peft_model(input_ids=ids[:1]).logits[0, -1]

    optimizer = torch.optim.AdamW(params, lr=RATE, betas=(0.9, 0.999),
                                  eps=1e-8, weight_decay=DECAY)
    losses, norms = [], []
    for step in range(STEPS):
        loss = batch_loss(peft_model, samples)
        loss.backward()
        if step == 0:
            save_file(adapter_state(peft_model, lambda p: p.grad),
                      out / "gradients.safetensors")
        norms.append(torch.nn.utils.clip_grad_norm_(params, CLIP).item())
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    with torch.no_grad():
        final_loss = batch_loss(peft_model, samples).item()
    (out / "training.json").write_text(json.dumps({
        "samples": samples, "rank": RANK, "alpha": ALPHA, "steps": STEPS,
        "warmup_steps": WARMUP, "learning_rate": RATE, "weight_decay": DECAY,
        "max_grad_norm": CLIP, "base_loss": base_loss, "losses": losses,
        "grad_norms": norms, "final_loss": final_loss,
        "adapter_last_logits": rounded(adapter_logits)},
        separators=(",", ":")) + "\n")
    (out / "full_training.json").write_text(
        json.dumps(full_steps(out, samples), separators=(",", ":")) + "\n")
    print("losses", losses, "norms", norms, "final", final_loss)


class model_without:
    """Calls the model with the adapter switched off."""

    def __init__(self, peft_model):
        self.model = peft_model

    def __call__(self, **arguments):
        with self.model.disable_adapter():
            return self.model(**arguments)


if __name__ == "__main__":
    main()

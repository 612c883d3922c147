# SPDX-License-Identifier: Apache-2.0
"""Reference continuations of the base model by transformers in float32.

usage: make_golden_smollm2.py MODEL.gguf OUT.json
needs: torch, transformers, gguf (a throw-away virtual environment)
"""
import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPTS = [
    "The capital of France is",
    "Once upon a time, in a small village by the sea,",
    "def fibonacci(n):\n",
    "Water boils at",
    "The three states of matter are",
    "User: What is the largest planet?\n\nAssistant:",
    "1. Apples\n2. Pears\n3.",
    "In the year 1969, humans first",
    "Dear Ms. Alvarez,\n\nThank you for",
    "Q: What is 12 + 30?\nA:",
]
NEW_TOKENS = 32

path, out = sys.argv[1:3]
folder, name = os.path.split(os.path.abspath(path))
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
model = AutoModelForCausalLM.from_pretrained(
    folder, gguf_file=name, dtype=torch.float32).eval()
cases = []
for prompt in PROMPTS:
    ids = tokenizer(prompt, add_special_tokens=False).input_ids
    tokens, gaps = [], []
    with torch.inference_mode():
        x, cache = torch.tensor([ids]), None
        for _ in range(NEW_TOKENS):
            result = model(x, past_key_values=cache, use_cache=True)
            cache = result.past_key_values
            top = torch.topk(result.logits[0, -1], 2)
            tokens.append(int(top.indices[0]))
            gaps.append(round(float(top.values[0] - top.values[1]), 4))
            x = torch.tensor([[tokens[-1]]])
    # How close the runner-up came: rounding may decide below about 1e-3.
    cases.append({"prompt": prompt, "ids": ids, "tokens": tokens,
                  "smallest_gap": min(gaps)})
with open(out, "w") as f:
    json.dump({"new_tokens": NEW_TOKENS, "cases": cases}, f, indent=1)
    f.write("\n")

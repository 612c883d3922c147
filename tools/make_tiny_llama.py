"""An HF folder with a small random LLaMA in float32 around a tokenizer.

usage: make_tiny_llama.py TOKENIZER_FOLDER FOLDER
For cross_check.py --hf on tokenizers whose models are too large to be at hand.
The tokenizer's files (tokenizer.model, tokenizer.json and what stands beside
them) are copied as they are. The weights are of a fixed seed and wide enough
that log-probabilities differ by whole units.
needs: torch, transformers, sentencepiece (a throw-away virtual environment)
"""

import json
import pathlib
import shutil
import sys

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

TOKENIZER_FILES = ("tokenizer.model", "tokenizer.json", "tokenizer_config.json",
                   "added_tokens.json", "special_tokens_map.json")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, folder = map(pathlib.Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        if (source / name).exists():
            shutil.copy(source / name, folder)
    settings = folder / "tokenizer_config.json"
    if not settings.exists():  # as LLaMA's repositories have it
        settings.write_text(json.dumps({
            "tokenizer_class": "LlamaTokenizer", "add_bos_token": True,
            "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
            "legacy": True}))
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=32000, hidden_size=64, intermediate_size=128,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=4096, initializer_range=0.2)
    config.save_pretrained(folder)  # says what kind of tokenizer it is
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config.vocab_size = len(tokenizer)
    config.bos_token_id = tokenizer.bos_token_id
    config.eos_token_id = tokenizer.eos_token_id
    LlamaForCausalLM(config).float().save_pretrained(folder)


if __name__ == "__main__":
    main()

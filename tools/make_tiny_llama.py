# SPDX-License-Identifier: Apache-2.0
"""An HF folder with a small random LLaMA in float32 around a tokenizer.

usage: make_tiny_llama.py TOKENIZER_FOLDER FOLDER
For cross_check.py --hf on tokenizers whose models are too large to be at hand.
The tokenizer's files (tokenizer.model, tokenizer.json and what stands beside
them) are copied as they are; a lone tokenizer.model gets the tokenizer.json and
the tokenizer_config.json of LLaMA's repositories, since transformers would else
leave out BOS and the order of merges. The weights are of a fixed seed and wide enough
that log-probabilities differ by whole units.
needs: torch, transformers, sentencepiece (a throw-away virtual environment)
"""

import json
import pathlib
import shutil
import sys

import sentencepiece
import torch
from tokenizers import (AddedToken, Tokenizer, decoders, models,
                        pre_tokenizers, processors)
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

TOKENIZER_FILES = ("tokenizer.model", "tokenizer.json", "tokenizer_config.json",
                   "added_tokens.json", "special_tokens_map.json")


def merges_of(pieces):
    """Pairs that join to a piece, by its score, {piece: (id, score)}."""
    found = []
    for piece, (_, score) in pieces.items():
        halves = [(piece[:i], piece[i:]) for i in range(1, len(piece))]
        found += [(-score, pieces[left][0], pieces[right][0], left, right)
                  for left, right in halves
                  if left in pieces and right in pieces]
    return [(left, right) for *_, left, right in sorted(found)]


def add_fast_tokenizer(folder):
    model = sentencepiece.SentencePieceProcessor(
        model_file=str(folder / "tokenizer.model"))
    pieces = {model.id_to_piece(i): (i, model.get_score(i))
              for i in range(model.vocab_size())}
    fast = Tokenizer(models.BPE(
        {piece: i for piece, (i, _) in pieces.items()}, merges_of(pieces),
        unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    fast.pre_tokenizer = pre_tokenizers.Metaspace(
        prepend_scheme="always", split=False)
    fast.decoder = decoders.Sequence([
        decoders.Replace("\u2581", " "), decoders.ByteFallback(),
        decoders.Fuse(), decoders.Strip(content=" ", left=1)])
    fast.add_special_tokens([
        AddedToken(text, special=True, normalized=False)
        for text in ("<unk>", "<s>", "</s>")])
    fast.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", fast.token_to_id("<s>"))])
    fast.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "LlamaTokenizer", "add_bos_token": True,
        "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
        "legacy": True}))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, folder = map(pathlib.Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        if (source / name).exists():
            shutil.copy(source / name, folder)
    if not (folder / "tokenizer.json").exists():
        add_fast_tokenizer(folder)
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

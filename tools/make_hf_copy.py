# SPDX-License-Identifier: Apache-2.0
"""An HF folder with the weights and the tokenizer of a GGUF file, in float32.

usage: make_hf_copy.py MODEL.gguf FOLDER
For cross_check.py --hf: transformers then computes with the same numbers. The
tokenizer is byte-level BPE after the GGUF's pre-tokenizer ("smollm": every
digit apart, then GPT-2's pattern); other kinds are refused.
needs: torch, transformers, gguf (a throw-away virtual environment)
"""

import os
import sys

import torch
from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

CONTROL, USER_DEFINED = 3, 4  # kinds of tokens


def read_tokenizer(path):
    reader = GGUFReader(path)

    def value(name):
        field = reader.get_field("tokenizer.ggml." + name)
        return None if field is None else field.contents()

    if (value("model"), value("pre")) != ("gpt2", "smollm"):
        sys.exit(f"{path}: expected tokenizer gpt2 with pre-tokenizer smollm, "
                 f"found {value('model')}, {value('pre')}")
    tokens = value("tokens")
    merges = [tuple(merge.split(" ")) for merge in value("merges")]
    tokenizer = Tokenizer(models.BPE(
        {token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    kinds = value("token_type")
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False)
         for token, kind in zip(tokens, kinds) if kind == CONTROL])
    tokenizer.add_tokens(
        [AddedToken(token, normalized=False)
         for token, kind in zip(tokens, kinds) if kind == USER_DEFINED])
    eos = tokens[value("eos_token_id")]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=eos)


def main():
    path, out = sys.argv[1:3]
    folder, name = os.path.split(os.path.abspath(path))
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name,
                                                 dtype=torch.float32)
    del model.config.quantization_config
    model.is_quantized, model.hf_quantizer = False, None
    model.quantization_method = None
    model.save_pretrained(out)
    read_tokenizer(path).save_pretrained(out)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""How fast a peer scores choices, as lm-eval would have it do that.

  score_peer.py transformers|vllm MODEL REQUESTS [float32|bfloat16]

REQUESTS: JSON lines of a context and continuations, as `selfalign score` reads them.
Every pair of both is a text of its own; transformers takes 16 of a like length at once,
vLLM what its scheduler likes, with its cache of prefixes where prompt_logprobs leave it
on. Prints the seconds of all, after a first text that warms up, and a mean
log-probability, which must be the other's, too.
"""

import json
import os
import sys
import time

BATCH = 16


def read_pairs(path, tokenizer):
    pairs = []
    for line in open(path, encoding="utf-8"):
        request = json.loads(line)
        context = tokenizer(request["context"])["input_ids"]
        for text in request["continuations"]:
            ids = tokenizer(request["context"] + text)["input_ids"]
            pairs.append((ids, len(context)))
    return pairs


def by_transformers(model, pairs, dtype):
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    net = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype))

    @torch.inference_mode()
    def score(batch):
        longest = max(len(ids) for ids, _ in batch)
        tokens = torch.zeros(len(batch), longest, dtype=torch.long)
        mask = torch.zeros_like(tokens)
        for row, (ids, _) in enumerate(batch):
            tokens[row, :len(ids)] = torch.tensor(ids)
            mask[row, :len(ids)] = 1
        logits = net(input_ids=tokens, attention_mask=mask).logits
        sums = []
        for row, (ids, begin) in enumerate(batch):
            logp = torch.log_softmax(logits[row, begin - 1:len(ids) - 1].float(), -1)
            sums.append(logp.gather(1, tokens[row, begin:len(ids)].unsqueeze(1)).sum().item())
        return sums

    score(pairs[:1])
    begin = time.time()
    ordered = sorted(pairs, key=lambda pair: -len(pair[0]))
    sums = [x for i in range(0, len(ordered), BATCH) for x in score(ordered[i:i + BATCH])]
    return sums, time.time() - begin


def by_vllm(model, pairs, dtype):
    from vllm import LLM, SamplingParams

    engine = LLM(model, dtype=dtype, max_model_len=2048, max_num_seqs=64,
                 max_num_batched_tokens=2048, enable_prefix_caching=True, block_size=32,
                 seed=0, disable_log_stats=True, enforce_eager=True)
    sampling = SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=0)

    def score(batch):
        outputs = engine.generate([{"prompt_token_ids": ids} for ids, _ in batch], sampling,
                                  use_tqdm=False)
        return [sum(next(iter(at.values())).logprob for at in out.prompt_logprobs[begin:])
                for out, (_, begin) in zip(outputs, batch)]

    score(pairs[:1])
    begin = time.time()
    sums = score(pairs)
    return sums, time.time() - begin


def main():
    kind, model, requests = sys.argv[1:4]
    dtype = sys.argv[4] if len(sys.argv) > 4 else "bfloat16"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    from transformers import AutoTokenizer

    pairs = read_pairs(requests, AutoTokenizer.from_pretrained(model))
    sums, seconds = (by_vllm if kind == "vllm" else by_transformers)(model, pairs, dtype)
    tokens = sum(len(ids) - begin for ids, begin in pairs)
    print(f"scored {len(pairs)} texts in {seconds:.2f} s, mean {sum(sums) / tokens:.4f}")


if __name__ == "__main__":
    main()

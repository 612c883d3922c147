# SPDX-License-Identifier: Apache-2.0
"""Adapters that servers load by their own calls, against the same adapters here.

  check_adapters.py --base FOLDER --adapter FOLDER --out FOLDER [--options TEXT]

FOLDER is an HF folder of a small LLaMA and a PEFT adapter of its attention (a run's
RUN/engraved/adapter). `vllm` is started with --enable-lora, `llama-server` with the
adapter as a GGUF file, which this writes (it needs gguf, numpy, safetensors), where
they are on the PATH. What selfalign asks of each with --adapter must be what the
model here says with it: the most probable tokens that follow a text, and their
log-probabilities; and without --adapter what the base says. Ends with 77 where no
server is there.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.request

import checks

ROOT = pathlib.Path(__file__).resolve().parent.parent
PORT = 8171
TEXT = ("The river begins high up in the mountains, where the snow melts in spring, and "
        "runs down through woods and past small towns until it meets the sea. People "
        "have lived beside it for thousands of years: they catch fish, water their "
        "fields, and send boats with wood and stone down to the harbor.")
SKIPPED = 77


def parse_flags():
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--base", type=pathlib.Path, required=True)
    flags.add_argument("--adapter", type=pathlib.Path, required=True)
    flags.add_argument("--out", type=pathlib.Path, required=True)
    flags.add_argument("--options", default="", help="of vllm")
    flags.add_argument("--selfalign", type=pathlib.Path,
                       default=ROOT / "build/selfalign")
    return flags.parse_args()


def next_tokens(flags, model, adapter):
    """The most probable token after each of some beginnings, and its logarithm."""
    words = TEXT.split(" ")
    lines = [json.dumps({"prompt": " ".join(words[:n]), "key": n, "temperature": 0,
                         "max_tokens": 1, "logprobs": True})
             for n in range(4, len(words), 2)]
    command = [flags.selfalign, "generate", "--model", model, "--form", "raw"]
    if adapter:
        command += ["--adapter", flags.adapter]
    if not str(model).startswith("http"):
        command += ["--dtype", "float32"]
    done = subprocess.run(command, input="\n".join(lines), text=True,
                          capture_output=True)
    checks.expect(done.returncode == 0, done.stderr[-600:])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [(row["text"], sum(row["token_logprobs"])) for row in rows]


def distance(ours, theirs):
    """Share of equal tokens; mean difference in nats where they are equal."""
    same = [(a[1], b[1]) for a, b in zip(ours, theirs) if a[0] == b[0]]
    apart = sum(abs(a - b) for a, b in same) / max(1, len(same))
    return len(same) / len(ours), apart


def permuted(weight, heads):
    """Rows of q and k as llama.cpp has them: halves of a head beside each other."""
    rows = weight.shape[0]
    return (weight.reshape(heads, 2, rows // heads // 2, -1)
            .swapaxes(1, 2).reshape(weight.shape))


def write_gguf(flags, path):
    import gguf
    import numpy
    import safetensors.numpy

    config = json.loads((flags.base / "config.json").read_text())
    lora = json.loads((flags.adapter / "adapter_config.json").read_text())
    tensors = safetensors.numpy.load_file(flags.adapter / "adapter_model.safetensors")
    names = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v",
             "o_proj": "attn_output", "gate_proj": "ffn_gate", "up_proj": "ffn_up",
             "down_proj": "ffn_down"}
    heads = {"q_proj": config["num_attention_heads"],
             "k_proj": config["num_key_value_heads"]}
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(lora["lora_alpha"]))
    for name, tensor in tensors.items():
        parts = name.split(".")
        layer, module, side = parts[parts.index("layers") + 1], parts[-3], parts[-2]
        tensor = tensor.astype(numpy.float32)
        if side == "lora_B" and module in heads:
            tensor = permuted(tensor, heads[module])
        writer.add_tensor(f"blk.{layer}.{names[module]}.weight.{side.lower()}",
                          numpy.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Server:
    """A server that is ended when this is left."""

    def __init__(self, flags, name, command, env=None):
        self.log = (flags.out / f"{name}.log").open("w")
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=self.log, start_new_session=True,
            env={**os.environ, **(env or {})})

    def __enter__(self):
        for _ in range(600):
            checks.expect(self.process.poll() is None, self.log.name)
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health"):
                    return self
            except OSError:
                time.sleep(1)
        raise AssertionError(f"no answer in ten minutes; see {self.log.name}")

    def __exit__(self, *_):
        os.killpg(self.process.pid, 15)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)


def hold(flags, here):
    """What the server at PORT says, with the adapter and without."""
    url = f"http://127.0.0.1:{PORT}/v1"
    for adapter in (False, True, False):
        found = next_tokens(flags, url, adapter)
        same, apart = distance(here[adapter], found)
        _, other = distance(here[not adapter], found)
        what, not_it = ("adapter", "base") if adapter else ("base", "adapter")
        print(f"   {what}: {same:.0%} of the tokens, {apart:.3f} nats apart; "
              f"from the {not_it} {other:.3f}", flush=True)
        checks.expect(same > 0.85 and apart < 0.1 and apart < other / 2,
                      (same, apart, other))


def vllm(flags, here):
    command = ["vllm", "serve", flags.base, "--host", "127.0.0.1", "--port", str(PORT),
               "--enable-lora", "--max-lora-rank", "64", *flags.options.split()]
    with Server(flags, "vllm", command,
                {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}):
        hold(flags, here)


def refused_name(flags):
    """The name by which a server without the adapter is asked for it."""
    done = subprocess.run(
        [flags.selfalign, "generate", "--model", f"http://127.0.0.1:{PORT}/v1",
         "--adapter", flags.adapter], input="", capture_output=True, text=True)
    found = re.search(r"whose name holds (\S+),", done.stderr)
    checks.expect(done.returncode == 1 and found, done.stderr)
    return found[1]


def llama_server(flags, here):
    base = flags.out / "gguf"
    subprocess.run([flags.selfalign, "export", flags.base, "--model", "gguf", "--type",
                    "bf16", "--output", base], check=True, capture_output=True)
    command = ["llama-server", "-m", next(base.glob("*.gguf")), "--host", "127.0.0.1",
               "--port", str(PORT)]
    with Server(flags, "llama-server", command):
        lora = flags.out / f"{refused_name(flags)}.gguf"
    write_gguf(flags, lora)
    command += ["--lora", lora, "--lora-init-without-apply"]
    with Server(flags, "llama-server", command):
        hold(flags, here)


def main():
    flags = parse_flags()
    flags.out.mkdir(parents=True)
    servers = {"vllm": vllm, "llama-server": llama_server}
    there = {name: work for name, work in servers.items() if shutil.which(name)}
    for name in servers.keys() - there.keys():
        print(f"skipped: there is no {name}")
    if not there:
        sys.exit(SKIPPED)
    here = {adapter: next_tokens(flags, flags.base, adapter)
            for adapter in (False, True)}
    good = [checks.run_check(name, lambda work=work: work(flags, here))
            for name, work in there.items()]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()

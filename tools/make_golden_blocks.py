# SPDX-License-Identifier: Apache-2.0
"""Random blocks of ggml's types and what gguf's reference makes of them, to the
bit. Run once, by hand; formats_test reads only its output.

usage: make_golden_blocks.py OUT.json      (numpy, gguf)
"""
import json
import sys

import gguf
import numpy as np

# Where the half-precision scales of a block stand.
SCALES = {"Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2),
          "Q8_0": (0,), "Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2),
          "Q5_K": (0, 2), "Q6_K": (208,), "IQ4_NL": (0,), "IQ4_XS": (0,)}

random = np.random.default_rng(1)
cases = {}
for name, places in SCALES.items():
    kind = gguf.GGMLQuantizationType[name]
    size, count = gguf.GGML_QUANT_SIZES[kind]
    num_blocks = max(1, 256 // size)
    blocks = random.integers(0, 256, (num_blocks, count), dtype=np.uint8)
    for place in places:
        scales = random.normal(size=num_blocks).astype(np.float16)
        blocks[:, place:place + 2] = scales.view(np.uint8).reshape(-1, 2)
    values = gguf.quants.dequantize(blocks, kind).astype("<f4")
    cases[name] = {"blocks": blocks.tobytes().hex(),
                   "values": values.tobytes().hex()}
with open(sys.argv[1], "w") as f:
    f.write("{\n" + ",\n".join(
        f"{json.dumps(name)}: {json.dumps(case)}"
        for name, case in cases.items()) + "\n}\n")

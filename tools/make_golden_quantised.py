# SPDX-License-Identifier: Apache-2.0
"""Blocks of numbers and what gguf's reference quantises them to, to the bit. Run
once, by hand; formats_test reads only its output.

usage: make_golden_quantised.py OUT.json      (numpy, gguf)
"""
import json
import sys

import gguf
import numpy as np

random = np.random.default_rng(2)
rows = [random.normal(size=32) * scale for scale in (1e-6, 0.02, 1.0, 3e4)]
rows.append(np.zeros(32))
rows.append(np.where(np.arange(32) == 5, -7.25, 0.0))
# The largest size twice, with both signs: the first decides.
rows.append(np.where(np.arange(32) % 16 == 3, 2.0, -2.0) * (np.arange(32) > 2))
# Places half-way between two codes.
rows.append((np.arange(32) - 16) / 8.0)
rows.append(np.concatenate([[127.0], np.arange(31) / 2.0]))
rows += [random.uniform(-1, 1, 32) for _ in range(7)]
# Where a fused multiply-add would give other codes than two roundings.
most = random.uniform(0.1, 2.0, 4000).astype(np.float32)
inverse = np.float32(1) / (most / np.float32(-8))
beside = np.nextafter(np.float32(4.5) / inverse, np.float32(0))
fused = np.trunc((beside.astype(np.float64) * inverse + 8.5).astype(np.float32))
apart = np.trunc(beside * inverse + np.float32(8.5))
differ = np.nonzero(fused != apart)[0][:3]
assert len(differ) == 3
rows += [np.where(np.arange(32) == 9, most[i], beside[i]) for i in differ]
values = np.array(rows, dtype=np.float32)
golden = {"values": values.astype("<f4").tobytes().hex()}
for name in ("Q8_0", "Q4_0"):
    kind = gguf.GGMLQuantizationType[name]
    golden[name] = gguf.quants.quantize(values, kind).tobytes().hex()
with open(sys.argv[1], "w") as f:
    f.write("{\n" + ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}"
                               for key, value in golden.items()) + "\n}\n")

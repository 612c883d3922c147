#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/smollm_tokenizer.json: what HF's `tokenizers` library says
about 10,000 lines of mixed text under SmolLM2's vocabulary.

    make_tokenizer_lines.py MODEL.gguf OUT.json [--lines LINES.jsonl]

The tokenizer is put together from the GGUF file's vocabulary and merges, with
the pre-tokenizers that the name `smollm` stands for. Line i is a chain of
fragments that splitmix64 picks, so that the file holds the fragments, the ids
of the first lines, and a digest of the ids per block of lines; the test makes
the same lines. --lines writes all lines with their ids, to look for a
difference by hand. Needs: gguf, tokenizers.
"""
import argparse
import json
import random
import unicodedata

import gguf
import tokenizers
from tokenizers import models, pre_tokenizers

NUM_LINES = 10_000
BLOCK = 100
NUM_STORED = 150
MASK = (1 << 64) - 1

PROSE = """
The quick answer is no, but it depends on what you'd call quick.
I'm sure they've said we'll go, he'd stay, it's hers, don't ask; DON'T, WE'VE!
Please summarise the following paragraph in two sentences (at most 40 words).
Der Fuß tut weh, die Straße ist naß; übergrößte Äpfel für 3,50 € je Stück.
L'été dernier, où étais-tu ? Ça m'a coûté cher, très cher, à Noël.
El niño pidió ¿qué hora es? ¡Mañana será otro día!
Zażółć gęślą jaźń. Příliš žluťoučký kůň. Çok güzel, İstanbul'da ığdır.
Съешь ещё этих мягких булок, да выпей чаю. Българският език, ћирилица.
Η γρήγορη αλεπού πηδάει πάνω από τον σκύλο. Ὦ ἄνδρες.
今天天气很好，我们去公园散步吧。繁體中文「引號」也行。
昨日はラーメンを食べました。カタカナとひらがな、ｶﾀｶﾅ。
오늘은 날씨가 좋습니다. 한국어 문장입니다.
كيف حالك اليوم؟ السَّلامُ عَلَيْكُم ١٢٣٤
שלום עולם, מה שלומך היום? בְּרֵאשִׁית
नमस्ते दुनिया, आप कैसे हैं? १२३४
আমি বাংলায় গান গাই। தமிழ் மொழி ௧௨௩
สวัสดีชาวโลก วันนี้อากาศดี ๑๒๓
Tiếng Việt có nhiều dấu thanh điệu. Ẹ kú àárọ̀ o.
""".split()

CODE = """
def|main():|return|self.x|for (int i = 0; i < n; ++i) {|std::vector<int>|}}
if __name__ == "__main__":|#include <stdio.h>|const auto& x = y[0];|=>|!==|===
SELECT * FROM t WHERE id = 42;|<div class="a">|</div>|{"key": [1, 2.5e-3]}
https://example.org/path?q=1&r=%20#top|a@b.example|C:\\Users\\x|$HOME/.config
fn f<T: Ord>(t: &mut T) -> Result<(), E>|lambda x: x**2|\\frac{1}{2}|$$x_i^2$$
// ----- comment|# === title ===|```python|```|/* x */|@decorator|snake_case_name
CamelCaseName|SCREAMING_CASE|0x7fff_ffff|0b1010|1e-9|3.14159|v2.0.1|x86_64|utf8
!!!|???|...|----------|==========|~~~|&&|||__|::|->|<<=|'''|\"\"\"|``''|«»|“”‘’|…
""".replace("\n", "|").split("|")

NUMBERS = ["0", "7", "42", "007", "1984", "65,536", "1,000,000", "3.5%", "-1",
           "½", "²", "①", "Ⅻ", "٣٤", "१०", "𝟙𝟚", "10:45", "2024-06-23",
           "1234567890123", "99999", "0.1", "1/3", "№5", "n°1", "１２"]

EMOJI = ["😀", "👍🏽", "👩\u200d👩\u200d👧", "🏳️\u200d🌈", "🇩🇪🇯🇵", "❤️", "☃", "✅", "🦙.cpp",
         "1️⃣", "🧑🏿\u200d🚀", "♟", "⚠️!", "🤷\u200d♂️", "🫠", "🪿"]

SPACES = [" ", " ", " ", " ", "  ", "   ", "    ", "        ", "\t", "\t\t",
          "\n", "\n\n", "\r\n", " \n", "\n ", "\n    ", " \t ", "\u00a0",
          "\u2003", "\u3000", "\u200b", "\u2028", "\u0085", "\u180e", "\ufeff",
          "\v", "\f", "\x1f", " " * 17, "\n" * 5]

MARKS = ["e\u0301", "a\u0308\u0304", "o\u0328\u0301", "n\u0303", "\u0301",
         "Z̷̢a̸͇l̶̰g̵̖o̸̝", "q\u20dd", "ก็", "ക്ഷ", "각", "ﬁ", "Å", "Ω", "ǆ", "ß", "ſ",
         "'ſ", "İ", "ŉ", "'\u017f", "x\u0338", "\ufe0f"]

SPECIAL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<repo_name>",
           "<|im_start", "|>", "<|im_end|><|im_end|>", "<filename>"]


def random_fragments(rng):
    """Characters of all kinds, and random bytes made valid."""
    out = []
    ranges = [(0x00, 0x80), (0x80, 0x250), (0x250, 0x800), (0x800, 0x3000),
              (0x3000, 0xA000), (0xA000, 0xD800), (0xE000, 0x10000),
              (0x10000, 0x11800), (0x11800, 0x20000), (0x20000, 0x32000),
              (0xE0000, 0xE0200)]
    for low, high in ranges * 24:
        chars = [chr(rng.randrange(low, high)) for _ in range(rng.randint(1, 4))]
        out.append("".join(chars))
    named = [c for c in range(0x30000)
             if unicodedata.category(chr(c))[0] in "LNMZP"
             and not 0x3400 <= c < 0xD7A4 and c < 0x17000]
    out += [chr(rng.choice(named)) + rng.choice(["", "a", "1", " ", "'s"])
            for _ in range(200)]
    for _ in range(60):
        noise = bytes(rng.randrange(256) for _ in range(rng.randint(2, 8)))
        out.append(noise.decode("utf-8", errors="replace"))
    return out


def make_fragments():
    rng = random.Random(20240623)
    words = [w + s for w in PROSE for s in ("", " ")]
    words += [" " + w for w in PROSE if rng.random() < 0.5]
    code = [c for c in CODE if c]
    fragments = (words + code * 2 + NUMBERS * 3 + EMOJI * 3 + SPACES * 5 +
                 MARKS * 3 + SPECIAL * 2 + random_fragments(rng))
    rng.shuffle(fragments)
    return fragments


def splitmix64(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def make_line(i, fragments):
    count = 1 + splitmix64(64 * i) % 24
    return "".join(fragments[splitmix64(64 * i + j) % len(fragments)]
                   for j in range(1, count + 1))


def build_tokenizer(path):
    reader = gguf.GGUFReader(path)

    def field(name):
        return reader.fields[f"tokenizer.ggml.{name}"].contents()

    assert (field("model"), field("pre")) == ("gpt2", "smollm")
    tokens = field("tokens")
    merges = [tuple(m.split(" ")) for m in field("merges")]
    out = tokenizers.Tokenizer(
        models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    out.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    control = [t for t, kind in zip(tokens, field("token_type")) if kind == 3]
    out.add_special_tokens(control)
    assert out.get_vocab_size() == len(tokens)
    return out


def digest(blocks_ids):
    """FNV-1a, 64 bits, over count and ids of each line, 4 bytes each."""
    h = 0xCBF29CE484222325
    for ids in blocks_ids:
        for number in [len(ids)] + ids:
            for byte in number.to_bytes(4, "little"):
                h = ((h ^ byte) * 0x100000001B3) & MASK
    return f"{h:016x}"


def digests(ids):
    return [digest(ids[i:i + BLOCK]) for i in range(0, len(ids), BLOCK)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--lines")
    args = parser.parse_args()
    tokenizer = build_tokenizer(args.model)
    fragments = make_fragments()
    lines = [make_line(i, fragments) for i in range(NUM_LINES)]
    special = [tokenizer.encode(line).ids for line in lines]
    tokenizer.encode_special_tokens = True
    plain = [tokenizer.encode(line).ids for line in lines]
    golden = {
        "made_by": f"tools/make_tokenizer_lines.py, tokenizers "
                   f"{tokenizers.__version__}",
        "num_lines": NUM_LINES,
        "block": BLOCK,
        "special_digests": digests(special),
        "plain_digests": digests(plain),
        "first_lines": [{"text": t, "special": s, "plain": p} for t, s, p in
                        zip(lines[:NUM_STORED], special, plain)],
        "fragments": fragments,
    }
    with open(args.out, "w", encoding="utf-8") as file:
        json.dump(golden, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")
    if args.lines:
        with open(args.lines, "w", encoding="utf-8") as file:
            for line, s, p in zip(lines, special, plain):
                file.write(json.dumps({"text": line, "special": s,
                                       "plain": p}) + "\n")


if __name__ == "__main__":
    main()

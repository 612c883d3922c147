#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds `selfalign tokenize` against the libraries that wrote the formats.

usage: compare_tokenizers.py BINARY FOLDER [--strings N] [--kind NAME]...
                             [--speed MEGABYTES] [--long] [--code-points]
       compare_tokenizers.py --golden tests/data/tokenizers

Trains small tokenizers of each kind with `tokenizers` and `sentencepiece`, in
the spellings of the families, into FOLDER, and compares ids and decoded text
of N generated strings. --speed compares times on one thread, --long how the
time of hostile texts grows, --code-points what every step makes of every
character there is. --golden writes what the tests read: still smaller
ones, and what the libraries make of some strings.
"""
import argparse
import json
import os
import pathlib
import random
import resource
import subprocess
import sys
import tempfile
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import sentencepiece as spm
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models,
                        normalizers, pre_tokenizers, processors, trainers)

MARK = "\u2581"
SPECIAL = ["<unk>", "<s>", "</s>"]
SIZE = 3000  # of vocabularies
# Rules for a small normalisation table: code points, and what they become.
RULES = None
SMALL_RULES = ["FF21\t41", "FB01\t66 69", "41 30A\tC5", "2460\t31", "9\t20",
               "A\t20", "200B\t", "E9\t65", "2028\t20", "1F1E9 1F1EA\t44 45"]


def corpus():
    """Text of several kinds that every machine has: licences, this repository,
    and made sentences of other scripts."""
    lines = []
    roots = [pathlib.Path("/usr/share/common-licenses"),
             pathlib.Path(__file__).resolve().parent.parent / "docs",
             pathlib.Path(__file__).resolve().parent.parent / "src/text"]
    for root in roots:
        for path in sorted(root.glob("*"))[:30]:
            if path.is_file():
                text = path.read_text(encoding="utf8", errors="ignore")
                lines += text.split("\n")
    draw = random.Random(1)
    words = ["стол", "мир", "привет", "новый", "день", "日本", "語", "中文",
             "文字", "測試", "한국", "말", "안녕", "مرحبا", "عالم", "שלום",
             "नमस्ते", "हिन्दी", "ไทย", "ça", "être", "über", "naïve", "señor",
             "coöperate", "½", "２０２４", "ﬁne", "①", "Å", "😀", "👍🏽", "🇩🇪"]
    for _ in range(3000):
        lines.append(" ".join(draw.choices(words, k=draw.randint(2, 12))))
    return [line for line in lines if line.strip()]


# -- generated strings ------------------------------------------------------
ALPHABETS = [
    [chr(c) for c in range(0x20, 0x7F)],
    list("  \t\n\r\v\f\u00a0\u3000\u200b\u200d\u2028\u0085\u1680"),
    [chr(c) for c in range(0xA1, 0x250)],
    [chr(c) for c in range(0x300, 0x370)],
    [chr(c) for c in range(0x370, 0x530)],
    [chr(c) for c in range(0x590, 0x700)],
    [chr(c) for c in range(0x900, 0xE80)],
    [chr(c) for c in range(0x1100, 0x1200)],
    [chr(c) for c in range(0x2000, 0x2BFF)],
    [chr(c) for c in range(0x3040, 0x3100)],
    [chr(c) for c in range(0x4E00, 0x4F00)],
    [chr(c) for c in range(0xAC00, 0xAD00)],
    [chr(c) for c in range(0xF900, 0xFFFE)],
    [chr(c) for c in range(0x1F300, 0x1F6FF)] + list("\u200d\ufe0f"),
    [chr(c) for c in range(0x1F1E6, 0x1F200)],
    [chr(c) for c in range(0, 0x20)] + [chr(c) for c in range(0x7F, 0xA0)],
    [MARK],
]


def make_strings(number, lines, extra, seed=7):
    draw = random.Random(seed)
    out = []
    words = [w for line in lines[:4000] for w in line.split()]

    def part():
        kind = draw.random()
        if kind < 0.3:
            return draw.choice(words)
        if kind < 0.4:
            return " " * draw.choice([1, 1, 1, 2, 3, 4, 8, 17])
        if kind < 0.5:
            return " " + draw.choice(words)
        if kind < 0.58 and extra:
            return draw.choice(extra)
        if kind < 0.62:
            return str(draw.randrange(10 ** draw.randint(1, 9)))
        if kind < 0.66:
            return draw.choice(["'s", "'LL", "'Re", "\n", "\n\n", "\r\n", "\t",
                                "a" * draw.randint(1, 40), "...", "--", "!?",
                                "<0x0A>", "<", ">", "s>", "[", "]"])
        if kind < 0.7:
            code = draw.randrange(0x110000)
            return "" if 0xD800 <= code < 0xE000 else chr(code)
        alphabet = draw.choice(ALPHABETS)
        return "".join(draw.choices(alphabet, k=draw.randint(1, 6)))

    for i in range(number):
        if i % 10 == 0:
            line = draw.choice(lines)
            out.append(line if i % 20 else "  " + line + " ")
        else:
            out.append("".join(part() for _ in range(draw.randint(1, 12))))
    return out


# -- tokenizers of the families ---------------------------------------------
def byte_level(lines, **options):
    t = Tokenizer(models.BPE(**options))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=SIZE, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


def char_bpe(lines, split=True):
    """A vocabulary as SentencePiece's BPE has it: bytes, then pieces."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True,
                             byte_fallback=True))
    t.normalizer = normalizers.Replace(" ", MARK)
    t.pre_tokenizer = pre_tokenizers.Metaspace(split=split)
    t.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=SIZE, show_progress=False, limit_alphabet=SIZE // 5,
        special_tokens=SPECIAL + [f"<0x{b:02X}>" for b in range(256)]))
    state = json.loads(t.to_str())
    state["added_tokens"] = []
    state["model"]["byte_fallback"] = True
    state["normalizer"] = state["pre_tokenizer"] = None
    t = Tokenizer.from_str(json.dumps(state))
    t.add_special_tokens([AddedToken(s, special=True, normalized=False)
                          for s in SPECIAL])
    return t


LLAMA_DECODER = [decoders.Replace(MARK, " "), decoders.ByteFallback(),
                 decoders.Fuse(), decoders.Strip(content=" ", left=1)]


def llama2(lines):
    t = char_bpe(lines)
    t.normalizer = normalizers.Sequence(
        [normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    t.decoder = decoders.Sequence(LLAMA_DECODER)
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)])
    return t


def llama2_metaspace(lines):
    t = char_bpe(lines)
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first",
                                               split=False)
    t.decoder = decoders.Sequence(LLAMA_DECODER)
    return t


def mistral(lines):
    t = llama2(lines)
    t.add_special_tokens([AddedToken(s, special=True, normalized=False)
                          for s in ("[INST]", "[/INST]")])
    t.add_tokens([AddedToken("<tool>", normalized=True),
                  AddedToken("word", normalized=True, single_word=True)])
    return t


def gemma(lines):
    t = char_bpe(lines)
    t.normalizer = normalizers.Replace(" ", MARK)
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.decoder = decoders.Sequence(LLAMA_DECODER[:3])
    t.add_special_tokens(["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"])
    t.add_tokens([AddedToken(s, normalized=False) for s in
                  ["\n" * n for n in range(2, 8)] +
                  [MARK * n for n in range(2, 8)] + ["<unused0>"]])
    return t


def phi3(lines):
    t = llama2(lines)
    t.add_special_tokens([AddedToken(s, rstrip=True, normalized=False,
                                     special=True) for s in
                          ("<|endoftext|>", "<|assistant|>", "<|user|>",
                           "<|end|>")])
    t.add_tokens([AddedToken("<|left|>", lstrip=True, normalized=False)])
    return t


def unigram(lines, byte_fallback=False):
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.NFKC()
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.train_from_iterator(lines, trainers.UnigramTrainer(
        vocab_size=SIZE, show_progress=False, unk_token="<unk>",
        special_tokens=["<pad>", "</s>", "<unk>"] +
        ([f"<0x{b:02X}>" for b in range(256)] if byte_fallback else [])))
    state = json.loads(t.to_str())
    state["added_tokens"] = [a for a in state["added_tokens"]
                             if not a["content"].startswith("<0x")]
    state["model"]["byte_fallback"] = byte_fallback
    return Tokenizer.from_str(json.dumps(state))


def charsmap(name="nmt_nfkc"):
    """What SentencePiece compiles for a rule of that name."""
    from sentencepiece import sentencepiece_model_pb2 as pb
    with tempfile.TemporaryDirectory() as folder:
        rules = dict(normalization_rule_name=name)
        if RULES:
            path = pathlib.Path(folder, "rules.tsv")
            path.write_text("".join(rule + "\n" for rule in RULES))
            rules = dict(normalization_rule_tsv=str(path))
        prefix = str(pathlib.Path(folder, "model"))
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c d e f g"] * 20), model_prefix=prefix,
            vocab_size=12, hard_vocab_limit=False, model_type="unigram",
            minloglevel=2, **rules)
        model = pb.ModelProto()
        model.ParseFromString(pathlib.Path(prefix + ".model").read_bytes())
        return model.normalizer_spec.precompiled_charsmap


def t5(lines):
    t = unigram(lines)
    t.normalizer = normalizers.Precompiled(charsmap())
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t.decoder = decoders.Metaspace()
    t.add_tokens(["<extra_id_0>", "<extra_id_1>"])
    t.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)])
    return t


def xglm(lines):
    t = unigram(lines)
    t.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(charsmap("nmt_nfkc_cf")),
         normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    t.decoder = decoders.Metaspace()
    return t


def albert(lines):
    t = unigram(lines)
    t.normalizer = normalizers.Sequence(
        [normalizers.Replace("``", '"'), normalizers.Replace("''", '"'),
         normalizers.NFKD(), normalizers.StripAccents(),
         normalizers.Lowercase(), normalizers.Precompiled(charsmap()),
         normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    t.decoder = decoders.Metaspace(prepend_scheme="first")
    return t


def t5_new(lines):
    t = unigram(lines)
    t.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(charsmap()),
         normalizers.Strip(left=False, right=True),
         normalizers.Replace(Regex(" {2,}"), MARK)])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first",
                                               split=False)
    t.decoder = decoders.Metaspace(prepend_scheme="first")
    return t


def unigram_bytes(lines):
    t = unigram(lines, byte_fallback=True)
    t.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(" ", MARK)])
    t.pre_tokenizer = None
    t.decoder = decoders.Sequence(LLAMA_DECODER[:3])
    return t


def split_pattern(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def with_steps(lines, *steps, **options):
    t = byte_level(lines, **options)
    t.pre_tokenizer = pre_tokenizers.Sequence(
        list(steps) +
        [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return t


SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = SHORT + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + TAIL
QWEN = SHORT + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + TAIL
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
SLASH = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEKKEN = (r"[^\r\n\p{L}\p{N}]?" + UPPER + "*" + LOWER + "+" +
          r"|[^\r\n\p{L}\p{N}]?" + UPPER + "+" + LOWER + r"*|\p{N}" + SLASH)
GPT4O = (r"[^\r\n\p{L}\p{N}]?" + UPPER + "*" + LOWER + "+" + SHORT + "?" +
         r"|[^\r\n\p{L}\p{N}]?" + UPPER + "+" + LOWER + "*" + SHORT +
         r"?|\p{N}{1,3}" + SLASH)
DEEPSEEK3 = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
             r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
             r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK_LETTERS = (
    r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-Ჺ"
    r"Ჽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\x{1F7D}ᾀ-ᾴᾶ-ᾼ\x{1FBE}ῂ-ῄῆ-ῌῐ-\x{1FD3}ῖ-\x{1FDB}\x{1FE0}-\x{1FEC}ῲ-ῴῶ-ῼℂℇℊ-ℓℕ"
    r"ℙ-ℝℤ\x{2126}ℨ\x{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ"
    r"𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+")


def deepseek_llm(lines):
    return with_steps(
        lines, split_pattern("[\r\n]"), split_pattern(DEEPSEEK_LETTERS),
        split_pattern(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"),
        split_pattern(r"\s+$"), split_pattern("[一-龥ࠀ-一가-퟿]+"),
        pre_tokenizers.Digits(True))


def deepseek3(lines):
    t = with_steps(lines, split_pattern(r"\p{N}{1,3}"),
                   split_pattern("[一-龥぀-ゟ゠-ヿ]+"), split_pattern(DEEPSEEK3))
    t.add_special_tokens(["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"])
    return t


def falcon(lines):
    t = byte_level(lines)
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Punctuation("contiguous"),
         pre_tokenizers.ByteLevel(add_prefix_space=False),
         pre_tokenizers.Digits(False),
         split_pattern("[0-9][0-9][0-9]")])
    return t


def falcon3(lines):
    return with_steps(
        lines, split_pattern(r"[\p{P}\p{S}]", "isolated"),
        pre_tokenizers.Punctuation("contiguous"), split_pattern(LLAMA3))


def qwen(lines):
    t = with_steps(lines, split_pattern(QWEN))
    t.normalizer = normalizers.NFC()
    t.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    return t


def byte_level_normalizer(lines):
    t = byte_level(lines)
    t.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.ByteLevel()])
    t.pre_tokenizer = split_pattern(r"Ġ?[^Ġ]+|Ġ+")
    t.add_tokens([AddedToken("ä b", normalized=True)])
    return t


def sets(lines):
    """Sets in sets, and intersections."""
    return with_steps(
        lines, split_pattern(r"[\p{L}&&[^a-e\p{Lu}]]+"),
        split_pattern(r"[^\s[0-9[!?]]\W]"),
        split_pattern(r"[[a-z]&&[^aeiou]]+|[\w&&\D&&\P{Han}]", "contiguous"),
        split_pattern(r"[\S&&[^\p{L}]]{1,2}+x"),
        split_pattern(r"(?=(\d{3})+(?!\d))"), split_pattern(r"\p{^P}\h+\b"))


def behaviors(lines):
    t = byte_level(lines)
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("merged_with_next"),
        pre_tokenizers.Punctuation("merged_with_previous"),
        split_pattern(r"[aeiou]", "merged_with_previous"),
        split_pattern(r"[xyz]*", "merged_with_next"),
        split_pattern(r"[\p{L} ]", "contiguous", True),
        split_pattern(r"q", "removed"),
        pre_tokenizers.CharDelimiterSplit("w"),
        pre_tokenizers.FixedLength(length=5),
        pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)])
    return t


def bert_words(lines):
    t = Tokenizer(models.BPE(unk_token="<unk>"))
    t.normalizer = normalizers.BertNormalizer(lowercase=False)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=SIZE, show_progress=False, limit_alphabet=SIZE // 5,
        special_tokens=["<unk>"]))
    t.decoder = decoders.Fuse()
    return t


def words(lines):
    t = bert_words(lines)
    t.normalizer = normalizers.Sequence(
        [normalizers.Strip(), normalizers.NFD(), normalizers.StripAccents(),
         normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()])
    return t


KINDS = {
    "llama2": llama2, "llama2_metaspace": llama2_metaspace, "mistral": mistral,
    "gemma": gemma, "phi3": phi3, "t5": t5, "t5_new": t5_new, "xglm": xglm,
    "albert": albert, "unigram_bytes": unigram_bytes,
    "gpt2": byte_level,
    "llama3": lambda lines: with_steps(lines, split_pattern(LLAMA3)),
    "qwen": qwen,
    "tekken": lambda lines: with_steps(lines, split_pattern(TEKKEN)),
    "gpt4o": lambda lines: with_steps(lines, split_pattern(GPT4O)),
    "deepseek_llm": deepseek_llm, "deepseek3": deepseek3, "falcon": falcon,
    "falcon3": falcon3, "byte_level_normalizer": byte_level_normalizer,
    "sets": sets, "behaviors": behaviors, "bert_words": bert_words,
    "words": words,
}


# -- SentencePiece's own files ----------------------------------------------
SPM_KINDS = {
    "spm_bpe_llama": dict(model_type="bpe", byte_fallback=True,
                          normalization_rule_name="identity",
                          remove_extra_whitespaces=False, split_digits=True),
    "spm_bpe_nfkc": dict(model_type="bpe"),
    "spm_bpe_user": dict(model_type="bpe", byte_fallback=True,
                         user_defined_symbols=["<user>", "  ", "ing", "ß"],
                         normalization_rule_name="nfkc"),
    "spm_unigram": dict(model_type="unigram"),
    "spm_unigram_bytes": dict(model_type="unigram", byte_fallback=True,
                              normalization_rule_name="identity",
                              remove_extra_whitespaces=False),
    "spm_unigram_user": dict(model_type="unigram",
                             normalization_rule_name="nmt_nfkc_cf",
                             user_defined_symbols=["<user>", "the", "  "]),
    "spm_unigram_plain": dict(model_type="unigram", add_dummy_prefix=False,
                              split_by_whitespace=False),
}


def train_spm(name, lines, folder):
    folder.mkdir(parents=True, exist_ok=True)
    prefix = str(folder / "tokenizer")
    options = dict(SPM_KINDS[name])
    if RULES and options.get("normalization_rule_name") != "identity":
        options.pop("normalization_rule_name", None)
        rules = folder / "rules.tsv"
        rules.write_text("".join(rule + "\n" for rule in RULES))
        options["normalization_rule_tsv"] = str(rules)
    if not os.path.exists(prefix + ".model"):
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_prefix=prefix, minloglevel=2,
            vocab_size=SIZE, hard_vocab_limit=False, character_coverage=0.98,
            max_sentence_length=100000, **options)
    return spm.SentencePieceProcessor(model_file=prefix + ".model")


# -- comparing --------------------------------------------------------------
def ours(binary, path, strings, *flags):
    run = subprocess.run(
        [binary, "tokenize", str(path), *flags], capture_output=True,
        input="".join(json.dumps(s) + "\n" for s in strings).encode())
    if run.returncode != 0:
        raise RuntimeError(run.stderr.decode()[-500:])
    return [json.loads(line) for line in run.stdout.split(b"\n") if line]


def show(kind, strings, made, wanted_ids, wanted_text):
    wrong_ids = [i for i, m in enumerate(made) if m["ids"] != wanted_ids[i]]
    wrong_text = [i for i, m in enumerate(made)
                  if m["decoded"] != wanted_text[i]]
    print(f"{kind:24} strings {len(strings)} ids differ {len(wrong_ids)} "
          f"text differs {len(wrong_text)}", flush=True)
    for i in wrong_ids[:3]:
        print("   ids of", ascii(strings[i]), "\n      ours ", made[i]["ids"],
              "\n      theirs", wanted_ids[i])
    for i in [i for i in wrong_text if i not in wrong_ids][:3]:
        print("   text of", ascii(strings[i]), "\n      ours ",
              ascii(made[i]["decoded"]), "\n      theirs",
              ascii(wanted_text[i]))
    return len(wrong_ids) + len(wrong_text)


def special_texts(t):
    return [a.content for a in t.get_added_tokens_decoder().values()]


def compare_kind(binary, kind, lines, folder, number):
    folder = folder / kind
    folder.mkdir(parents=True, exist_ok=True)
    if kind in SPM_KINDS:
        model = train_spm(kind, lines, folder)
        strings = make_strings(number, lines, ["<user>", "the", "ing"])
        ids = model.encode(strings)
        # There the text of a control piece is text.
        made = ours(binary, folder / "tokenizer.model", strings, "--plain")
        # Ours decodes bytes; a sentence's first space is the model's own.
        return show(kind, strings, made, ids, [model.decode(i) for i in ids])
    path = folder / "tokenizer.json"
    if not path.exists():
        KINDS[kind](lines).save(str(path))
    t = Tokenizer.from_file(str(path))
    strings = make_strings(number, lines, special_texts(t))
    ids = [t.encode(s, add_special_tokens=False).ids for s in strings]
    made = ours(binary, path, strings)
    text = [t.decode(i, skip_special_tokens=False) for i in ids]
    return show(kind, strings, made, ids, text)


def child_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def seconds_of(binary, path, data):
    before = child_seconds()
    subprocess.run([binary, "tokenize", str(path)], input=data,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return child_seconds() - before


def compare_speed(binary, kind, lines, folder, megabytes):
    is_spm = kind in SPM_KINDS
    path = folder / kind / ("tokenizer.model" if is_spm else "tokenizer.json")
    plain = [line for line in lines if len(line) > 20]
    draw = random.Random(3)
    texts, size = [], 0
    while size < megabytes * 1e6:
        texts.append("\n".join(draw.choices(plain, k=20)))
        size += len(texts[-1].encode())
    data = "".join(json.dumps(s) + "\n" for s in texts).encode()
    if is_spm:
        model = spm.SentencePieceProcessor(model_file=str(path))
        encode, decode = model.encode, model.decode
    else:
        t = Tokenizer.from_file(str(path))
        encode = lambda s: t.encode(s, add_special_tokens=False).ids
        decode = lambda i: t.decode(i, skip_special_tokens=False)
    best = {"ours": 1e9, "encode": 1e9, "same": 1e9}
    load = min(seconds_of(binary, path, b"") for _ in range(3))
    for _ in range(3):
        best["ours"] = min(best["ours"], seconds_of(binary, path, data) - load)
        begin = time.process_time()
        for s in texts:
            encode(s)
        best["encode"] = min(best["encode"], time.process_time() - begin)
        begin = time.process_time()
        for line in data.split(b"\n")[:-1]:
            i = encode(json.loads(line))
            json.dumps({"ids": i, "decoded": decode(i)})
        best["same"] = min(best["same"], time.process_time() - begin)
    print(f"{kind:24} {size / 1e6:.1f} MB, load {load:.2f} s, ours "
          f"{size / 1e6 / best['ours']:.1f} MB/s; same work "
          f"{best['same'] / best['ours']:.1f} times, ids only "
          f"{best['encode'] / best['ours']:.1f} times", flush=True)


LONG = {"a": "a", "space": " ", "mark": "\u0301", "emoji": "😀", "dot": ".",
        "newline": "\n", "digit": "7", "han": "中", "sixteenth": "\U0001E5F1",
        "space mark": MARK, "unknown": "\u0378", "word": "the ", "ab": "ab"}


def compare_long(binary, kind, folder):
    is_spm = kind in SPM_KINDS
    path = folder / kind / ("tokenizer.model" if is_spm else "tokenizer.json")
    load = min(seconds_of(binary, path, b"") for _ in range(2))
    out = []
    for name, part in LONG.items():
        times = []
        for size in (250_000, 1_000_000):
            text = part * (size // len(part.encode())) + "x"
            data = (json.dumps(text) + "\n").encode()
            run = subprocess.run([binary, "tokenize", str(path)], input=data,
                                 capture_output=True)
            if run.returncode != 0:
                print("   ", kind, name, run.stderr.decode()[:200])
            times.append(seconds_of(binary, path, data) - load)
        out.append(f"{name} {times[0]:.2f} {times[1]:.2f}")
    print(f"{kind:24} seconds of 250 kB and 1 MB: " + "; ".join(out),
          flush=True)


STEPS = {
    "NFC": normalizers.NFC(), "NFD": normalizers.NFD(),
    "NFKC": normalizers.NFKC(), "NFKD": normalizers.NFKD(),
    "Lowercase": normalizers.Lowercase(), "Nmt": normalizers.Nmt(),
    "StripAccents": normalizers.Sequence(
        [normalizers.NFKD(), normalizers.StripAccents()]),
    "BertNormalizer": normalizers.BertNormalizer(),
    "BertNormalizer cased": normalizers.BertNormalizer(
        strip_accents=False, lowercase=False),
    "BertNormalizer accents": normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=False, strip_accents=True,
        lowercase=False),
    "Punctuation": pre_tokenizers.Punctuation(),
    "Whitespace": pre_tokenizers.Whitespace(),
    "WhitespaceSplit": pre_tokenizers.WhitespaceSplit(),
    "BertPreTokenizer": pre_tokenizers.BertPreTokenizer(),
    "Digits": pre_tokenizers.Digits(individual_digits=False),
    "Digits apart": pre_tokenizers.Digits(individual_digits=True),
    "ByteLevel": pre_tokenizers.ByteLevel(add_prefix_space=False),
}


def compare_code_points(binary, folder):
    """Each step before bytes that join with an x, so that what becomes of a
    character, and where words end, shows in the ids."""
    codes = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
    strings = ["x" + "x".join(map(chr, codes[i:i + 40])) + "x"
               for i in range(0, len(codes), 40)]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [(a, "x") for a in alphabet] + [("x", a) for a in alphabet[1:]]
    merges = list(dict.fromkeys(merges))
    vocab = {}
    for token in alphabet + [a + b for a, b in merges]:
        vocab.setdefault(token, len(vocab))
    differ = 0
    for name, step in STEPS.items():
        t = Tokenizer(models.BPE(vocab=vocab, merges=merges))
        t.decoder = decoders.ByteLevel()
        bytes_alone = pre_tokenizers.ByteLevel(add_prefix_space=False,
                                               use_regex=False)
        if isinstance(step, normalizers.Normalizer):
            t.normalizer, t.pre_tokenizer = step, bytes_alone
        elif name == "ByteLevel":
            t.pre_tokenizer = step
        else:
            t.pre_tokenizer = pre_tokenizers.Sequence([step, bytes_alone])
        path = folder / "code_points.json"
        t.save(str(path))
        ids = [t.encode(s, add_special_tokens=False).ids for s in strings]
        made = ours(binary, path, strings)
        differ += show(name, strings, made, ids, [t.decode(i) for i in ids])
    return differ


GOLDEN = ["llama2", "llama2_metaspace", "mistral", "gemma", "phi3", "t5",
          "t5_new", "albert", "unigram_bytes", "qwen", "tekken", "deepseek_llm",
          "falcon", "byte_level_normalizer", "sets", "behaviors", "bert_words",
          "words", "spm_bpe_llama", "spm_bpe_user", "spm_unigram",
          "spm_unigram_user"]
FIXED = ["", " ", "   ", "a", "Hello world", "  two  spaces  ", "\t\ta\n\n b\r\n",
         "日本語 中文測試", "e\u0301 \u0323\u0301x", "👍🏽 👨‍👩‍👧 🇩🇪🇩", "12345 3.14",
         "<s>[INST] hi [/INST]</s>", "<|user|>  \n x <|end|>", "it's We'LL",
         "ﬁne ① Ａ A\u030a \u200b|\u2028", "\x00\x07\x7f\u0085", MARK * 5,
         "\U0001E5F1\U0010FFFF\u0378", "<0x41><0x0A>", "naïve façade"]


def write_golden(folder):
    """Small tokenizers and what the libraries make of some strings."""
    global SIZE, RULES
    SIZE, RULES = 600, SMALL_RULES
    lines = corpus()[:1500:3] + corpus()[-300:]
    for kind in GOLDEN:
        out = folder / kind
        out.mkdir(parents=True, exist_ok=True)
        if kind in SPM_KINDS:
            model = train_spm(kind, lines, out)
            (out / "tokenizer.vocab").unlink(missing_ok=True)
            (out / "rules.tsv").unlink(missing_ok=True)
            extra, encode, decode = ["<user>", "ing"], model.encode, model.decode
        else:
            t = KINDS[kind](lines)
            t.save(str(out / "tokenizer.json"), pretty=False)
            extra = special_texts(t)
            encode = lambda s: t.encode(s, add_special_tokens=False).ids
            decode = lambda i: t.decode(i, skip_special_tokens=False)
        cases = []
        for text in FIXED + make_strings(60, lines, extra, seed=11):
            ids = encode(text)
            cases.append({"text": text, "ids": ids, "decoded": decode(ids)})
        (out / "cases.json").write_text(json.dumps(cases) + "\n")


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--golden":
        return write_golden(pathlib.Path(sys.argv[2]))
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--strings", type=int, default=100_000)
    parser.add_argument("--kind", action="append")
    parser.add_argument("--speed", type=float, default=0)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--code-points", action="store_true")
    ask = parser.parse_args()
    ask.folder.mkdir(parents=True, exist_ok=True)
    if ask.code_points:
        sys.exit(1 if compare_code_points(ask.binary, ask.folder) else 0)
    lines = corpus()
    differ = 0
    for kind in ask.kind or list(KINDS) + list(SPM_KINDS):
        try:
            if ask.strings:
                differ += compare_kind(ask.binary, kind, lines, ask.folder,
                                       ask.strings)
            if ask.speed:
                compare_speed(ask.binary, kind, lines, ask.folder, ask.speed)
            if ask.long:
                compare_long(ask.binary, kind, ask.folder)
        except RuntimeError as error:
            print(kind, "failed:", error)
            differ += 1
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()

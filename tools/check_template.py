# SPDX-License-Identifier: Apache-2.0
"""Holds the chat template that an adapter carries against `selfalign serve`.

  check_template.py --selfalign build/selfalign --model MODEL \
      --adapter FOLDER [--tokenizer HF_FOLDER]

transformers renders chats with the template, once as it stands in the
tokenizer's files and once from chat_template.jinja; the server says what it
feeds the model for the same messages. Texts must be equal, and of chats without
an answer before them the token ids, BOS included. An adapter of an HF folder
has the tokenizer beside it; for one of a GGUF file name a folder that has it
(make_hf_copy.py makes one). Exits with 1 where something differs.
Needs transformers (a throw-away virtual environment).
"""

import argparse
import json
import pathlib
import sys
import urllib.request

from transformers import AutoTokenizer

import cross_check

ODD = '{{ x }} {% if %} "q" \\n é 中 {instruction}'
QUESTIONS = ["Why do people keep bees?", "Hi\n", ODD, "  two  spaces, 12345 "]
ANSWERS = ["Because.", "1. a\n2. b", ODD, "#"]


def chats():
    """Messages that end with the user's, with and without a system text."""
    for system in ("", "Be brief. " + ODD):
        first = [{"role": "system", "content": system}] if system else []
        for count in range(len(QUESTIONS)):
            chat = list(first)
            for question, answer in zip(QUESTIONS[:count], ANSWERS):
                chat += [{"role": "user", "content": question},
                         {"role": "assistant", "content": answer}]
            yield chat + [{"role": "user", "content": QUESTIONS[count]}]
        for question in QUESTIONS[1:]:
            yield first + [{"role": "user", "content": question}]


def ask(url, path, body):
    request = urllib.request.Request(
        url.removesuffix("/v1") + path, json.dumps(body).encode(),
        {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def differences(url, tokenizer, template):
    """(chat, what transformers has, what the server feeds), where not equal."""
    for chat in chats():
        said = tokenizer.apply_chat_template(
            chat, chat_template=template, add_generation_prompt=True,
            tokenize=False)
        ids = tokenizer(said, add_special_tokens=False)["input_ids"]
        fed = ask(url, "/tokenize", {"model": "adapter", "messages": chat})
        text = ask(url, "/detokenize",
                   {"model": "adapter", "tokens": fed["tokens"]})["prompt"]
        if text != said:
            yield chat, said, text
        elif (all(turn["role"] != "assistant" for turn in chat) and
              ids != fed["tokens"]):
            yield chat, ids, fed["tokens"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--selfalign", required=True, help="the program")
    parser.add_argument("--model", required=True)
    parser.add_argument("--adapter", required=True, type=pathlib.Path)
    parser.add_argument("--tokenizer", help="HF folder; else the adapter's")
    parser.add_argument("--port", type=int, default=8767)
    args = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer or args.adapter)
    config = json.loads((args.adapter / "tokenizer_config.json").read_text())
    templates = {
        "tokenizer": None,  # as transformers finds it
        "tokenizer_config.json": config["chat_template"],
        "chat_template.jinja":
            (args.adapter / "chat_template.jinja").read_text("utf-8")}
    if args.tokenizer:
        del templates["tokenizer"]
    num_wrong = 0
    with cross_check.Server(args.selfalign, args.model, args.port, "--adapter",
                            f"adapter={args.adapter}") as server:
        for name, template in templates.items():
            wrong = list(differences(server.url, tokenizer, template))
            num_wrong += len(wrong)
            print(f"{name}: {len(list(chats()))} chats, {len(wrong)} differ")
            for chat, said, fed in wrong:
                print(f"  {chat}\n    transformers {said!r}\n"
                      f"    selfalign    {fed!r}")
    return 1 if num_wrong else 0


if __name__ == "__main__":
    sys.exit(main())

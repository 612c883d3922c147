# SPDX-License-Identifier: Apache-2.0
"""Holds `selfalign serve` against the OpenAI Python client, call by call.

  check_server.py --selfalign build/selfalign --model MODEL [--adapter NAME=DIR]
  check_server.py --url http://127.0.0.1:8000/v1 [--key TOKEN]

Prints a line for each check and exits with 1 if one failed. Needs the package
`openai`. With --selfalign it starts the server itself, with a bearer token.
"""

import argparse
import json
import math
import sys
import urllib.error
import urllib.request

import openai

import cross_check
from checks import CHECKS, check, expect, run_check

PROMPT = "The capital of France is"
CHAT = [{"role": "user", "content": "What is a river? One sentence."}]


def near(a, b):
    return math.isclose(a, b, abs_tol=2e-3)


class Api:
    """The client, and plain HTTP for what it has no call for."""

    def __init__(self, url, key):
        self.url, self.key = url, key
        self.client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)
        self.model = self.client.models.list().data[0].id

    def raw(self, path, body=None):
        request = urllib.request.Request(
            self.url.removesuffix("/v1") + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}",
                     "Content-Type": "application/json"})
        with urllib.request.urlopen(request) as reply:
            return reply.read().decode()

    def json(self, path, body=None):
        return json.loads(self.raw(path, body))

    def complete(self, prompt=PROMPT, **settings):
        settings = {"model": self.model, "max_tokens": 12, "seed": 7,
                    "temperature": 0.8, **settings}
        return self.client.completions.create(prompt=prompt, **settings)

    def chat(self, messages=CHAT, **settings):
        settings = {"model": self.model, "max_tokens": 24, "seed": 7,
                    "temperature": 0.8, **settings}
        return self.client.chat.completions.create(messages=messages,
                                                   **settings)


@check
def models_are_listed_and_found_by_name(api):
    names = [model.id for model in api.client.models.list()]
    expect(len(set(names)) == len(names) > 0, names)
    for name in names:
        expect(api.client.models.retrieve(name).id == name, name)
        answer = api.complete(model=name, temperature=0)
        expect(answer.model == name and answer.choices[0].text, answer)


@check
def a_completion_has_text_and_counts(api):
    answer = api.complete(max_tokens=6, temperature=0)
    choice = answer.choices[0]
    expect(answer.object == "text_completion" and choice.text, answer)
    expect(choice.finish_reason in ("stop", "length"), choice)
    count = len(api.json("/tokenize", {"prompt": PROMPT})["tokens"])
    expect(answer.usage.prompt_tokens == count, (answer.usage, count))
    expect(answer.usage.completion_tokens <= 6, answer.usage)
    expect(answer.usage.total_tokens == answer.usage.prompt_tokens +
           answer.usage.completion_tokens, answer.usage)


@check
def one_seed_gives_one_text(api):
    texts = {api.complete(seed=seed, max_tokens=20).choices[0].text
             for seed in (1, 1, 1, 2, 3)}
    expect(len(texts) == 3, texts)


@check
def tokens_are_taken_as_prompt(api):
    tokens = api.json("/tokenize", {"prompt": PROMPT})["tokens"]
    text = api.complete(temperature=0).choices[0].text
    expect(api.complete(tokens, temperature=0).choices[0].text == text, text)
    both = api.complete([tokens, tokens], temperature=0).choices
    expect([choice.text for choice in both] == [text, text], both)


@check
def a_batch_keeps_its_order(api):
    prompts = [f"{n} + {n} =" for n in range(8)]
    batch = api.complete(prompts, temperature=0, max_tokens=4).choices
    expect([choice.index for choice in batch] == list(range(8)), batch)
    for prompt, choice in zip(prompts, batch):
        alone = api.complete(prompt, temperature=0, max_tokens=4).choices[0]
        expect(alone.text == choice.text, (prompt, alone, choice))


@check
def n_samples_of_a_prompt(api):
    choices = api.complete(n=4, max_tokens=20).choices
    expect([choice.index for choice in choices] == [0, 1, 2, 3], choices)
    expect(len({choice.text for choice in choices}) > 1, choices)
    chosen = api.chat(n=2).choices
    expect([choice.index for choice in chosen] == [0, 1], chosen)


@check
def a_stop_string_ends_the_text(api):
    whole = api.complete(temperature=0, max_tokens=24).choices[0].text
    stop = whole[6:9]
    cut = api.complete(temperature=0, max_tokens=24, stop=[stop]).choices[0]
    expect(cut.text == whole[:whole.index(stop)], (whole, cut))
    expect(cut.finish_reason == "stop", cut)


@check
def log_probabilities_of_a_completion(api):
    choice = api.complete(logprobs=3, max_tokens=5, temperature=0).choices[0]
    lists = choice.logprobs
    expect("".join(lists.tokens) == choice.text, lists)
    for token, logprob, top in zip(lists.tokens, lists.token_logprobs,
                                   lists.top_logprobs):
        expect(near(top[token], logprob) and 3 <= len(top) <= 4, top)
        expect(near(max(top.values()), logprob), (logprob, top))  # greedy
    offsets = [len("".join(lists.tokens[:i])) for i in range(len(lists.tokens))]
    expect(lists.text_offset == offsets, lists.text_offset)


@check
def an_echoed_prompt_has_log_probabilities(api):
    text = PROMPT + " Paris, which lies on a river."
    answer = api.complete(text, echo=True, logprobs=1, max_tokens=1,
                          temperature=0).choices[0]
    lists = answer.logprobs
    expect(answer.text.startswith(text), answer.text)
    expect(lists.token_logprobs[0] is None, lists.token_logprobs[:2])
    tokens = api.json("/tokenize", {"prompt": text})["tokens"]
    expect(len(lists.tokens) == len(tokens) + 1, lists.tokens)
    again = api.complete(tokens, echo=True, logprobs=1, max_tokens=1,
                         temperature=0).choices[0].logprobs
    expect(again.token_logprobs == lists.token_logprobs, again)
    # The same numbers as where they are generated: of the same tokens, since
    # the text may be cut into others.
    made = api.complete(logprobs=1, max_tokens=4, temperature=0).choices[0]
    tokens_made = [token for piece in [PROMPT] + made.logprobs.tokens
                   for token in api.json("/tokenize",
                                         {"prompt": piece})["tokens"]]
    echoed = api.complete(tokens_made, echo=True, logprobs=1,
                          max_tokens=1, temperature=0).choices[0].logprobs
    for a, b in zip(echoed.token_logprobs[-5:-1],
                    made.logprobs.token_logprobs):
        expect(near(a, b), (echoed, made))
    none = api.complete(text, echo=True, logprobs=1, max_tokens=0).choices[0]
    expect(none.text == text and len(none.logprobs.tokens) == len(tokens), none)


@check
def a_streamed_completion_is_the_whole_one(api):
    whole = api.complete(max_tokens=40)
    events = list(api.complete(max_tokens=40, stream=True,
                               stream_options={"include_usage": True}))
    text = "".join(choice.text for e in events for choice in e.choices)
    expect(text == whole.choices[0].text, (text, whole))
    expect(len(events) > 4, len(events))
    reasons = [choice.finish_reason for e in events for choice in e.choices]
    expect(reasons[-1] == whole.choices[0].finish_reason, reasons)
    expect(reasons.count(None) == len(reasons) - 1, reasons)
    expect(events[-1].usage == whole.usage, events[-1])


@check
def a_chat_and_its_stream(api):
    whole = api.chat()
    message = whole.choices[0].message
    expect(message.role == "assistant" and message.content, whole)
    events = list(api.chat(stream=True))
    deltas = [e.choices[0].delta for e in events if e.choices]
    expect(deltas[0].role == "assistant", deltas[0])
    text = "".join(delta.content or "" for delta in deltas)
    expect(text == message.content, (text, message))
    expect(events[-1].choices[0].finish_reason, events[-1])


@check
def a_chat_sees_its_system_message_and_history(api):
    plain = api.chat(temperature=0)
    told = api.chat([{"role": "system", "content": "Answer in French."}] + CHAT,
                    temperature=0)
    longer = api.chat(CHAT + [{"role": "assistant", "content": "Water."},
                              {"role": "user", "content": "Why?"}],
                      temperature=0)
    counts = [a.usage.prompt_tokens for a in (plain, told, longer)]
    expect(counts[2] > counts[0] and counts[1] != counts[0], counts)


@check
def log_probabilities_of_a_chat(api):
    choice = api.chat(logprobs=True, top_logprobs=2, max_tokens=4,
                      temperature=0).choices[0]
    items = choice.logprobs.content
    spelled = b"".join(bytes(item.bytes) for item in items).decode()
    expect(spelled.strip() == choice.message.content.strip(), items)
    for item in items:
        expect(len(item.top_logprobs) == 2, item)
        expect(near(item.top_logprobs[0].logprob, item.logprob), item)


@check
def text_to_tokens_and_back(api):
    text = "Größe: 12 °C, naïve – \"quoted\"\n\tend"
    tokens = api.json("/tokenize", {"prompt": text})["tokens"]
    expect(api.json("/detokenize", {"tokens": tokens})["prompt"] == text, text)
    info = api.json("/tokenizer_info")
    expect(info.get("eos_token"), info)


@check
def health_and_metrics(api):
    api.raw("/health")
    lines = api.raw("/metrics").splitlines()
    values = [line for line in lines if line and not line.startswith("#")]
    expect(len(values) > 3, lines[:20])
    for line in values:
        float(line.rsplit(" ", 1)[1])


@check
def errors_are_those_of_the_client(api):
    client = api.client
    for call, kind in (
            (lambda: api.complete(model="nobody"), openai.NotFoundError),
            (lambda: client.models.retrieve("nobody"), openai.NotFoundError),
            (lambda: api.complete(temperature=-1), openai.BadRequestError),
            (lambda: api.complete(top_p=7), openai.BadRequestError),
            (lambda: api.complete([10**8]), openai.BadRequestError),
            (lambda: api.complete("word " * 200000), openai.APIStatusError),
            (lambda: api.chat([]), openai.BadRequestError),
            (lambda: api.chat([{"role": "ghost", "content": "x"}]),
             openai.BadRequestError)):
        try:
            call()
        except kind as error:
            expect(error.body is None or error.body.get("message"), error.body)
        else:
            raise AssertionError(f"expected {kind.__name__}, found an answer")
    expect(api.complete(temperature=0).choices[0].text, "no answer afterwards")


@check
def a_client_that_goes_leaves_the_server_well(api):
    for _ in range(5):
        stream = api.complete("Once upon a time", max_tokens=300, stream=True)
        next(iter(stream))
        stream.close()
    text = api.complete(temperature=0).choices[0].text
    expect(text == api.complete(temperature=0).choices[0].text, text)


def check_key(api):
    """Only where a key is asked for."""
    try:
        openai.OpenAI(base_url=api.url, api_key="wrong",
                      max_retries=0).models.list()
    except openai.AuthenticationError:
        return
    raise AssertionError("a wrong key was taken")


def check_all(api, with_key):
    num_failed = 0
    for function in CHECKS + ([check_key] if with_key else []):
        num_failed += not run_check(function.__name__, lambda: function(api))
    print(f"{len(CHECKS) + with_key - num_failed} passed, {num_failed} failed")
    return 1 if num_failed else 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--selfalign", help="the program")
    parser.add_argument("--model")
    parser.add_argument("--adapter", action="append", default=[])
    parser.add_argument("--port", type=int, default=8766)
    parser.add_argument("--url", help="of a server that runs, with /v1")
    parser.add_argument("--key", default="")
    args = parser.parse_args()
    if args.url:
        return check_all(Api(args.url, args.key or "none"), bool(args.key))
    args.key = args.key or "a-key-of-this-check"
    adapters = [word for one in args.adapter for word in ("--adapter", one)]
    with cross_check.Server(args.selfalign, args.model, args.port,
                            *adapters, key=args.key) as server:
        return check_all(Api(server.url, args.key), True)


if __name__ == "__main__":
    sys.exit(main())

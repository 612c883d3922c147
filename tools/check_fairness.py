# SPDX-License-Identifier: Apache-2.0
"""Holds `selfalign serve` with a real model against docs/server.md, "Many clients".

  check_fairness.py --selfalign build/selfalign --model MODEL [--only NAME]

Prints a line for each check, with what was measured, and exits with 1 if one failed.
Rates depend on what else the machine does; they are compared side by side.
"""

import argparse
import http.client
import json
import random
import signal
import socket
import statistics
import sys
import threading
import time
import urllib.request

import cross_check
from checks import CHECKS, check, expect, run_check

BIG = (8 << 20) - 100  # bytes of a prompt


def request(path, body):
    body = json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
            f"application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            ).encode() + body


def stream_body(count):
    return {"prompt": "Once", "max_tokens": count, "ignore_eos": True,
            "stream": True}


def contexts(count, seed=1):
    numbers = random.Random(seed)
    return {"prompt": [[numbers.randrange(1000, 40000) for _ in range(1900)]
                       for _ in range(count)],
            "max_tokens": 0, "echo": True, "logprobs": 1}


class Clients:
    """Sockets that each sent a request; what they get is in `seen`, in pieces of
    any size, a first one for each answer."""

    def __init__(self, port):
        self.port, self.sockets, self.seen = port, [], []

    def send(self, data, read=True):
        sock = socket.create_connection(("127.0.0.1", self.port))
        self.sockets.append(sock)
        threading.Thread(target=self.talk, args=(sock, data, read),
                         daemon=True).start()

    def talk(self, sock, data, read):
        try:
            sock.sendall(data)
            while read and (more := sock.recv(1 << 16)):
                self.seen.append(more)
        except OSError:
            pass

    def close(self):
        for sock in self.sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()


def get(port, path, timeout=60):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}",
                                timeout=timeout) as reply:
        return reply.read().decode()


def num_at_work(port):
    return sum(int(line.rsplit(" ", 1)[1]) for line in
               get(port, "/metrics").splitlines()
               if line.startswith("selfalign_rows_"))


def wait_for(condition, seconds):
    end = time.time() + seconds
    while not condition():
        if time.time() > end:
            return False
        time.sleep(0.02)
    return True


def stream_rate(port, seconds=15):
    """Events a second of one stream, and its longest gap."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    client.request("POST", "/v1/completions", json.dumps(stream_body(1500)),
                   {"Content-Type": "application/json"})
    times = []
    for line in client.getresponse():
        if line.startswith(b"data: {"):
            times.append(time.time())
        if times and times[-1] - times[0] > seconds:
            break
    client.sock.close()
    gaps = [b - a for a, b in zip(times, times[1:])]
    return len(gaps) / (times[-1] - times[0]), max(gaps)


@check
def a_stream_keeps_its_rate_beside_scoring(port):
    """60 % of that beside an equal stream; in turns, for the machine changes."""
    ratios, lines = [], []
    for turn in range(3):
        beside_stream = Clients(port)
        beside_stream.send(request("/v1/completions", stream_body(1900)))
        time.sleep(1)
        equal = stream_rate(port)[0]
        beside_stream.close()
        beside_scoring = Clients(port)
        beside_scoring.send(request("/v1/completions", contexts(200, turn)))
        time.sleep(1)
        rate, gap = stream_rate(port)
        beside_scoring.close()
        wait_for(lambda: num_at_work(port) == 0, 30)
        ratios.append(rate / equal)
        lines.append(f"{rate:.1f}/{equal:.1f} a second, gap {gap:.2f} s")
    expect(statistics.median(ratios) >= 0.6, lines)
    return f"{statistics.median(ratios):.2f} of {', '.join(lines)}"


@check
def scoring_clients_share(port):
    """One with few contexts does not wait for one with many."""
    many, few = Clients(port), Clients(port)
    many.send(request("/v1/completions", contexts(200)))
    time.sleep(2)
    begin = time.time()
    few.send(request("/v1/completions", contexts(2, 7)))
    expect(wait_for(lambda: b'"usage"' in b"".join(few.seen), 120), "no answer")
    seconds = time.time() - begin
    expect(not many.seen, "an answer to 200 contexts")
    many.close()
    few.close()
    return f"2 contexts beside 200 in {seconds:.1f} s"


@check
def long_prompts_hold_up_nobody(port):
    clients = Clients(port)
    refused = request("/v1/completions", {"prompt": " " * BIG, "max_tokens": 1})
    for _ in range(8):
        clients.send(refused)
    for text in (" ", "a", "word ", "12"):  # of any length: to be tokenized
        clients.send(request("/tokenize", {"prompt": text * (BIG // len(text))}))
    waits = {"health": [], "small": []}
    end = time.time() + 10
    while time.time() < end:
        for name, ask in (
                ("health", lambda: get(port, "/health")),
                ("small", lambda: post(port, "/tokenize", {"prompt": "a b"}))):
            begin = time.time()
            ask()
            waits[name].append(time.time() - begin)
        time.sleep(0.05)
    statuses = lambda: [piece[9:12] for piece in clients.seen  # noqa: E731
                        if piece.startswith(b"HTTP/1.1 ")]
    expect(wait_for(lambda: len(statuses()) >= 12, 120), statuses())
    expect(statuses().count(b"400") == 8 and statuses().count(b"200") == 4,
           statuses())
    clients.close()
    most = {name: max(found) for name, found in waits.items()}
    expect(most["health"] < 1 and most["small"] < 2, most)
    return ", ".join(f"{name} within {most[name]:.2f} s" for name in most)


@check
def rows_of_clients_that_go_leave(port):
    body = {"prompt": "Ghost", "max_tokens": 1800, "ignore_eos": True}
    seconds = []
    for more in (b"", b"G", b"G" * 300000):
        clients = Clients(port)
        for _ in range(3):
            clients.send(request("/v1/completions", body) + more, read=False)
        expect(wait_for(lambda: num_at_work(port) == 3, 30), num_at_work(port))
        begin = time.time()
        for sock in clients.sockets:
            sock.close()
        expect(wait_for(lambda: num_at_work(port) == 0, 5), num_at_work(port))
        seconds.append(time.time() - begin)
    return f"within {max(seconds):.2f} s"


@check
def clients_that_end_sending_get_their_answers(port):
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(request("/v1/completions", {"prompt": "Once", "max_tokens":
                                                 100, "ignore_eos": True}))
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while more := sock.recv(1 << 16):
            answer += more
    expect(answer.startswith(b"HTTP/1.1 200 OK\r\n") and
           answer.endswith(b"}"), answer)


def stop_under_load(args, num_signals, seconds):
    with cross_check.Server(args.selfalign, args.model, args.port) as server:
        clients = Clients(args.port)
        slow = request("/tokenize", {"prompt": "a"})[:-3]
        for i in range(8):
            clients.send(request("/v1/completions", stream_body(1500)))
            clients.send(request("/v1/completions", contexts(200, i)))
            clients.send(request("/tokenize", {"prompt": " " * BIG}))
            clients.send(request("/v1/completions", {"prompt": " " * BIG}))
            clients.send(slow)
        time.sleep(4)
        begin = time.time()
        for _ in range(num_signals):
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        code = server.process.wait(60)
        took = time.time() - begin
        clients.close()
        expect(code == 0 and took < seconds, (code, took))
        return f"{took:.1f} s"


def post(port, path, body):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    client.request("POST", path, json.dumps(body),
                   {"Content-Type": "application/json"})
    answer = client.getresponse().read()
    client.close()
    return answer


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--selfalign", required=True, help="the program")
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, default=8767)
    parser.add_argument("--only", default="", help="checks with this in the name")
    args = parser.parse_args()
    work = {}
    for function in CHECKS:
        work[function.__name__] = lambda f=function: f(args.port)
    work["a_signal_ends_all_in_its_time"] = lambda: stop_under_load(args, 1, 17)
    work["two_signals_end_all_at_once"] = lambda: stop_under_load(args, 2, 3)
    good = True
    chosen = {name: w for name, w in work.items() if args.only in name}
    with cross_check.Server(args.selfalign, args.model, args.port):
        for name in [n for n in chosen if "signal" not in n]:
            good &= run_check(name, chosen[name])
    for name in [n for n in chosen if "signal" in n]:
        good &= run_check(name, chosen[name])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

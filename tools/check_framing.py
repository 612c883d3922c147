# SPDX-License-Identifier: Apache-2.0
"""Holds `selfalign serve` behind well-known proxies to the letter of HTTP/1.1.

  check_framing.py [--selfalign build/selfalign] [--model MODEL] [--seed N]

Sends requests whose ends two parsers may see in two places (RFC 9112, sections
6 and 7; headers and chunks written in many ways) through nginx, and haproxy
where it is installed, to the server. A proxy and the server must see the same
requests: as many as the proxy handed on, and after each of them a plain request
on the same connection gets its own answer. The same bytes also go to the server
directly. There it may refuse what a proxy takes, never take more requests than
the proxy saw. Prints what differs and exits with 1 if anything did.
"""

import argparse
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import cross_check

BODY = b'{"prompt":"hi"}'
HEAD = b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\n" \
       b"Content-Type: application/json\r\n"
PROBE = b"GET /v1/models/%s HTTP/1.1\r\nHost: localhost\r\n\r\n"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def chunked(body, size=b"%x", end=b"0\r\n\r\n"):
    return size % len(body) + b"\r\n" + body + b"\r\n" + end


def framings():
    """Yields (headers, body) of a request, a pair for each way to write it."""
    length = b"Content-Length: %d\r\n" % len(BODY)
    code = b"Transfer-Encoding: chunked\r\n"
    for line in (length, length + length, length + b"Content-Length: 3\r\n",
                 b"Content-Length: 3\r\n" + length,
                 b"Content-Length: +%d\r\n" % len(BODY),
                 b"Content-Length: -1\r\n", b"Content-Length: 0x0f\r\n",
                 b"Content-Length: 015\r\n", b"Content-Length: 15, 15\r\n",
                 b"Content-Length: 15,3\r\n", b"Content-Length: 15 3\r\n",
                 b"Content-Length: \r\n", b"Content-Length : 15\r\n",
                 b"Content-Length:\t15\r\n", b"Content-Length: 15\t\r\n",
                 b"Content-Length: 1 5\r\n", b"Content_Length: 15\r\n",
                 b" Content-Length: 15\r\n", b"\tContent-Length: 15\r\n",
                 b"X: y\r\n Content-Length: 15\r\n", b"content-length: 15\r\n",
                 b"Content-Length: 15.0\r\n", b"Content-Length: 15\n",
                 b"Content-Length: 15\r", b"Content-Length: 15\x0b\r\n",
                 b"Content-Length: 18446744073709551631\r\n",
                 b"Content-Length: 4294967311\r\n", b"Content-Length: 0\r\n",
                 b"Content-Length\x00: 15\r\n", b"Content-Length: 15\x00\r\n"):
        yield line, BODY
    for value in (b"chunked", b"Chunked", b"chunked ", b"\tchunked", b" chunked",
                  b"chunked,", b",chunked", b"chunked, chunked",
                  b"gzip, chunked", b"chunked, gzip", b"chunked, identity",
                  b"identity", b"xchunked", b"chunkedx", b"x", b"",
                  b'"chunked"', b"chunked;q=1", b"chunked; a=b",
                  b"\x0bchunked", b"chunked\x0b", b"chunked\x00", b"chun ked",
                  b"chunked\r\n ", b"\r\n chunked", b"chunked\nX: y"):
        line = b"Transfer-Encoding:" + value + b"\r\n"
        yield line, chunked(BODY)
        yield line + length, chunked(BODY)
        yield length + line, chunked(BODY)
        yield b"Content-Length: 0\r\n" + line, chunked(BODY)
    for line in (code + code, code + b"Transfer-Encoding: gzip\r\n",
                 b"Transfer-Encoding: gzip\r\n" + code,
                 code + b"Transfer-Encoding: identity\r\n",
                 b"Transfer-Encoding: \r\n" + code,
                 b"Transfer-Encoding : chunked\r\n",
                 b" Transfer-Encoding: chunked\r\n",
                 b"Transfer_Encoding: chunked\r\n",
                 b"X: y\r\n Transfer-Encoding: chunked\r\n",
                 b"Transfer-Encoding\x00: chunked\r\n"):
        yield line, chunked(BODY)
        yield line + length, chunked(BODY)
    for body in (chunked(BODY, b"%x;a=b"), chunked(BODY, b'%x;a="b\r\n"'),
                 chunked(BODY, b"0x%x"), chunked(BODY, b"+%x"),
                 chunked(BODY, b"-%x"), chunked(BODY, b" %x"),
                 chunked(BODY, b"%x "), chunked(BODY, b"%x\t"),
                 chunked(BODY, b"000000000000000000000%x"),
                 chunked(BODY, b"1000000000000000%x"), chunked(BODY, b"%X"),
                 chunked(BODY, b"%xg"), chunked(BODY, b"%x,"),
                 chunked(BODY, b"%x\n"), chunked(BODY, b"%x\r"),
                 chunked(BODY, b"%x;\x00"), chunked(BODY, b"\r\n%x"),
                 chunked(BODY, end=b"0\n\n"), chunked(BODY, end=b"0\r\n\n"),
                 chunked(BODY, end=b"0\n\r\n"), chunked(BODY, end=b"00\r\n\r\n"),
                 chunked(BODY, end=b"0;a=b\r\n\r\n"),
                 chunked(BODY, end=b"0\r\nX: y\r\n\r\n"),
                 chunked(BODY, end=b"0\r\nContent-Length: 9\r\n\r\n"),
                 chunked(BODY, end=b"0\r\nX y\r\n\r\n"),
                 chunked(BODY, end=b"0\r\n X: y\r\n\r\n"),
                 chunked(BODY, end=b"-0\r\n\r\n"), chunked(BODY, end=b"0"),
                 chunked(BODY, end=b"0\r\n"), chunked(BODY, end=b""),
                 b"f\n" + BODY + b"\n0\n\n", b"f\r" + BODY + b"\r0\r\r",
                 b"f\r\n" + BODY + b"0\r\n\r\n", b"f\r\n" + BODY + b"xx0\r\n\r\n",
                 b"7\r\n" + BODY[:7] + b"\r\n8\r\n" + BODY[7:] + b"\r\n0\r\n\r\n",
                 b"e\r\n" + BODY + b"\r\n0\r\n\r\n",
                 b"10\r\n" + BODY + b"\r\n0\r\n\r\n", b"0\r\n\r\n", b"\r\n"):
        yield code, body


def heads():
    """Yields request heads that differ in other ways, without their framing."""
    yield HEAD
    yield HEAD.replace(b"HTTP/1.1", b"HTTP/1.0")
    yield HEAD + b"Connection: keep-alive, Transfer-Encoding\r\n"
    yield HEAD + b"Connection: Content-Length\r\n"
    yield HEAD.replace(b"POST", b"GET").replace(b"/tokenize", b"/v1/models")
    yield HEAD.replace(b"POST", b"HEAD").replace(b"/tokenize", b"/v1/models")
    yield b"\r\n" + HEAD
    yield HEAD + b"Expect: 100-continue\r\n"


def odd_heads():
    """Yields whole request heads of which a parser may be unsure."""
    end = b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    for head in (HEAD.replace(b"Host: localhost\r\n", b""),
                 HEAD + b"Host: localhost\r\n", HEAD + b"Host: other\r\n",
                 HEAD.replace(b"Host:", b"Host :"),
                 HEAD.replace(b"HTTP/1.1", b"HTTP/1.2"),
                 HEAD.replace(b"HTTP/1.1", b"HTTP/2.0"),
                 HEAD.replace(b"HTTP/1.1", b"http/1.1"),
                 HEAD.replace(b"HTTP/1.1", b"HTTP/1.1 "),
                 HEAD.replace(b" HTTP/1.1", b""),
                 HEAD.replace(b"POST ", b"POST  "),
                 HEAD.replace(b"POST ", b"POST\t"),
                 HEAD.replace(b"POST ", b" POST "),
                 HEAD.replace(b"POST ", b"post "),
                 HEAD.replace(b"/tokenize", b"http://localhost/tokenize"),
                 HEAD.replace(b"/tokenize", b"/tokenize#x"),
                 HEAD.replace(b"/tokenize", b"/tokenize\x00"),
                 HEAD.replace(b"/tokenize", b"//tokenize"),
                 HEAD.replace(b"/tokenize", b"*"),
                 HEAD.replace(b"\r\n", b"\n"), HEAD.replace(b"\r\n", b"\r"),
                 HEAD + b"X\r\n", HEAD + b": y\r\n", HEAD + b"X: a\rb\r\n",
                 HEAD + b"X: a\nb\r\n", HEAD + b"X: \x01\r\n",
                 HEAD + b"X\x7f: y\r\n", HEAD + b"X(: y\r\n",
                 HEAD + b"X: \xff\r\n", HEAD + b"\r\nX: y\r\n"):
        yield head + end


def mutations(cases, count, seed):
    """Yields `count` of the cases with one or two bytes changed."""
    draw = random.Random(seed)
    odd = b"\x00\t\n\v\r ,;:0159afx\x7f\xff"
    for _ in range(count):
        data = bytearray(draw.choice(cases))
        for _ in range(draw.randint(1, 2)):
            at = draw.randrange(data.index(b"\n"), len(data))
            kind = draw.randrange(3)
            if kind == 0:
                data[at] = draw.choice(odd)
            elif kind == 1:
                data.insert(at, draw.choice(odd))
            else:
                del data[at]
        yield bytes(data)


def exchange(port, data, timeout=4):
    """Sends all of `data`, then nothing more; the bytes that came back."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while piece := sock.recv(65536):
                found += piece
        except OSError:
            pass
    return found


class Server(cross_check.Server):
    """The server under test."""

    def __init__(self, program, model):
        self.port = free_port()
        super().__init__(program, model, self.port)

    def count(self):
        """How many requests it has answered, but for those of count()."""
        with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/metrics") as reply:
            text = reply.read().decode()
        return sum(int(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if line.startswith("selfalign_requests_total")
                   and "/metrics" not in line)


class Proxy:
    """A process that listens; what it hands on stands in `log`."""

    def __init__(self, command, port, **settings):
        self.process = subprocess.Popen(command, **settings)
        self.port = port
        end = time.time() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if time.time() > end or self.process.poll() is not None:
                    sys.exit(f"{command[0]}: expected it to listen, found not")
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


class Nginx(Proxy):
    name = "nginx"
    log_line = re.compile(r"upstream=\d")

    def __init__(self, folder, upstream):
        port, self.log = free_port(), folder / "nginx.log"
        (folder / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log; events {{ }}
http {{
  log_format parts 'upstream=$upstream_status $status $request';
  access_log {self.log} parts;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s;
  client_header_timeout 1s; client_body_timeout 1s;
  upstream backend {{ server 127.0.0.1:{upstream}; keepalive 1; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://backend; proxy_http_version 1.1;
      proxy_request_buffering off; proxy_set_header Connection "";
      proxy_set_header Host localhost; proxy_next_upstream off;
      proxy_ignore_client_abort on;
      proxy_read_timeout 5s;
    }}
  }}
}}
""")
        super().__init__(["nginx", "-c", folder / "nginx.conf"], port)


class Haproxy(Proxy):
    name = "haproxy"
    log_line = re.compile(r"server=one ")

    def __init__(self, folder, upstream):
        port, self.log = free_port(), folder / "haproxy.log"
        (folder / "haproxy.conf").write_text(f"""
global
  log stdout format raw local0
defaults
  mode http
  log global
  log-format "server=%s %ST %HM %HU"
  timeout client 1s
  timeout http-request 1s
  timeout connect 5s
  timeout server 5s
frontend front
  bind 127.0.0.1:{port}
  default_backend back
backend back
  http-reuse always
  http-request set-header Host localhost
  server one 127.0.0.1:{upstream} maxconn 1
""")
        self.out = self.log.open("w")
        super().__init__(["haproxy", "-f", folder / "haproxy.conf"], port,
                         stdout=self.out, stderr=subprocess.DEVNULL)


def handed_on(proxy):
    """How many requests the proxy has sent to the server."""
    lines = proxy.log.read_text(errors="replace").splitlines()
    return sum(bool(proxy.log_line.search(line)) for line in lines)


def settled(read):
    """read() once it says the same twice."""
    last = read()
    while True:
        time.sleep(0.01)
        now = read()
        if now == last:
            return now
        last = now


def answers(data):
    """How many final answers stand in `data`, of those with 2xx."""
    return len(re.findall(rb"HTTP/1\.1 2\d\d ", data))


def check(cases, proxies, server):
    """Prints the cases that differ; how many."""
    num_bad = 0
    taken = {proxy.name: 0 for proxy in proxies}
    direct_taken = 0
    for number, case in enumerate(cases):
        faults = []
        direct = answers(exchange(server.port, case))
        direct_taken += direct > 0
        for proxy in proxies:
            before = settled(server.count), settled(lambda: handed_on(proxy))
            through = answers(exchange(proxy.port, case))
            taken[proxy.name] += through > 0
            name = b"probe-%d" % number
            probe = exchange(proxy.port, PROBE % name)
            if name not in probe:
                faults.append(f"{proxy.name}: a later request got {probe!r}")
            after = settled(server.count), settled(lambda: handed_on(proxy))
            seen, sent = after[0] - before[0], after[1] - before[1]
            if seen > sent:
                faults.append(f"{proxy.name} handed on {sent} requests, the "
                              f"server saw {seen}")
            if direct > through + (case.count(b"HTTP/1.") > 2):
                faults.append(f"{proxy.name} took {through} requests, the "
                              f"server by itself {direct}")
        if faults:
            num_bad += 1
            print(f"{case!r}:", *faults, sep="\n  ", flush=True)
    print(f"{len(cases)} cases, {num_bad} differ; taken by the server "
          f"{direct_taken}, " + ", ".join(
              f"through {name} {count}" for name, count in taken.items()))
    return num_bad


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--selfalign", default="build/selfalign")
    parser.add_argument("--model",
                        default=str(next(pathlib.Path(".deps/model").glob(
                            "*.gguf"), "")))
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--mutations", type=int, default=300)
    flags = parser.parse_args()
    print("--seed", flags.seed)
    smuggled = PROBE % b"inner"
    cases = [head + lines + b"\r\n" + body + smuggled
             for head in heads() for lines, body in framings()]
    cases += [case + smuggled for case in odd_heads()]
    cases += mutations(cases, flags.mutations, flags.seed)
    with tempfile.TemporaryDirectory() as folder:
        kinds = [kind for kind in (Nginx, Haproxy) if shutil.which(kind.name)]
        if not kinds:
            sys.exit("check_framing: expected nginx or haproxy, found neither")
        with Server(flags.selfalign, flags.model) as server:
            proxies = [kind(pathlib.Path(folder), server.port)
                       for kind in kinds]
            num_bad = check(cases, proxies, server)
            for proxy in proxies:
                proxy.stop()
    sys.exit(1 if num_bad else 0)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""A run by examples/compose on Docker, stopped twice and robbed of a server.

  check_compose.py --out FOLDER --vllm VENV [--base FOLDER] [--build FOLDER]
                   [--whole] [--rows N]

The files of the example are copied to FOLDER/compose, without the lines that reserve
GPUs, and run as they are, with vLLM's version for CPUs, which lies in VENV, in place of
the official image: a container of the same command (`vllm serve`), name and port. The
recipe gets the demo's sizes. Where there is no image debian:12, debootstrap makes it
(root is needed). `selfalign` runs in the last stage of the Dockerfile, with what
`./dev install` would put there of the program in --build; with --whole all of the
Dockerfile is built instead.

`up` is ended by Ctrl-C while answers are written, and by `stop` while the coordinator
trains: each time it must save and end by itself, and `up` goes on. Then a server is
killed; Docker starts it again, and it is given the adapter that it lacks. At its end
`verify` must be clean, each row be stored as it was before, and both servers must
have answered.

--base is as of check_fleet.py. What is missing is said, and ends this with 77.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import check_fleet
import checks

ROOT = check_fleet.ROOT
EXAMPLE = ROOT / "examples/compose"
DEBIAN = "debian:12"
PROJECT = "selfalign-check"
SERVER_IMAGE = "selfalign-check-vllm"
OWN_IMAGE = "selfalign-check"
SOURCES = """deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main
"""
# vLLM as VENV has it: with the name by which its command asks for its version, the
# libraries that its makers preload, and what a small CPU needs beside the arguments.
SERVER_FILES = {
    "Dockerfile": """FROM debian:12
RUN apt-get update && apt-get install -y --no-install-recommends curl g++ libbz2-1.0 \\
      libexpat1 libffi8 liblzma5 libncursesw6 libnuma1 libreadline8 libsqlite3-0 \\
      libssl3 libtcmalloc-minimal4 libtirpc3
COPY METADATA /names/vllm-{version}.dist-info/METADATA
COPY vllm /usr/local/bin/vllm
ENTRYPOINT ["vllm", "serve"]
""",
    "METADATA": "Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n",
    "vllm": """#!/bin/sh
export PYTHONPATH=/names HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 TORCHDYNAMO_DISABLE=1
export LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4
if [ -e {vllm}/lib/libiomp5.so ]; then
  LD_PRELOAD=$LD_PRELOAD:{vllm}/lib/libiomp5.so
fi
# shellcheck disable=SC2086
exec {vllm}/bin/vllm "$@" $OPTIONS
""",
}
OVERRIDE = """services:
  server1: &server
    image: {server_image}
    environment: &environment
      VLLM_CPU_OMP_THREADS_BIND: "0"
      VLLM_CPU_KVCACHE_SPACE: "1"
      OPTIONS: {options}
    volumes: ["{vllm}:{vllm}:ro", "{python}:{python}:ro"]
    cap_add: [SYS_NICE]
    security_opt: ["seccomp=unconfined"]
  server2:
    <<: *server
    environment:
      <<: *environment
      VLLM_CPU_OMP_THREADS_BIND: "{last_cpu}"
  selfalign:
    image: {own_image}
"""
OPTIONS = ("--dtype bfloat16 --enforce-eager --max-model-len 3072 "
           "--max-num-seqs 32 --max-num-batched-tokens 16384 --max-lora-rank 8")


def parse_flags():
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--base", type=pathlib.Path)
    flags.add_argument("--out", type=pathlib.Path, required=True)
    flags.add_argument("--vllm", type=pathlib.Path, required=True)
    flags.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    flags.add_argument("--whole", action="store_true")
    flags.add_argument("--rows", type=int, default=12)
    flags.add_argument("--options", default=OPTIONS)
    return flags.parse_args()


def works(*command):
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def docker(*arguments, **options):
    """What a command of Docker writes."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True,
                          **options)
    checks.expect(done.returncode == 0, (arguments, done.stderr[-400:]))
    return done.stdout.strip()


def is_image(name):
    return works("docker", "image", "inspect", name)


def need(flags):
    """Ends the check where something is not there."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = []
    if not works("docker", "info"):
        missing.append("Docker at work")
    elif not is_image(DEBIAN) and not (shutil.which("debootstrap") and
                                       os.geteuid() == 0):
        missing.append(f"image {DEBIAN}, nor debootstrap and root to make it")
    if works("docker", "compose", "version"):
        flags.compose = ["docker", "compose"]
    elif shutil.which("docker-compose"):
        flags.compose = ["docker-compose"]
    else:
        missing.append("docker compose")
    if not (flags.vllm / "bin/vllm").exists():
        missing.append(f"{flags.vllm}/bin/vllm")
    if not (flags.build / "selfalign").exists():
        missing.append(f"{flags.build}/selfalign")
    if missing:
        print("skipped: there is no", ", no ".join(missing))
        sys.exit(check_fleet.SKIPPED)
    flags.selfalign = flags.build.resolve() / "selfalign"


def build(context, name, dockerfile):
    log = context / "docker.log"
    with log.open("w") as file:
        done = subprocess.run(
            ["docker", "build", "--network", "host", "--tag", name, "--file", dockerfile,
             context], stdout=file, stderr=file)
    checks.expect(done.returncode == 0, f"{name} was not built; see {log}")


def make_debian(flags):
    """Debian with what this machine trusts, packed as an image."""
    if is_image(DEBIAN):
        return
    begin, root = time.time(), flags.out / "debian"
    subprocess.run(["debootstrap", "--variant=minbase", "--include=ca-certificates",
                    "bookworm", root], check=True, stdout=subprocess.DEVNULL)
    (root / "etc/apt/sources.list").write_text(SOURCES)
    trusted = "usr/local/share/ca-certificates"
    shutil.copytree(f"/{trusted}", root / trusted, dirs_exist_ok=True)
    subprocess.run(["chroot", root, "update-ca-certificates"], check=True,
                   capture_output=True)
    with subprocess.Popen(["tar", "-C", root, "-c", "."],
                          stdout=subprocess.PIPE) as packed:
        docker("import", "--change", 'CMD ["bash"]', "-", DEBIAN, stdin=packed.stdout)
    shutil.rmtree(root)
    print(f"   {DEBIAN} by debootstrap after {time.time() - begin:.0f} s", flush=True)


def find_vllm(flags):
    """Its version, and the folder of the Python that its environment stands on."""
    flags.vllm = flags.vllm.absolute()
    text = "import sys, glob; print(sys.base_prefix); print(*sys.path, sep='\\n')"
    lines = subprocess.run([flags.vllm / "bin/python", "-c", text], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    names = [path.name for folder in lines[1:] if folder
             for path in pathlib.Path(folder).glob("vllm*.dist-info")]
    checks.expect(names, f"no vllm in {flags.vllm}")
    version = re.search(r"-([0-9.]+)", names[0])[1]
    return {"server_image": SERVER_IMAGE, "own_image": OWN_IMAGE,
            "version": version, "vllm": flags.vllm, "python": lines[0],
            "options": json.dumps(flags.options), "last_cpu": os.cpu_count() - 1}


def make_server(flags, facts):
    context = flags.out / "server-image"
    context.mkdir()
    for name, text in SERVER_FILES.items():
        path = context / name
        path.write_text(text.format(**facts) if name != "vllm" else
                        text.replace("{vllm}", str(facts["vllm"])))
        path.chmod(0o755)
    build(context, SERVER_IMAGE, context / "Dockerfile")


def make_selfalign(flags):
    """All of the Dockerfile, or its last stage with a program that is built."""
    begin = time.time()
    if flags.whole:
        context = flags.out / "checkout"
        subprocess.run(["git", "clone", "--quiet", ROOT, context], check=True)
        build(context, OWN_IMAGE, context / "examples/compose/Dockerfile")
    else:
        context = flags.out / "selfalign-image"
        subprocess.run(["cmake", "--install", flags.build, "--prefix",
                        context / "installed"], check=True, capture_output=True)
        text = (EXAMPLE / "Dockerfile").read_text()
        last = text[text.rindex("\nFROM "):]
        made = last.replace("COPY --from=build /opt/selfalign", "COPY installed")
        checks.expect(made != last, last)
        (context / "Dockerfile").write_text(made)
        build(context, OWN_IMAGE, context / "Dockerfile")
    print(f"   image of selfalign after {time.time() - begin:.0f} s", flush=True)


def small_sections(flags):
    """The stages of the demo's recipe, but for what vLLM on a CPU does not do.

    It cannot score beside adapters, and multiplies by a copy of them for each token.
    """
    text = (ROOT / "recipes/smollm2-demo.yaml").read_text()
    text = text[text.index("\ninstruct:"):]
    text = re.sub(r"\n +min_(log_likelihood|gain): [^\n]*", "", text)
    text = text.replace("rank: 16", "rank: 8").replace("alpha: 16", "alpha: 8")
    text = text.replace("num_held_out: 10", "num_held_out: 4")
    text = text.replace("max_new_tokens: 256", "max_new_tokens: 64")
    text = text.replace("num_instructions: 72", f"num_instructions: {flags.rows}")
    text = text.replace("num_red_team: 24", f"num_red_team: {flags.rows // 3}")
    return text


def make_project(flags, facts):
    """The example, with a base, a small recipe and what CPUs need."""
    shutil.copytree(EXAMPLE, flags.project)
    shutil.copytree(flags.base, flags.project / "models/base")
    path = flags.project / "compose.yaml"
    text = path.read_text()
    path.write_text(re.sub(r"\n    deploy: [^\n]*", "", text))
    (flags.project / "compose.override.yaml").write_text(OVERRIDE.format(**facts))
    path = flags.project / "recipe.yaml"
    path.write_text(
        path.read_text() +
        "prompts_overlay: /opt/selfalign/share/selfalign/prompts/small\n" +
        small_sections(flags))


class Compose:
    """`docker compose` in the project's folder."""

    def __init__(self, flags):
        self.flags = flags
        self.log = flags.out / "compose.log"
        self.run = flags.project / "runs/compose"

    def start(self, *arguments):
        with self.log.open("a") as log:
            return subprocess.Popen([*self.flags.compose, "--project-name", PROJECT,
                                     *arguments],
                                    cwd=self.flags.project, stdout=log, stderr=log)

    def call(self, *arguments):
        code = self.start(*arguments).wait()
        checks.expect(code == 0, f"{arguments} ended with {code}; see {self.log}")

    def state(self, service):
        name = docker("ps", "--all", "--quiet",
                      "--filter", f"label=com.docker.compose.project={PROJECT}",
                      "--filter", f"label=com.docker.compose.service={service}")
        return json.loads(docker("inspect", name))[0] if name else None

    def logs(self, service):
        done = subprocess.run(["docker", "logs", self.state(service)["Id"]],
                              capture_output=True, text=True)
        return done.stdout + done.stderr

    def wait_for(self, what, is_time, command=None):
        begin = time.time()
        while not is_time():
            checks.expect(not command or command.poll() is None,
                          f"it ended before {what}; see {self.log}")
            state = self.state("selfalign")
            if state and state["State"]["Status"] == "exited":
                raise AssertionError(
                    f"it ended with {state['State']['ExitCode']} before {what}: "
                    f"{self.logs('selfalign')[-300:]}")
            time.sleep(0.2)
        print(f"   {what} after {time.time() - begin:.0f} s", flush=True)

    def expect_end(self, code, begin=None):
        """The coordinator has ended, and so."""
        state = self.state("selfalign")["State"]
        checks.expect((state["Status"], state["ExitCode"]) == ("exited", code),
                      (state, self.logs("selfalign")[-300:]))
        if begin:
            print(f"   saved and ended after {time.time() - begin:.0f} s", flush=True)


def stored(run):
    return dict(check_fleet.query(run, "select key, text || time_s from completions"))


def is_running(compose):
    state = compose.state("selfalign")
    return state is not None and state["State"]["Status"] == "running"


def interrupt_answers(compose):
    process = compose.start("up")
    compose.wait_for("five answers",
                     lambda: check_fleet.num_rows(compose.run, "align.answers") >= 5,
                     process)
    begin = time.time()
    process.send_signal(signal.SIGINT)
    process.wait()
    compose.expect_end(75, begin)


def stop_training(compose):
    compose.call("up", "--detach")
    compose.wait_for("a step of training",
                     lambda: (compose.run / "engraved/metrics.jsonl").exists())
    begin = time.time()
    compose.call("stop")
    compose.expect_end(75, begin)


def num_loads(compose, server):
    return compose.logs(server).count("POST /v1/load_lora_adapter")


def lose_server(compose):
    """Killed where Docker does not know of it: as one that fails."""
    compose.call("up", "--detach")
    compose.wait_for("three long answers",
                     lambda: check_fleet.num_rows(compose.run, "verbose.answers") >= 3)
    loads = num_loads(compose, "server1")
    os.kill(compose.state("server1")["State"]["Pid"], signal.SIGKILL)
    compose.wait_for("a server killed and started again",
                     lambda: compose.state("server1")["RestartCount"] == 1)
    compose.wait_for("its adapter loaded again",
                     lambda: num_loads(compose, "server1") > loads)


def whole_run(compose):
    interrupt_answers(compose)
    before = stored(compose.run)
    stop_training(compose)
    later = stored(compose.run)
    checks.expect(before.items() <= later.items(), "a row is another one")
    lose_server(compose)
    while is_running(compose):
        time.sleep(1)
    compose.expect_end(0)
    checks.expect(later.items() <= stored(compose.run).items(), "a row is another one")
    log = compose.logs("selfalign")
    shares = re.findall(r"servers: (http.*)", log)
    print("   " + "\n   ".join(shares))
    for name in ("server1", "server2"):
        checks.expect(any(f"http://{name}:8000/v1 " in share for share in shares), shares)


def main():
    flags = parse_flags()
    need(flags)
    flags.out = flags.out.resolve()
    flags.out.mkdir(parents=True)
    flags.project = flags.out / "compose"
    check_fleet.make_base(flags)
    facts = find_vllm(flags)
    make_debian(flags)
    make_server(flags, facts)
    make_selfalign(flags)
    make_project(flags, facts)
    compose = Compose(flags)
    try:
        whole_run(compose)
        subprocess.run([flags.selfalign, "verify", compose.run], check=True)
    finally:
        for name in ("server1", "server2", "selfalign"):
            if compose.state(name):
                (flags.out / f"{name}.log").write_text(compose.logs(name))
        compose.call("down")
    print("ok")


if __name__ == "__main__":
    main()

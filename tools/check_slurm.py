# SPDX-License-Identifier: Apache-2.0
"""A run by examples/slurm on a real Slurm of this machine, preempted twice.

  check_slurm.py --out FOLDER [--base FOLDER] [--python PYTHON] [--rows N]

Debian's slurmctld, two slurmd and munged are started in a network and a space of
mounts of their own (root is needed), where n0 and n1 are names of this machine. The job of
examples/slurm/selfalign.sbatch runs on both: `selfalign serve` on each, torchrun over
both. It is told to end, as a preemption does (SIGUSR1), while answers are written
and while it trains; each time it saves, is put in the queue again and goes on. At
its end `verify` must be clean, and both servers must have answered.

--base and --python are as of check_fleet.py. What is missing is said, and ends this
with 77.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import time

import check_fleet
import checks

ROOT = check_fleet.ROOT
KEY = "of-this-check"
PROGRAMS = ["slurmctld", "slurmd", "sbatch", "munged", "unshare", "ip"]
CONF = """ClusterName=check
SlurmctldHost={host}(10.77.0.1)
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SlurmUser=root
StateSaveLocation={out}/state
SlurmdSpoolDir={out}/spool-%n
SlurmctldLogFile={out}/slurmctld.log
SlurmdLogFile={out}/slurmd-%n.log
SlurmctldPidFile={out}/slurmctld.pid
SlurmdPidFile={out}/slurmd-%n.pid
ReturnToService=2
NodeName=n0 NodeHostname={host} NodeAddr=10.77.0.1 Port=17001 CPUs=2
NodeName=n1 NodeHostname={host} NodeAddr=10.77.0.2 Port=17002 CPUs=2
PartitionName=all Nodes=ALL Default=YES State=UP
"""


def parse_flags():
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--base", type=pathlib.Path)
    flags.add_argument("--out", type=pathlib.Path, required=True)
    flags.add_argument("--python", default=sys.executable)
    flags.add_argument("--rows", type=int, default=18)
    flags.add_argument("--selfalign", type=pathlib.Path,
                       default=ROOT / "build/selfalign")
    return flags.parse_args()


def need(flags):
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if os.geteuid() != 0:
        missing.append("root")
    if missing:
        print("skipped: there is no", ", no ".join(missing))
        sys.exit(check_fleet.SKIPPED)
    flags.server = str(flags.selfalign)
    check_fleet.need(flags)


def in_own_space():
    """Starts this again where network, /etc/hosts and /run are its own."""
    if os.environ.get("CHECK_SLURM_INSIDE"):
        return
    os.execvpe("unshare", ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc",
                           "--kill-child", sys.executable, "-B", *sys.argv],
               {**os.environ, "CHECK_SLURM_INSIDE": "1"})


def start_slurm(out):
    for line in ("link set lo up", "addr add 10.77.0.1/32 dev lo",
                 "addr add 10.77.0.2/32 dev lo"):
        subprocess.run(["ip", *line.split()], check=True)
    hosts = out / "hosts"
    hosts.write_text(pathlib.Path("/etc/hosts").read_text() +
                     "\n10.77.0.1 n0\n10.77.0.2 n1\n")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", "/run"], check=True)
    for name in ("state", "spool-n0", "spool-n1"):
        (out / name).mkdir()
    host = os.uname().nodename
    (out / "slurm.conf").write_text(CONF.format(host=host, out=out))
    os.environ["SLURM_CONF"] = str(out / "slurm.conf")
    os.mkdir("/run/munge")
    shutil.chown("/run/munge", "munge", "munge")
    subprocess.run(["su", "-s", "/bin/sh", "munge", "-c", "munged"], check=True)
    subprocess.run(["slurmctld"], check=True)
    for node in ("n0", "n1"):
        subprocess.run(["slurmd", "-N", node], check=True)


def recipe(flags):
    path = check_fleet.recipe(flags, "served", True)
    cluster = str(check_fleet.CLUSTER)
    # Of so few samples half precision would tell no gain from other kernels.
    path.write_text(path.read_text().replace(cluster, '"$CLUSTER"').replace(
        "model:\n", "model:\n  dtype: float32\n", 1))
    return path


def submit(flags, path):
    bin_folder = pathlib.Path(flags.python).parent
    key_file = flags.out / "key"
    key_file.touch(mode=0o600)
    key_file.write_text(KEY + "\n")
    env = {**os.environ, "CLUSTER": str(check_fleet.CLUSTER), "SERVER": "selfalign",
           "MERGE": "0", "STATE": str(flags.out / "servers"), "PROCESSES": "1",
           "OPTIONS": f"--max-context 4096 --api-key-file {key_file}",
           "SELFALIGN_REMOTE_KEY": f"n0:8161 {KEY} n1:8161 {KEY}",
           "FLAGS": "--key-over-http", "PORT": "8161",
           "TORCHRUN": str(bin_folder / "torchrun"),
           "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1",
           "PATH": f"{flags.selfalign.resolve().parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sbatch", "--parsable", "--gpus-per-node=0", "--time=60",
         ROOT / "examples/slurm/selfalign.sbatch", path],
        env=env, cwd=flags.out, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def job(number):
    text = subprocess.run(["scontrol", "--oneliner", "show", "job", number],
                          capture_output=True, text=True).stdout
    return dict(part.split("=", 1) for part in text.split() if "=" in part)


def wait_for(number, what, is_time):
    begin = time.time()
    while not is_time():
        state = job(number).get("JobState")
        checks.expect(state in ("PENDING", "RUNNING", "COMPLETING", "REQUEUED"),
                      (state, what))
        time.sleep(0.5)
    print(f"   {what} after {time.time() - begin:.0f} s", flush=True)


def has_step(metrics):
    return metrics.exists() and metrics.stat().st_size > 0


def preempt(number, restarts):
    subprocess.run(["scancel", "--batch", "--signal=USR1", number], check=True)
    wait_for(number, "queued again and begun",
             lambda: job(number).get("Restarts") == str(restarts) and
             job(number).get("JobState") == "RUNNING")


def main():
    flags = parse_flags()
    need(flags)
    in_own_space()
    flags.out = flags.out.resolve()
    flags.out.mkdir(parents=True)
    check_fleet.make_base(flags)
    start_slurm(flags.out)
    path = recipe(flags)
    number = submit(flags, path)
    folder = flags.out / "served"
    wait_for(number, "five answers",
             lambda: check_fleet.num_rows(folder, "align.answers") >= 5)
    preempt(number, 1)
    wait_for(number, "a step of training",
             lambda: has_step(folder / "engraved/metrics.jsonl"))
    preempt(number, 2)
    while job(number).get("JobState") != "COMPLETED":
        state = job(number).get("JobState")
        checks.expect(state in ("RUNNING", "COMPLETING"), state)
        time.sleep(1)
    subprocess.run([flags.selfalign, "verify", folder], check=True)
    log = (flags.out / f"slurm-{number}.out").read_text()
    for node in ("n0", "n1"):
        checks.expect(f"http://{node}:8161/v1 " in log, log[-400:])
    print("ok")


if __name__ == "__main__":
    main()

"""A SLURM of our own: munge, slurmctld and a slurmd for every node, on loopback, everything in one folder."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "srun", "scontrol", "sinfo")
START_SECONDS = 60


def missing_programs():
    return [name for name in PROGRAMS if shutil.which(name) is None]


def free_ports(n):
    held = [socket.socket() for _ in range(n)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


class PrivateSlurm:
    """``enforce_memory`` kills jobs that take more than they asked for; it needs a writable cgroup file system."""

    def __init__(self, folder, *, nodes=2, enforce_memory=False):
        self.folder = Path(folder).resolve()
        self.conf = self.folder / "slurm.conf"
        self.nodes = [f"n{i}" for i in range(1, nodes + 1)]
        self._enforce = enforce_memory
        self.environment = os.environ | {"SLURM_CONF": str(self.conf)}

    def start(self):
        for name in ("munge", "socket", "state", "log", "run", *(f"spool/{node}" for node in self.nodes)):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "munge").chmod(0o700)
        self._munge()
        controller, *ports = free_ports(1 + len(self.nodes))
        self.conf.write_text(self._configuration(controller, ports))
        (self.folder / "cgroup.conf").write_text(self._cgroups())
        self.call("slurmctld", "-c", "-f", str(self.conf))
        for node in self.nodes:
            self.start_node(node)

    def start_node(self, node):
        self.call("slurmd", "-f", str(self.conf), "-N", node)
        end = time.monotonic() + START_SECONDS
        while node not in self.call("sinfo", "-h", "-N", "-t", "idle,mixed,allocated", "-o", "%N").split():
            assert time.monotonic() < end, self.call("sinfo") + self._logs()
            time.sleep(0.1)

    def kill_node(self, node):
        """The machine dies: its daemon, the keepers of its jobs, and the jobs."""
        jobs = self.call("squeue", "-h", "-w", node, "-o", "%A").split()
        victims = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                name, words = process.name(), process.cmdline()
                ours = process.cwd().startswith(str(self.folder))
                if name == "slurmd" and str(self.conf) in words and node in words:
                    victims.append(process)
                elif name == "slurmstepd" and ours and any(word.startswith(f"[{job}.") for job in jobs for word in words):
                    victims += [process, *process.children(recursive=True)]
        for process in victims:
            with suppress(psutil.Error):
                process.kill()
        return jobs

    def stop(self):
        if not self.conf.exists():
            return
        self.call("scancel", "--user", str(os.getuid()), check=False)
        end = time.monotonic() + 20
        while self.jobs() and time.monotonic() < end:
            time.sleep(0.2)
        for file in (*(self.folder / "run").glob("*.pid"), self.folder / "munge" / "munged.pid"):
            with suppress(OSError, ValueError):
                os.kill(int(file.read_text()), signal.SIGTERM)

    def call(self, *command, check=True):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env=self.environment, cwd=self.folder
        )
        assert not check or done.returncode == 0, f"{command}: {done.stderr}{self._logs()}"
        return done.stdout

    def jobs(self, what="%i"):
        """Jobs that wait, run or end."""
        return self.call("squeue", "-h", "-o", what, check=False).split()

    def _munge(self):
        key = self.folder / "munge" / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        places = {name: self.folder / "munge" / f"munged.{name}" for name in ("pid", "log", "seed")}
        files = [f"--{name}-file={place}" for name, place in places.items()]
        # --force: the folders of tests are closed to other users, whom munge would serve as well.
        own = ["--force", f"--key-file={key}", f"--socket={self._socket()}", "--num-threads=2"]
        self.call("munged", *own, *files)

    def _socket(self):
        return self.folder / "socket" / "munge"

    def _configuration(self, controller, ports):
        host, folder = socket.gethostname().partition(".")[0], self.folder
        memory = psutil.virtual_memory().total // (1 << 20) // len(self.nodes)
        tracking = ("cgroup", "cgroup", "CR_Core_Memory") if self._enforce else ("pgid", "none", "CR_Core")
        settings = {
            "ClusterName": "simprune",
            "SlurmctldHost": f"{host}(127.0.0.1)",
            "SlurmUser": "root",
            "SlurmdUser": "root",
            "AuthType": "auth/munge",
            "AuthInfo": f"socket={self._socket()}",
            "CredType": "cred/munge",
            "SlurmctldPort": controller,
            "SlurmctldPidFile": folder / "run" / "slurmctld.pid",
            "SlurmdPidFile": folder / "run" / "slurmd.%n.pid",
            "StateSaveLocation": folder / "state",
            "SlurmdSpoolDir": folder / "spool" / "%n",
            "SlurmctldLogFile": folder / "log" / "slurmctld.log",
            "SlurmdLogFile": folder / "log" / "slurmd.%n.log",
            "ProctrackType": f"proctrack/{tracking[0]}",
            "TaskPlugin": f"task/{tracking[1]}",
            "JobAcctGatherType": "jobacct_gather/none",
            "AccountingStorageType": "accounting_storage/none",
            "SwitchType": "switch/none",
            "MpiDefault": "none",
            "SchedulerType": "sched/backfill",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": tracking[2],
            "SchedulerParameters": "batch_sched_delay=0,sched_interval=2,bf_interval=2",
            "CommunicationParameters": "NoCtldInAddrAny,NoInAddrAny",
            "ReturnToService": 2,
            "SlurmctldTimeout": 10,
            "SlurmdTimeout": 5,
            "KillWait": 3,
            "InactiveLimit": 0,
            "MinJobAge": 300,
            "Waittime": 0,
        }
        lines = [f"{name}={value}" for name, value in settings.items()]
        lines += [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={os.cpu_count()} "
            f"RealMemory={memory} State=UNKNOWN"
            for node, port in zip(self.nodes, ports, strict=True)
        ]
        lines.append(
            f"PartitionName=debug Nodes={','.join(self.nodes)} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4"
        )
        return "\n".join(lines) + "\n"

    def _cgroups(self):
        version = "v1" if Path("/sys/fs/cgroup/memory").is_dir() else "v2"
        constrained = "yes" if self._enforce else "no"
        return (
            f"CgroupPlugin=cgroup/{version}\nCgroupAutomount=no\nIgnoreSystemd=yes\nConstrainCores=no\n"
            f"ConstrainRAMSpace={constrained}\nConstrainDevices=no\n"
        )

    def _logs(self):
        return "".join(f"\n{log.name}:\n{log.read_text()[-2000:]}" for log in (self.folder / "log").glob("*.log"))

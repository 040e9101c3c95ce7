"""The brokers that are compared, with one set of handles: start, stop, kill, and what their processes use.

    broker = Forka(folder, "durable") or Kafka(folder, "durable", jars)
    broker.start(); ... broker.bootstrap ...; broker.stop()

Durability is compared like with like:

    durable   acks=all is answered when the records are on disk. Forka: its default. Kafka: each append is followed by a
              sync of the segment (log.flush.interval.messages=1)
    relaxed   acks=all is answered from memory, the disk comes later. Forka: durability=relaxed. Kafka: its default
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

from harness import procs, wire

READY_S = 90

# What Kafka's own start script (bin/kafka-run-class.sh) gives to the JVM; the heaps are those of its tools' scripts.
JVM = [
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:MaxInlineLevel=15",
    "-Djava.awt.headless=true",
]
BROKER_HEAP = ["-Xmx1G", "-Xms1G"]
QUIET = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]

# The figures of the server.properties that Kafka is delivered with; everything else is left at its defaults. Only
# the last one is ours: what a load has left is gone before the next one is measured.
SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs={data}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.segment.delete.delay.ms=1000
"""


class NotReady(Exception):
    """A broker has not come up, or has gone."""


class Broker:
    name = ""

    def __init__(self, folder, durability):
        self.folder = folder
        self.durability = durability
        self.data = os.path.join(folder, "data")
        self.log_path = os.path.join(folder, "log")
        self.port, self.second_port = free_port(), free_port()
        self.process = None
        os.makedirs(folder, exist_ok=True)

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def command(self):
        raise NotImplementedError

    def prepare(self):
        """Whatever a store needs before its first start; nothing where it is there."""

    def forget_store(self):
        shutil.rmtree(self.data, ignore_errors=True)

    def start(self):
        self.prepare()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=procs.die_with_parent,
            )
        deadline = time.monotonic() + READY_S
        while not wire.answers(self.port):
            if self.process.poll() is not None:
                raise NotReady(f"{self.name} ended with status {self.process.returncode}: see {self.log_path}")
            if time.monotonic() > deadline:
                raise NotReady(f"{self.name} does not answer after {READY_S} s: see {self.log_path}")
            time.sleep(0.01)
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None

    def kill(self):
        """SIGKILL all its processes, as a crash of everything would."""
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = None
        time.sleep(0.2)  # the children are not ours to wait for

    # --- what it uses ----------------------------------------------------------------------------------------

    def pids(self):
        if not self.process or self.process.poll() is not None:
            return []
        return [self.process.pid, *procs.children(self.process.pid).values()]

    def cpu_s(self):
        """CPU time that its processes have had, ended threads included."""
        return sum(process_cpu_s(pid) for pid in self.pids())

    def own_mb(self):
        """Memory that is no mapped file, pages that several processes share counted in each: cheap to ask for."""
        return sum(status_kb(pid, "RssAnon") + status_kb(pid, "RssShmem") for pid in self.pids()) / 1024

    def resident_mb(self):
        """(all, besides the store's mapped files), shared pages counted once."""
        besides = sum(procs.resident_besides_kb(pid, os.path.realpath(self.data)) for pid in self.pids())
        return procs.resident_kb(self.pids()) / 1024, besides / 1024


class Forka(Broker):
    name = "forka"

    def __init__(self, folder, durability, program, workers):
        super().__init__(folder, durability)
        self.program = os.path.abspath(program)
        self.workers = workers

    def command(self):
        listen = f"listeners=PLAINTEXT://127.0.0.1:{self.port}"
        options = ["-w", str(self.workers), "-o", listen, "-o", f"durability={self.durability}", "-d", self.data]
        return [self.program, *options]

    def version(self):
        return subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout.strip()


class Kafka(Broker):
    name = "kafka"

    def __init__(self, folder, durability, jars, version):
        super().__init__(folder, durability)
        self.jars = jars
        self.properties = os.path.join(folder, "server.properties")
        self.kafka_version = version

    def prepare(self):
        if os.path.exists(os.path.join(self.data, "meta.properties")):
            return
        with open(self.properties, "w", encoding="ascii") as file:
            file.write(SERVER_PROPERTIES.format(port=self.port, controller=self.second_port, data=self.data))
            if self.durability == "durable":
                file.write("log.flush.interval.messages=1\n")
        arguments = ["format", "-t", "Zm9ya2EtYmVuY2gtcGVlcg", "-c", self.properties]
        done = subprocess.run(
            java(self.jars, "kafka.tools.StorageTool", *arguments), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise NotReady(f"Kafka's storage cannot be formatted: {done.stdout}{done.stderr}")

    def command(self):
        return java(self.jars, "kafka.Kafka", self.properties, heap=BROKER_HEAP)

    def version(self):
        return f"Apache Kafka {self.kafka_version}"


def java(jars, main, *arguments, heap=("-Xmx512M",)):
    """A command line for one of Kafka's programs, with the options that its scripts use."""
    return [shutil.which("java") or "java", *heap, *JVM, *QUIET, "-cp", os.path.join(jars, "*"), main, *arguments]


# ---- Processes -----------------------------------------------------------------------------------------------


def free_port(given=set()):
    """A port that nobody listens on, another one each time: who asked before may not listen yet."""
    with contextlib.ExitStack() as held:
        while (port := procs.free_port()) in given:
            held.enter_context(socket.socket()).bind(("127.0.0.1", port))
    given.add(port)
    return port


def process_cpu_s(pid):
    """The process's CPU clock (clock_getcpuclockid): nanoseconds, of all its threads, living and ended."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


def status_kb(pid, field):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(field + ":")), 0)
    except OSError:
        return 0


class Watch:
    """CPU time and the greatest memory of a broker while a block runs."""

    def __init__(self, broker, every_s=0.2):
        self.broker = broker
        self.every_s = every_s
        self.own_mb = 0.0
        self.cpu_s = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self):
        while True:
            self.own_mb = max(self.own_mb, self.broker.own_mb())
            if self._done.wait(self.every_s):
                return

    def __enter__(self):
        self.cpu_s = -self.broker.cpu_s()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.cpu_s += self.broker.cpu_s()
        self._done.set()
        self._thread.join()

"""Copies of a store that is being written. Each must be a store: whole, a prefix of every partition, nothing acknowledged missing."""

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time

from harness import patience
from harness.broker import Broker
from harness.cases import Skip, case, equal, eventually, note, run_cases
from load import Load, create, number_of, read_all

from confluent_kafka import Consumer, TopicPartition

PARTITIONS = 3
LINE = re.compile(r"copied (\d+) bytes in ([\d.]+) s, all up to commit (\d+), to (\S+)/data\.mdb\n")


def command(broker, directory, *flags):
    return [patience.broker_path(), "backup", "-d", broker.data, *flags, directory]


def run(broker, directory, *flags, **options):
    return subprocess.run(
        command(broker, directory, *flags), capture_output=True, text=True, timeout=60 * patience.factor(), **options
    )


def back_up(broker, directory, *flags):
    """(bytes, seconds, commit) as the command says."""
    done = run(broker, directory, *flags)
    equal(done.returncode, 0, f"status of the backup: {done.stderr}")
    said = LINE.fullmatch(done.stdout)
    assert said and said.group(4) == directory, f"it said {done.stdout!r}"
    equal(os.listdir(directory), ["data.mdb"], "files of the backup")
    equal(os.path.getsize(os.path.join(directory, "data.mdb")), int(said.group(1)), "size of the backup")
    return int(said.group(1)), float(said.group(2)), int(said.group(3))


@contextlib.contextmanager
def folder():
    path = tempfile.mkdtemp(prefix="forka-backup-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def fill(broker, topic, megabytes):
    """A store so large that a copy takes a while."""
    create(broker, topic)
    with Load(broker, topic, 1, {"acks": "1", "compression.type": "none"}, padding=200_000) as load:
        load.wait(megabytes * 5, 60)
    equal(load.errors, [], "errors of the producer")


def check_acknowledged(log, acknowledged, topic):
    for number, (partition, offset) in acknowledged.items():
        held = log[partition]
        assert offset < len(held), f"{topic}: message {number} was acknowledged at {partition}/{offset}; {len(held)} are there"
        equal(number_of(held[offset][1]), number, f"{topic}: what lies at {partition}/{offset}")


def check_prefix(log, whole, topic):
    for partition, held in log.items():
        equal([offset for offset, _ in held], list(range(len(held))), f"{topic}: offsets of partition {partition}")
        equal(held, whole[partition][: len(held)], f"{topic}: partition {partition}")


class Reader:
    """A group that reads one topic and commits as it goes; knows what was acknowledged as committed."""

    def __init__(self, broker, topic):
        self.committed = {}
        self.read = []
        self.client = Consumer(
            {
                "bootstrap.servers": broker.bootstrap,
                "group.id": "readers",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "check.crcs": True,
                "log_level": 2,
            }
        )
        self.client.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])

    def go_on(self, messages):
        """Read so many more, and commit."""
        target = len(self.read) + messages
        deadline = time.monotonic() + 20 * patience.factor()
        while len(self.read) < target:
            for message in self.client.consume(200, 0.1):
                assert not message.error(), message.error()
                self.read.append((message.partition(), message.offset()))
            assert time.monotonic() < deadline, f"the group read {len(self.read)} of {target} messages"
        for done in self.client.commit(asynchronous=False):
            assert not done.error, done.error
            self.committed[done.partition] = done.offset


def check_group(broker, topic, committed, log):
    """The group's offsets are there, no older than those acknowledged, and a member goes on from there, without a gap."""
    client = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": "readers",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "log_level": 2,
        }
    )
    client.subscribe([topic])
    found = client.committed([TopicPartition(topic, p) for p in range(PARTITIONS)], timeout=20)
    begin = {t.partition: t.offset for t in found}
    for partition, offset in committed.items():
        assert offset <= begin[partition] <= len(log[partition]), f"partition {partition}: {offset} was committed, {begin} is there"
    expected = {(p, o) for p, held in log.items() for o in range(begin[p], len(held))}
    got, deadline = [], time.monotonic() + 20 * patience.factor()
    while len(got) < len(expected) and time.monotonic() < deadline:
        got += [(m.partition(), m.offset()) for m in client.consume(1000, 0.1)]
    client.close()
    equal(sorted(got), sorted(expected), "what the group reads on")


@case("six backups of a store that is written, two of them compacted: each has all that was acknowledged before it", timeout_s=120)
def under_load():
    with folder() as parent, Broker() as broker:
        copies = []
        for topic in ("all", "one"):
            create(broker, topic, PARTITIONS)
        group = Reader(broker, "all")
        safe, fast = {"enable.idempotence": True}, {"acks": "1"}
        with Load(broker, "all", PARTITIONS, safe, 500, 0.001) as everything, Load(broker, "one", PARTITIONS, fast, 500, 0.001) as one:
            for i in range(6):
                everything.wait(250)
                one.wait(250)
                group.go_on(200)
                before = dict(everything.acknowledged), dict(one.acknowledged), dict(group.committed)
                directory = os.path.join(parent, f"copy{i}")
                said = back_up(broker, directory, *(["--compact"] if i % 3 == 1 else []))
                copies.append((directory, *before, said))
            everything.wait(200)
        group.client.close()
        whole = {topic: read_all(broker, topic, PARTITIONS) for topic in ("all", "one")}
        for i, (directory, *before, committed, said) in enumerate(copies):
            judge_copy(directory, before, committed if i >= 4 else None, whole)
            note(f"{said[0]} bytes in {said[1]} s, commit {said[2]}")


def judge_copy(directory, acknowledged, committed, whole):
    with Broker(data=directory, workers=2) as restored:
        for topic, ledger in zip(("all", "one"), acknowledged):
            log = read_all(restored, topic, PARTITIONS)
            check_acknowledged(log, ledger, topic)
            check_prefix(log, whole[topic], topic)
            if topic == "all" and committed is not None:
                check_group(restored, topic, committed, log)
        with Load(restored, "all", PARTITIONS, {"acks": "all"}) as more:
            more.wait(100)
        equal(more.errors, [], "errors of a producer on the copy")


def catch(process, directory):
    """Stop the process (SIGSTOP) in the middle of its work. False: it was too fast."""
    unfinished = os.path.join(directory, "data.mdb.unfinished")
    while process.poll() is None and not os.path.exists(unfinished):
        time.sleep(0.0002)
    if process.poll() is not None:
        return False
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    return os.path.exists(unfinished) and not os.path.exists(os.path.join(directory, "data.mdb"))


def heed_signals():
    """Who is started in the background by a shell inherits SIGINT as ignored, and a backup leaves what is ignored so."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def caught(broker, parent, *flags):
    """(process, directory) of a backup that was stopped half-way."""
    for attempt in range(20):
        directory = tempfile.mkdtemp(dir=parent)
        process = subprocess.Popen(
            command(broker, directory, *flags), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_signals
        )
        if catch(process, directory):
            return process, directory
        process.kill()
        process.communicate()
        shutil.rmtree(directory)
    raise AssertionError("twenty backups were too fast to be stopped half-way")


def readers_of(broker):
    """Pids in LMDB's table of readers."""
    done = subprocess.run(["mdb_stat", "-r", broker.data], capture_output=True, text=True, timeout=20)
    return {int(line.split()[0]) for line in done.stdout.splitlines() if re.match(r"\s*\d+\s", line)}


@case("stopped half-way, a backup holds nobody up; killed, it leaves no store, and its reader is cleared away", timeout_s=90)
def half_way():
    with folder() as parent, Broker(workers=2) as broker:
        broker.expect_deaths()
        fill(broker, "large", 100)
        create(broker, "t", PARTITIONS)
        for flags in ([], ["--compact"]):
            with Load(broker, "t", PARTITIONS, {"acks": "1"}) as load:
                load.wait(100)
                process, directory = caught(broker, parent, *flags)
                try:
                    load.wait(3000, 10)
                    assert process.pid in eventually(lambda: readers_of(broker)), "the backup reads"
                finally:
                    process.kill()
                    process.communicate()
            equal(load.errors, [], "errors of the producer")
            equal(os.listdir(directory), ["data.mdb.unfinished"], "what a killed backup leaves")
            # Nobody takes it for a store, and the next one takes its place.
            refused = subprocess.run(
                [patience.broker_path(), "-o", "listeners=PLAINTEXT://127.0.0.1:0", "-d", directory],
                capture_output=True,
                text=True,
                timeout=20 * patience.factor(),
            )
            equal(refused.returncode, 1, "status of a broker on an unfinished backup")
            assert "a backup that was never finished" in refused.stderr, refused.stderr
            for name in os.listdir(directory):
                if name != "data.mdb.unfinished":
                    os.unlink(os.path.join(directory, name))
            back_up(broker, directory, *flags)
            os.kill(broker.children()["cleaner"], signal.SIGKILL)  # so that the dead are looked for now, not in ten seconds
            eventually(lambda: process.pid not in readers_of(broker), 15, "the dead backup's reader is gone")


@case("asked to end (SIGINT, SIGTERM), a backup leaves nothing behind", timeout_s=60)
def asked_to_end():
    with folder() as parent, Broker(workers=1) as broker:
        fill(broker, "large", 100)
        for number in (signal.SIGINT, signal.SIGTERM):
            for flags in ([], ["--compact"]):
                process, directory = caught(broker, parent, *flags)
                process.send_signal(number)
                process.send_signal(signal.SIGCONT)
                process.communicate(timeout=20 * patience.factor())
                equal(process.returncode, -number, "status")
                equal(os.listdir(directory), [], "what is left")


@case("a full target: an error that says so, status 1, nothing left behind; the broker does not notice", timeout_s=60)
def full_target():
    with folder() as parent, Broker(workers=1) as broker:
        fill(broker, "large", 40)
        limit = 8 << 20
        for flags in ([], ["--compact"]):
            directory = os.path.join(parent, "limited")
            done = run(broker, directory, *flags, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
            equal(done.returncode, 1, "status at a file-size limit")
            assert "File too large" in done.stderr and "no backup was made" in done.stderr, done.stderr
            assert not os.path.exists(directory), "the directory that was made is left"
        small = os.path.join(parent, "small")
        os.mkdir(small)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small], capture_output=True).returncode != 0:
            raise Skip("a file-size limit was tried, a small file system cannot be mounted by this user")
        try:
            for flags in ([], ["--compact"]):
                done = run(broker, small, *flags)
                equal(done.returncode, 1, "status with a full target")
                assert "No space left on device" in done.stderr and "no backup was made" in done.stderr, done.stderr
                equal(os.listdir(small), [], "what is left")
        finally:
            subprocess.run(["umount", small], check=True)
        assert "disk full" not in broker.log(), "the broker took the target's disk for its own"


@case("brokers that do not run: stopped, and killed", timeout_s=60)
def stopped():
    with folder() as parent:
        data = os.path.join(parent, "data")
        for i in range(2):
            broker = Broker(data=data, workers=2)
            with broker:
                if i == 0:
                    create(broker, "t")
                with Load(broker, "t", 1, {"acks": "1"}) as load:
                    load.wait(500)
                equal(load.errors, [], "errors of the producer")
                if i == 1:
                    broker.expect_deaths()
                    broker.kill()
                    broker.process = None
            copy = os.path.join(parent, f"copy{i}")
            back_up(broker, copy)
            with Broker(data=copy, workers=1) as restored:
                check_acknowledged(read_all(restored, "t", 1), load.acknowledged, "t")


@case("what cannot be: no store, a store there already, the same directory, no permission")
def refusals():
    with folder() as parent, Broker(workers=1) as broker:
        create(broker, "t")
        copy = os.path.join(parent, "copy")
        back_up(broker, copy)
        held = open(os.path.join(copy, "data.mdb"), "rb").read()
        for directory in (copy, broker.data):
            done = run(broker, directory)
            equal(done.returncode, 1, "status")
            assert "it holds a store already" in done.stderr, done.stderr
        equal(open(os.path.join(copy, "data.mdb"), "rb").read(), held, "the older backup")
        done = subprocess.run([patience.broker_path(), "backup", "-d", parent, os.path.join(parent, "x")], capture_output=True, text=True)
        equal(done.returncode, 1, "status without a store")
        assert "No such file" in done.stderr, done.stderr
        if os.geteuid() != 0:
            raise Skip("another user's backup: only root can be another user")
        open_to_all = os.path.join(parent, "open")
        os.mkdir(open_to_all)
        os.chmod(open_to_all, 0o777)
        for path in (parent, broker.temporary, os.path.dirname(parent)):
            os.chmod(path, 0o711)
        os.chmod(broker.data, 0o750)
        program = shutil.copy(patience.broker_path(), os.path.join(parent, "program"))
        done = subprocess.run([program, "backup", "-d", broker.data, open_to_all], capture_output=True, text=True, user="nobody", group="nogroup", extra_groups=[])
        equal(done.returncode, 1, "status for who may not read the store")
        assert "Permission denied" in done.stderr, done.stderr
        equal(os.listdir(open_to_all), [], "what is left")


if __name__ == "__main__":
    run_cases()

"""The broker that is attacked, and how it is looked after.

Around every case: processes, memory, file descriptors and log are noted before; afterwards a well-behaved client, on a
connection that was there all the while and on a new one, produces and reads; no process died; memory is bounded.

BOOTSTRAP in the environment (of who runs this suite by hand) attacks that broker instead, an Apache Kafka for instance.
Then only what can be seen over the wire is judged.
"""

import functools
import os
import re
import resource
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import frames  # noqa: E402
from harness import cases, patience, procs, wire  # noqa: E402
from harness.broker import Broker  # noqa: E402
from harness.cases import equal, eventually  # noqa: E402

PEER = os.environ.get("BOOTSTRAP")
GROWTH_KB = 64 << 10  # what all processes together may have more after a case than before all of them
TOPIC = f"hostile-{os.getpid()}"

broker = None
_citizen = None
_idle_kb = 0


def port():
    return int(PEER.rpartition(":")[2]) if PEER else broker.port


def connect(**options):
    return wire.Connection(port(), **options)


def settle():
    """An Apache Kafka answers before it serves a new topic."""
    if PEER:
        time.sleep(0.5)


class Citizen:
    """A client that does everything right. The topics are its own; so is what it finds in them."""

    def __init__(self):
        self.connection = connect()
        self.written = 0
        error = frames.created(self.connection.ask(frames.CREATE_TOPICS, 2, frames.create_body(TOPIC, TOPIC + "-good")))
        equal(error, [0, 0], "CreateTopics")
        settle()

    def check(self):
        """Produce, read back, ask for the end: on the old connection and on a new one."""
        self._work(self.connection)
        with connect() as new:
            self._work(new)

    def _work(self, connection):
        value = f"good {self.written}".encode()
        body = frames.produce_body(TOPIC + "-good", frames.batch([frames.record(value=value)]))
        equal(frames.produced(connection.ask(frames.PRODUCE, 7, body)), (0, self.written), "a good client's Produce")
        answer = connection.ask(frames.FETCH, 7, frames.fetch_body(TOPIC + "-good", self.written, wait_ms=2000))
        _, error, high, records = frames.fetched(answer)
        equal((error, high), (0, self.written + 1), "a good client's Fetch")
        assert value in records, "a good client did not read what it wrote"
        self.written += 1


def setup():
    """Start the broker and the citizen."""
    global broker, _citizen, _idle_kb
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    if not PEER:
        broker = Broker(options=["--log-level", "info"])
        broker.start()
    _citizen = Citizen()
    _citizen.check()
    _idle_kb = memory_kb()


def teardown():
    if broker:
        wrong = broker.stop()
        if wrong or os.environ.get("SHOW_LOG"):
            cases.note(broker.log()[-3000:])
        broker.remove()
        return wrong
    return []


# --- what a case may ask ----------------------------------------------------------------------------------------


def pids():
    return [] if PEER else [broker.pid, *broker.children().values()]


def memory_kb():
    """The broker's own memory, shared pages counted once. Pages of the store that are mapped are page cache, wherever it
    lies: on a tmpfs the kernel counts them as shared memory."""
    return sum(procs.resident_besides_kb(pid, broker.data) for pid in pids())


def descriptors():
    """Open files of all the broker's processes."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids())


def good_client_works():
    _citizen.check()


def memory_is_bounded(limit_kb=GROWTH_KB):
    if patience.sanitized():
        return  # AddressSanitizer keeps what was freed
    if os.environ.get("SHOW_MEMORY"):
        cases.note(f"{memory_kb() - _idle_kb} KB more than before the suite began")
    eventually(
        lambda: memory_kb() - _idle_kb < limit_kb,
        timeout_s=2,
        what=f"the broker has at most {limit_kb >> 10} MB more than before the suite began",
    )


def log_end():
    return 0 if PEER else len(broker.log())


def log_says(mark, *words):
    """A line that holds all the words (regular expressions) must come after the mark. Nothing to see with a PEER."""
    if PEER:
        return
    eventually(
        lambda: any(all(re.search(w, line, re.I) for w in words) for line in broker.log()[mark:].splitlines()),
        timeout_s=3,
        what=f"a log line with {' and '.join(words)}; it says\n{broker.log()[mark:][-1500:]}",
    )


def attack(payload, closes=True, linger_s=3.0, says=None):
    """
    Send raw bytes over a connection of their own. Closed by the broker within linger_s, or not, as told; one line of the
    log names this client and, where told, what was wrong.
    """
    mark = log_end()
    with connect() as c:
        client = c.local_port
        try:
            c.socket.sendall(payload)
        except OSError:
            pass  # closed while we were still sending: that is for is_closed to judge
        equal(c.is_closed(linger_s * patience.factor() if closes else 0.3), closes, "the broker closed")
    if closes:
        log_says(mark, rf"\b{client}\b", *([says] if says else []))


def ask_closed(key, version, body, says=None, flexible=False):
    """A request that is answered by closing the connection."""
    attack(frames.frame(frames.header(key, version, flexible=flexible) + body), says=says)


def hostile(name, timeout_s=20, limit_kb=GROWTH_KB):
    """Decorator: a case, and what must hold after it."""

    def add(function):
        @cases.case(name, timeout_s=timeout_s)
        @functools.wraps(function)
        def judged():
            before = pids()
            function()
            good_client_works()
            equal(pids(), before, "the broker's processes")
            memory_is_bounded(limit_kb)

        return judged

    return add


def end_offset():
    """Of the topic that is attacked."""
    with connect() as c:
        error, offset = frames.offset_of(c.ask(frames.LIST_OFFSETS, 1, frames.offsets_body(TOPIC)))
    equal(error, 0, "ListOffsets")
    return offset


def small_window(c):
    """A client that has little room for answers."""
    c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)


def answer_in_order(c, correlations):
    """The answers to these requests come, in their order. Gives their bodies."""
    bodies = []
    for wanted in correlations:
        got, body = c.receive()
        equal(got, wanted, "correlation id")
        bodies.append(body)
    return bodies


def i32(n):
    return struct.pack(">i", n)

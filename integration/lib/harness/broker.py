"""A broker of one's own: started on a free port with a store in a temporary folder, watched, stopped.

    with Broker() as broker:
        ... broker.bootstrap ...

Leaving the block stops it with SIGTERM and fails unless it ends with status 0 within 5 seconds, without a report of a
sanitizer, and with the very workers with which it began (expect_deaths() waives that for who kills them on purpose).
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from . import patience, procs, wire

STOP_S = 5  # a promise of the broker
READY_S = 10
SANITIZER = re.compile(r"(ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer)")
BROKEN = re.compile(r"\S+ broken invariant: .*")


def on_loopback(port):
    """Arguments that make a broker listen where nobody but this machine can reach it; its -p means every address."""
    return ["-o", f"listeners=PLAINTEXT://127.0.0.1:{port}"]


class Broker:
    def __init__(self, workers=4, options=(), data=None, port=None, arguments=None, program=None, environment=None):
        """
        options: further arguments of the command line. data: a folder that stays; default: temporary.
        arguments: the whole command line, for who tells the broker its workers, port and data in another way.
        program, environment: others than the broker under test and our own.
        """
        self.workers = workers
        self.options = list(options)
        self.temporary = tempfile.mkdtemp(prefix="forka-")
        self.data = data or os.path.join(self.temporary, "data")
        self.log_path = os.path.join(self.temporary, "log")
        self.port = port or procs.free_port()
        self.arguments = arguments
        self.program = program or patience.broker_path()
        self.environment = environment
        self.process = None
        self.first_workers = {}
        self.deaths_expected = False

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    # --- life ------------------------------------------------------------------------------------------------

    def command(self):
        usual = ["-w", str(self.workers), *on_loopback(self.port), "-d", self.data, *self.options]
        return [self.program, *(self.arguments or usual)]

    def spawn(self):
        """Start it without waiting. The log of a restarted broker is appended."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,  # Ctrl-C is for the test run, which stops the broker itself
                preexec_fn=procs.die_with_parent,
            )

    def start(self):
        """Start it and wait for its first answer."""
        self.spawn()
        deadline = time.monotonic() + READY_S * patience.factor()
        while not wire.answers(self.port):
            if self.process.poll() is not None:
                raise AssertionError(f"the broker ended with status {self.process.returncode}\n{self.log()}")
            if time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"no answer from the broker within {READY_S} s\n{self.log()}")
            time.sleep(0.002)
        # One worker answered; the others are forked by now but may not have given themselves their names.
        while set(children := self.children()) != self.expected_children():
            if time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"within {READY_S} s there were only {sorted(children)}\n{self.log()}")
            time.sleep(0.002)
        self.first_workers = {name: pid for name, pid in children.items() if name.startswith("worker-")}
        return self

    def stop(self, with_signal=signal.SIGTERM):
        """Stop it. Returns what was wrong with that and with its life, as a list of sentences."""
        if self.process is None:
            return []
        wrong = []
        if self.process.poll() is None:
            if not self.deaths_expected and self.worker_pids() != self.first_workers:
                wrong.append(f"workers died: at start {self.first_workers}, at the end {self.worker_pids()}")
            self.process.send_signal(with_signal)
            wrong += self._wait(STOP_S * patience.factor())
        elif not self.deaths_expected:
            wrong.append(f"the broker had ended by itself, with status {self.process.returncode}")
        log = self.log()
        for pattern, what in ((SANITIZER, "a sanitizer's report"), (BROKEN, "a broken invariant")):
            found = pattern.search(log)
            if found:
                wrong.append(f"{what} in the broker's log: {found.group(0)}")
        return wrong

    def _wait(self, timeout_s):
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            pids = [self.process.pid, *procs.children(self.process.pid).values()]
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
            return [f"the broker did not end within {timeout_s} s of the signal"]
        return [] if status == 0 else [f"the broker ended with status {status}"]

    def kill(self):
        """SIGKILL the supervisor, as a crash would; returns when its children are gone too (AssertionError: they stay)."""
        pids = procs.children(self.pid)
        self.process.kill()
        self.process.wait()
        deadline = time.monotonic() + 5 * patience.factor()
        while any(procs.alive(pid) for pid in pids.values()):
            if time.monotonic() > deadline:
                left = {name: pid for name, pid in pids.items() if procs.alive(pid)}
                for pid in left.values():
                    os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"these outlived the supervisor by 5 s: {left}")
            time.sleep(0.002)

    def remove(self):
        """Throw away its folder."""
        shutil.rmtree(self.temporary, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, kind, *_):
        wrong = self.stop()
        log = self.log()
        self.remove()
        if wrong and kind is None:
            raise AssertionError("; ".join(wrong) + "\n" + tail(log))
        if kind is not None:
            print("\n".join("# broker: " + line for line in tail(log).splitlines()), flush=True)

    # --- a look inside ---------------------------------------------------------------------------------------

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def expect_deaths(self):
        """The test kills some of the broker's processes: other workers at the end than at the start are no fault."""
        self.deaths_expected = True
        return self

    def expected_children(self):
        """The names of all children."""
        return {"checkpointer", "cleaner", *(f"worker-{i}" for i in range(self.workers))}

    def children(self):
        """{name: pid}, as expected_children() names them; where one has died, fewer for a moment."""
        return procs.children(self.pid)

    def worker_pids(self):
        return {name: pid for name, pid in self.children().items() if name.startswith("worker-")}

    def worker_of(self, client_port):
        """(name, pid) of the worker that serves the connection from this local port; None while none does."""
        workers = self.worker_pids()
        pid = procs.serving(self.port, client_port, workers.values())
        return next(((name, p) for name, p in workers.items() if p == pid), None)

    def connect(self, **options):
        return wire.Connection(self.port, **options)


def tail(text, lines=60):
    """The end of a log."""
    found = text.splitlines()
    return "\n".join((["..."] if len(found) > lines else []) + found[-lines:])

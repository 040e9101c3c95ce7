"""Cases of a suite. Each prints one line on standard output, which integration/run counts:

    ok - <name>
    not ok - <name>
    ok - <name> # SKIP <reason>

(TAP without numbers: any language can print it.) What went wrong follows as lines that begin with "# ".

    @case("five messages there and back")
    def five_messages():
        ...                       # an exception is a failure, Skip is a skip

    if __name__ == "__main__":
        run_cases()

CASE=<text> in the environment runs only the cases whose name holds the text.
"""

import os
import signal
import sys
import time
import traceback

from . import patience

_cases = []


class Skip(Exception):
    """The case cannot be shown here; the reason is printed and counted."""


class CaseTimeout(Exception):
    pass


def case(name, timeout_s=30):
    """Decorator: the function below is a case; it fails if it takes longer than timeout_s."""

    def add(function):
        _cases.append((name, timeout_s, function))
        return function

    return add


def note(text):
    """A figure or a remark, shown whether the case passes or not."""
    for line in str(text).splitlines():
        print("# " + line, flush=True)


def eventually(condition, timeout_s=10, what="condition", pause_s=0.005):
    """Wait until condition() gives something true, and return it. Polls: for what has no event to wait for."""
    deadline = time.monotonic() + timeout_s * patience.factor()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(pause_s)


def equal(actual, expected, what=""):
    """Assertion that shows both sides, cut to a readable length."""
    if actual != expected:
        raise AssertionError(f"{what + ': ' if what else ''}{_short(actual)} is not {_short(expected)}")


def _short(value):
    text = repr(value)
    return text if len(text) <= 600 else f"{text[:400]} ... {text[-160:]} ({len(text)} characters)"


def _ring(_signal, _frame):
    raise CaseTimeout("the case took too long")


def run_cases():
    """Run all cases in the order in which they were written. Exit status 0: all passed or were skipped."""
    only = os.environ.get("CASE", "")
    signal.signal(signal.SIGALRM, _ring)
    failed = 0
    for name, timeout_s, function in _cases:
        if only and only not in name:
            continue
        failed += not _run(name, timeout_s * patience.factor(), function)
    sys.stdout.flush()
    # Some clients' threads would keep the process alive; everything has been said.
    os._exit(1 if failed else 0)


def _run(name, timeout_s, function):
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        function()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Skip as reason:
        print(f"ok - {name} # SKIP {reason}", flush=True)
        return True
    except Exception:
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(f"not ok - {name}", flush=True)
        note(traceback.format_exc(limit=-6).rstrip())
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    print(f"ok - {name}", flush=True)
    return True

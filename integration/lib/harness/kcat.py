"""kcat as a function: other suites cross-read with it."""

import json
import os
import shutil
import subprocess

from . import patience

KCAT = shutil.which("kcat") or shutil.which("kafkacat")


class KcatError(AssertionError):
    pass


def kcat(*arguments, stdin=b"", timeout_s=20, bootstrap=None):
    """Run kcat against BOOTSTRAP and return its standard output. KcatError with its messages if it fails."""
    command = [KCAT, "-b", bootstrap or os.environ["BOOTSTRAP"], *map(str, arguments)]
    done = subprocess.run(
        command, input=stdin, capture_output=True, timeout=timeout_s * patience.factor(), check=False
    )
    if done.returncode:
        raise KcatError(f"{' '.join(command)}: status {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def produce(topic, messages, *arguments, **options):
    """Produce messages (bytes without newline), one per line."""
    kcat("-P", "-t", topic, *arguments, stdin=b"".join(m + b"\n" for m in messages), **options)


def consume(topic, *arguments, **options):
    """All that is in the topic, as values (bytes), partition by partition in no particular order."""
    # A short wait: with -e the end is known when the last fetch comes back empty.
    read = ("-C", "-q", "-J", "-e", "-X", "fetch.wait.max.ms=20", "-t", topic)
    return [json.loads(line) for line in kcat(*read, *arguments, **options).splitlines()]


def values(topic, *arguments, **options):
    """The values only, in the order in which they came."""
    return [message["payload"] for message in consume(topic, *arguments, **options)]

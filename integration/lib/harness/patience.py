"""How much slower than usual things may be. Deadlines are multiplied by this; sanitized brokers are slow."""

import functools
import os


def broker_path():
    """The broker under test: BROKER in the environment, else build/broker of this tree."""
    here = os.path.dirname(os.path.abspath(__file__))
    default = os.path.join(here, "..", "..", "..", "build", "broker")
    return os.path.abspath(os.environ.get("BROKER") or default)


@functools.lru_cache(maxsize=None)
def sanitized():
    try:
        with open(broker_path(), "rb") as file:
            program = file.read()
    except OSError:
        return False
    return b"__asan_init" in program or b"__ubsan_handle" in program


def factor():
    """PATIENCE in the environment, for slow machines; else 4 for a sanitized broker, else 1."""
    return float(os.environ.get("PATIENCE") or (4 if sanitized() else 1))

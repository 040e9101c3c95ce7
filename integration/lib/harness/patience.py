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
    """1, or more for a sanitized broker; PATIENCE in the environment multiplies it for slow machines."""
    return float(os.environ.get("PATIENCE", "1")) * (4 if sanitized() else 1)

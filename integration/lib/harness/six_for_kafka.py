"""Import this before kafka: kafka-python 2.0.2 bundles a copy of six that Python 3.12 cannot import from; the system's can."""

import sys

if sys.version_info >= (3, 12):
    import six.moves

    sys.modules["kafka.vendor.six.moves"] = six.moves

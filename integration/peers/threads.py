"""Who waits for whom: how much of the time a client's busiest thread has something to do.

A client whose one thread never sleeps is never kept waiting by a broker, however many processors are free beside it.
The kernel counts for each thread how long it ran, and how long it stood in line for a processor (schedstat). What
remains it slept: it waited for an answer, or for another thread. Time in line says nothing about either side, only that
the machine has others to serve, and is left out.
"""

import os


class Threads:
    """look() now and then while the process lives; then busiest() is ran / (ran + slept), 0 to 1, or None."""

    def __init__(self, pid):
        self.tasks = f"/proc/{pid}/task"
        self.looks = []  # (seconds, {thread: (seconds that it ran, seconds in line)})

    def look(self, now_s):
        self.looks.append((now_s, {thread: times for thread in self._threads() if (times := self._times(thread))}))

    def busiest(self):
        """Of the looks' middle half: neither start nor end of a client is what a load is about."""
        middle = self.looks[len(self.looks) // 4 : len(self.looks) * 3 // 4 + 1]
        if len(middle) < 2 or not middle[-1][1]:
            return None
        (began_s, before), (ended_s, after) = middle[0], middle[-1]
        most = 0.0
        for thread, (ran, in_line) in after.items():
            ran_before, in_line_before = before.get(thread, (0.0, 0.0))
            ran -= ran_before
            most = max(most, ran / max(ended_s - began_s - (in_line - in_line_before), ran, 1e-9))
        return most

    def _threads(self):
        try:
            return os.listdir(self.tasks)
        except OSError:
            return []

    def _times(self, thread):
        try:
            with open(f"{self.tasks}/{thread}/schedstat", encoding="ascii") as file:
                ran_ns, in_line_ns = file.read().split()[:2]
        except (OSError, ValueError):
            return None  # it has ended
        return int(ran_ns) / 1e9, int(in_line_ns) / 1e9

"""From a results file (session.py says what is in it) to tables, targets and plots.

A row of the tables is a load under one durability: the medians over all rounds, of both brokers. The report goes to
peers.md and plots beside it, and on demand into docs/benchmarks.md, between two comments, so that the prose around
stays. Needs nothing but the standard library.
"""

import json
import os
import statistics

import svg
import targets

HERE = os.path.dirname(os.path.abspath(__file__))
DOCS = os.path.join(os.path.dirname(os.path.dirname(HERE)), "docs")
BEGIN = "<!-- made by `make bench-peers`; what is written here by hand is lost -->"
END = "<!-- end of what `make bench-peers` makes -->"
IDENTITY = ("durability", "load", "client", "size", "partitions", "producers", "flight", "codec")
TITLES = {
    "durable": "acks=all on disk: Forka as it is by default, Kafka with `log.flush.interval.messages=1`",
    "relaxed": "acks=all from memory: Forka with `durability=relaxed`, Kafka as it is by default",
}


class Row:
    """One load under one durability."""

    def __init__(self, identity):
        self.durability, self.load, self.client, self.size, self.partitions, self.producers, self.flight, self.codec = identity
        self.figures = {}  # peer -> field -> the values of all rounds
        self.errors = {}  # peer -> the last one

    def add(self, record):
        if "error" in record:
            self.errors[record["peer"]] = record["error"]
            return
        fields = self.figures.setdefault(record["peer"], {})
        for key, value in record.items():
            if isinstance(value, (int, float)) and key not in IDENTITY:
                fields.setdefault(key, []).append(value)

    def value(self, peer, field):
        """The median; None where nothing was measured."""
        values = self.figures.get(peer, {}).get(field)
        return statistics.median(values) if values else None

    def rounds(self, peer):
        return max((len(values) for values in self.figures.get(peer, {}).values()), default=0)

    def better(self, field, forka=None):
        """How many times better Forka is: above 1 it leads, whether more is better or less."""
        forka, kafka = forka or self.value("forka", field), self.value("kafka", field)
        if not forka or not kafka:
            return None
        return forka / kafka if field == "mb_per_s" else kafka / forka

    def name(self):
        parts = [self.load, size_in_words(self.size), self.codec]
        parts += [f"{self.producers} producers"] if self.producers > 1 and self.client == "librdkafka" else []
        parts += [f"{self.partitions:,} partition{'s'[: self.partitions > 1]}"] if self.partitions not in (0, 4) and "partition" not in self.load else []
        return ", ".join(part for part in parts if part)


class Results:
    """All of a results file."""

    def __init__(self, records):
        self.run = {}
        self.rows = {}  # identity -> Row, in the order of their first appearance
        self.limits = {}  # (name, field) -> values
        for record in records:
            if "run" in record:
                self.run = record
            elif "limit" in record:
                name = record["limit"] + (" " + record["peer"] if "peer" in record else "")
                for key, value in record.items():
                    if isinstance(value, (int, float)):
                        self.limits.setdefault((name, key), []).append(value)
            else:
                identity = tuple(record[key] for key in IDENTITY)
                self.rows.setdefault(identity, Row(identity)).add(record)

    def find(self, durability, load, client, size=1000, **others):
        """The row; where several have these, the first one. None where it was not measured."""
        for row in self.rows.values():
            if (row.durability, row.load, row.client, row.size) == (durability, load, client, size):
                if all(getattr(row, key) == value for key, value in others.items()):
                    return row
        return None

    def limit(self, name, field):
        values = self.limits.get((name, field))
        return statistics.median(values) if values else None

    def limit_of(self, row):
        """(figure, what it is) of what the machine allows for a row; (None, "") where nothing of that was measured."""
        if row.load == "history":
            found = [x for x in (self.limit("loopback", "mb_per_s"), self.limit("cold read forka", "mb_per_s")) if x]
            return (min(found), "loopback or disk read") if found else (None, "")
        if row.load == "consume":
            return self.limit("loopback", "mb_per_s"), "loopback"
        if row.codec or "mb_per_s" not in row.figures.get("forka", {}):
            return None, ""
        field = "synced_mb_per_s" if row.durability == "durable" else "mb_per_s"
        return self.limit("engine 1000000", field), "LMDB alone"


def read(path):
    with open(path, encoding="utf-8") as file:
        return Results([json.loads(line) for line in file if line.endswith("\n")])


# ---- Words -------------------------------------------------------------------------------------------------------


def size_in_words(size):
    if not size:
        return ""
    return f"{size} B" if size < 1000 else f"{size // 1000} KB"


def number(value, digits=3):
    """Three digits that count, no more."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}" if value else "0"


def times(value):
    return "-" if value is None else f"{value:.2g}" if value < 10 else f"{value:.0f}"


def pair(row, field, digits=3):
    return f"{number(row.value('forka', field), digits)} / {number(row.value('kafka', field), digits)}"


# ---- Tables -------------------------------------------------------------------------------------------------------

LATENCIES = (("p50_ms", "p50"), ("p99_ms", "p99"), ("mean_ms", "mean"), ("ms", ""))
TIMED_LOADS = ("one in flight", "relay at 20 MB/s", "end to end", "create a topic")


def is_timed(row):
    return row.load in TIMED_LOADS or row.load.startswith("start")


def is_rate(row):
    return row.size > 0 and not is_timed(row)


def rate_table(results, durability):
    lines = [
        "| load | client | Forka MB/s | Kafka MB/s | times | of the limit | broker CPU-s/GB | client CPU-s/GB "
        "| busy processors, client + broker | memory MB |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows_of(results, durability, is_rate):
        limit, _ = results.limit_of(row)
        forka = row.value("forka", "mb_per_s")
        part = f"{forka / limit:.0%}" if limit and forka else "-"
        busy = "; ".join(
            f"{number(row.value(peer, 'client_busy'), 2)} + {number(row.value(peer, 'broker_busy'), 2)}"
            for peer in ("forka", "kafka")
        )
        cells = [row.name(), row.client, number(forka), error_or(row, "kafka", number(row.value("kafka", "mb_per_s")))]
        cells += [f"**{times(row.better('mb_per_s'))}**", part, pair(row, "broker_cpu_s_per_gb"), pair(row, "client_cpu_s_per_gb")]
        cells += [busy, pair(row, "own_mb")]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def time_table(results, durability):
    lines = ["| load | client | what | Forka ms | Kafka ms | times |", "|---|---|---|--:|--:|--:|"]
    for row in rows_of(results, durability, is_timed):
        for field, name in LATENCIES:
            forka, kafka = row.value("forka", field), row.value("kafka", field)
            if forka is not None or kafka is not None:
                cells = [row.name(), row.client, name, number(forka), number(kafka), f"**{times(row.better(field))}**"]
                lines.append("| " + " | ".join(cells) + " |")
    return lines


def memory_table(results):
    lines = ["| | | Forka MB | Kafka MB | times |", "|---|---|--:|--:|--:|"]
    for row in results.rows.values():
        if row.size == 0 and row.figures:
            name = f"{row.load} ({row.durability})"
            what = "all processes, shared pages once" if row.load == "idle" else "more than before"
            cells = [name, what, number(row.value("forka", "mb")), number(row.value("kafka", "mb")), times(row.better("mb"))]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def rows_of(results, durability, which):
    return [row for row in results.rows.values() if row.durability == durability and row.figures and which(row)]


def error_or(row, peer, text):
    return "fails" if peer in row.errors and peer not in row.figures else text


def limits_list(results):
    def median(name, field):
        return number(results.limit(name, field))

    cold = ", ".join(f"{median('cold read ' + peer, 'mb_per_s')} MB/s ({peer}'s)" for peer in ("forka", "kafka"))
    return [
        f"- memory: copied at {median('memory', 'copy_gb_per_s')} GB/s, CRC-32C at {median('memory', 'crc_gb_per_s')} GB/s, "
        f"both {median('memory', 'copy_and_crc_gb_per_s')} GB/s",
        f"- TCP over loopback, 1 MB at a time: {median('loopback', 'mb_per_s')} MB/s; CPU-s/GB: sender "
        f"{median('loopback', 'sender_cpu_s_per_gb')}, receiver {median('loopback', 'receiver_cpu_s_per_gb')}",
        f"- disk, 4 KB written and fdatasync: p50 {median('pair', 'p50_ms')} ms, p99 {median('pair', 'p99_ms')} ms; "
        f"1 MB: {median('disk', 'mb_per_s')} MB/s; a cold file read: {cold}",
        f"- LMDB alone, 1 MB a commit: {median('engine 1000000', 'mb_per_s')} MB/s, with a sync in each commit "
        f"{median('engine 1000000', 'synced_mb_per_s')} MB/s; 100 KB: {median('engine 100000', 'mb_per_s')} and "
        f"{median('engine 100000', 'synced_mb_per_s')} MB/s; CPU-s/GB: {median('engine 1000000', 'cpu_s_per_gb')}",
    ]


def target_table(results):
    lines = ["| target | what | is | |", "|---|---|--:|---|"]
    for target in targets.judge(results):
        lines.append(f"| {target.text} | {target.what} | {target.figure} | {target.verdict} |")
    return lines


def behind(results):
    """Rows in which Kafka leads."""
    found = []
    for row in results.rows.values():
        for field in ("mb_per_s", "p50_ms", "p99_ms", "mean_ms", "ms", "mb"):
            better = row.better(field)
            if better is not None and better < 1 and (field == "mb_per_s") == is_rate(row):
                found.append(f"{row.name()}, {row.client or '-'}, {row.durability}: {field} {times(better)}")
    return found


# ---- The report -----------------------------------------------------------------------------------------------------


def conditions(results):
    run = results.run
    rounds = max((row.rounds("forka") for row in results.rows.values()), default=0)
    short = "" if run.get("run") == "full" else " **A quick run: an impression, no measurement.**"
    return [
        f"{run.get('date')}, {run.get('processors')} processors ({run.get('model')}), {run.get('memory_gb')} GB, Linux "
        f"{run.get('linux')}, stores on {run.get('file_system')}; brokers and clients together on this one machine, over "
        f"loopback. {' and '.join(run.get('brokers', {}).values())}; Forka with `-w {run.get('workers')}`, Kafka in "
        f"combined mode with the settings it is delivered with and a heap of 1 GB. Clients: {', '.join(run.get('clients', []))}, "
        f"and raw sockets (5 requests of 100 KB in flight on each of 4 connections). {rounds} rounds, Forka and "
        f"Kafka in turn, medians; a load lasts {number(run.get('seconds'))} s, with Java {run.get('java_megabytes')} MB "
        f"(durable: a third); history is {run.get('history_megabytes', 0) / 1000:g} GB that no page cache holds.{short}",
        "",
        "Always acks=all, 4 partitions, one producer and no compression, unless the row says otherwise; Java and librdkafka with "
        "their defaults (librdkafka's queue bounded to 64 MB). Times: above 1 Forka leads. Busy processors: Forka's run; "
        "Kafka's run. Where the client's is the larger part of all there are, the client is the limit. Memory: the greatest "
        "seen under the load, mapped files apart (Forka's processes added up, so pages that they share count in each).",
    ]


def markdown(results, plots):
    lines = conditions(results)
    for durability, title in TITLES.items():
        if rows_of(results, durability, lambda _: True):
            lines += ["", f"### {title}", "", *rate_table(results, durability), "", *time_table(results, durability)]
    lines += ["", "### Memory of who has nothing to do", "", *memory_table(results)]
    lines += ["", "### What the machine allows", "", *limits_list(results)]
    lines += ["", "### Targets", "", *target_table(results)]
    lines += ["", "Rows in which Kafka leads: " + ("; ".join(behind(results)) or "none") + "."]
    lines += [f"\n![{title}]({path})" for title, path in plots]
    return "\n".join(lines) + "\n"


def draw(results, folder, below):
    """Plots into a folder. [(title, path relative to the report)]."""
    os.makedirs(folder, exist_ok=True)
    made = []
    for name, title, field, durability, which in (
        ("durable", "MB/s, acks=all on disk (more is better)", "mb_per_s", "durable", is_rate),
        ("relaxed", "MB/s, acks=all from memory (more is better)", "mb_per_s", "relaxed", is_rate),
        ("cpu", "the broker's CPU-seconds per GB, acks=all from memory (less is better)", "broker_cpu_s_per_gb", "relaxed", is_rate),
        ("latency", "p99 in ms, acks=all from memory (less is better)", "p99_ms", "relaxed", is_timed),
    ):
        rows = rows_of(results, durability, which)
        bars = [(f"{r.name()} ({r.client})", r.value("forka", field), r.value("kafka", field)) for r in rows]
        bars = [bar for bar in bars if bar[1] is not None or bar[2] is not None]
        if bars:
            with open(os.path.join(folder, name + ".svg"), "w", encoding="utf-8") as file:
                file.write(svg.bars(title, bars))
            made.append((title, f"{below}/{name}.svg"))
    return made


def write_docs(results):
    path = os.path.join(DOCS, "benchmarks.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{path} has lost the comments between which the report goes")
    made = markdown(results, draw(results, os.path.join(DOCS, "benchmarks"), "benchmarks"))
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n\n{made}\n{END}{after}")
    print(f"written: {path}")


def write(path, folder, docs):
    """The report of a results file: peers.md and plots in a folder, and into the documentation if it shall be so."""
    results = read(path)
    made = markdown(results, draw(results, os.path.join(folder, "peers"), "peers"))
    with open(os.path.join(folder, "peers.md"), "w", encoding="utf-8") as file:
        file.write(made)
    print("\n" + made + f"\nresults: {path}; this report: {os.path.join(folder, 'peers.md')}")
    if docs:
        write_docs(results)
    return 0

"""Runs a job of this project under PySpark, through its commands `map` and `reduce`, which read and write lines of key,
tab, value. Checks that the result is what the job's own `run` gives.

usage: pyspark_filters.py [--sort-command] [--threads N] [--partitions N] PROGRAM INPUT OUTPUT

PROGRAM is the job's command, for instance target/release/examples/word_count, and INPUT a text file. Spark cuts the input
into pieces, starts a process for each piece and each partition, brings the lines to their partitions, and sorts them
there; with --sort-command that last step is left to `sort`. OUTPUT is the folder that Spark writes; it must not be there
yet.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import zlib

from spark_session import start


def through(command, lines):
    """Sends lines without their ends through a process, and gives those that come out. Fails if the process does."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "LC_ALL": "C"}
    )
    unsent = []

    def send():
        try:
            with process.stdin as pipe:
                pipe.writelines(line + b"\n" for line in lines)
        except Exception as error:  # told to the reader below: an exception that ends a thread is told to nobody
            unsent.append(error)
            process.kill()

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    with process.stdout as pipe:
        for line in pipe:
            yield line.rstrip(b"\n")
    sender.join()
    status = process.wait()
    if status or unsent:
        raise RuntimeError(f"{command} ended with status {status}: {unsent or 'it has said why on standard error'}")


def by_key(line):
    """Which partition a line belongs to, modulo their number: all lines of a key to one."""
    return zlib.crc32(line.split(b"\t", 1)[0])


def under_spark(context, program, source, partitions, sort_command):
    """An RDD of lines of the job's output."""

    def run_map(split, lines):
        return through([program, "map", "--no-end", "--split", str(split)], lines)

    def run_reduce(lines):
        # Without the lines that say that these are all: they would reach one of the partitions only.
        return through([program, "reduce", "--no-end"], lines)

    mapped = context.textFile(source, use_unicode=False).mapPartitionsWithIndex(run_map)
    pairs = mapped.map(lambda line: (line, None))
    if sort_command:
        spread = pairs.partitionBy(partitions, by_key).keys()
        in_order = spread.mapPartitions(lambda lines: through(["sort"], lines))
    else:
        in_order = pairs.repartitionAndSortWithinPartitions(partitions, by_key).keys()
    return in_order.mapPartitions(run_reduce)


def parts(folder):
    """All lines of a folder of part files, sorted."""
    return sorted(line for part in pathlib.Path(folder).glob("part-*") for line in part.read_bytes().splitlines())


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program")
    arguments.add_argument("input")
    arguments.add_argument("output")
    arguments.add_argument("--sort-command", action="store_true", help="sort by `sort` instead of by Spark")
    arguments.add_argument("--threads", default="2")
    arguments.add_argument("--partitions", type=int, default=4)
    given = arguments.parse_args()
    program = str(pathlib.Path(given.program).resolve())
    with tempfile.TemporaryDirectory() as folder:
        context = start(given.threads, folder).sparkContext
        began = time.perf_counter()
        lines = under_spark(context, program, given.input, given.partitions, given.sort_command)
        lines.saveAsTextFile(given.output)
        print("seconds", time.perf_counter() - began)
        by_run = os.path.join(folder, "by-run")
        subprocess.run(
            [program, "run", given.input, "--output", by_run, "--threads", given.threads],
            check=True, stdout=subprocess.DEVNULL,
        )
        expected, got = parts(by_run), parts(given.output)
        if got != expected:
            sys.exit(f"{len(got)} lines under Spark are not the {len(expected)} lines of `run`")
        print(f"equal: {len(got)} lines under Spark and by `run`")


if __name__ == "__main__":
    main()

"""Writes rows of two little-endian 64-bit integers as a file with the columns key and value.

usage: rows_to_columns.py ROWS TARGET (parquet | arrow)

Not compressed, and in groups of a million rows: every engine reads that fast and on several threads.
"""

import sys

import numpy
import pyarrow
import pyarrow.parquet

GROUP_ROWS = 1_000_000

source, target, form = sys.argv[1:]
rows = numpy.memmap(source, dtype="<i8", mode="r").reshape(-1, 2)
schema = pyarrow.schema([("key", pyarrow.int64()), ("value", pyarrow.int64())])
if form == "parquet":
    writer = pyarrow.parquet.ParquetWriter(target, schema, compression="none")
else:
    writer = pyarrow.ipc.new_file(target, schema)
with writer:
    for start in range(0, len(rows), GROUP_ROWS):
        group = rows[start : start + GROUP_ROWS]
        columns = [numpy.ascontiguousarray(group[:, i]) for i in range(2)]
        writer.write_table(pyarrow.table(columns, schema=schema))

"""Writes rows of two little-endian 64-bit integers as a Parquet file with the columns key and value.

usage: rows_to_parquet.py ROWS PARQUET

Not compressed, and in row groups of a million rows: every engine reads that fast and on several threads.
"""

import sys

import numpy
import pyarrow
import pyarrow.parquet

GROUP_ROWS = 1_000_000

rows = numpy.memmap(sys.argv[1], dtype="<i8", mode="r").reshape(-1, 2)
schema = pyarrow.schema([("key", pyarrow.int64()), ("value", pyarrow.int64())])
with pyarrow.parquet.ParquetWriter(sys.argv[2], schema, compression="none") as writer:
    for start in range(0, len(rows), GROUP_ROWS):
        group = rows[start : start + GROUP_ROWS]
        columns = [numpy.ascontiguousarray(group[:, i]) for i in range(2)]
        writer.write_table(pyarrow.table(columns, schema=schema))

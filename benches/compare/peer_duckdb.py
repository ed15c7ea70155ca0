"""DuckDB.

usage: peer_duckdb.py (word-count | sort | sum-by-key) INPUT OUTPUT THREADS FOLDER   (FOLDER: for what does not fit)
"""

import sys
import time

import duckdb

contest, source, target, threads, folder = sys.argv[1:]

# One column that holds the line, whatever is in it.
LINES = f"""read_csv('{source}', columns = {{'line': 'VARCHAR'}}, delim = '\x01', quote = '', escape = '',
    header = false, auto_detect = false)"""
QUERIES = {
    "word-count": f"""SELECT word, count(*) FROM (SELECT unnest(string_split(line, ' ')) AS word FROM {LINES})
        GROUP BY word ORDER BY word""",
    "sort": f"SELECT line FROM {LINES} ORDER BY line",
    "sum-by-key": f"SELECT key, sum(value) FROM read_parquet('{source}') GROUP BY key ORDER BY key",
}

connection = duckdb.connect(config={"threads": threads, "temp_directory": folder})
began = time.perf_counter()
tsv = "(FORMAT csv, DELIMITER '\t', QUOTE '', ESCAPE '', HEADER false)"
connection.execute(f"COPY ({QUERIES[contest]}) TO '{target}' {tsv}")
print("seconds", time.perf_counter() - began)

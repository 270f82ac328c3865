"""Runs the DDL in ClickHouse (chdb, the engine in a Python module) over an export, and prints what its views say."""
import sys

from chdb import session

ddl, csv, jsonl, folder = sys.argv[1:]
s = session.Session(folder)
text = "\n".join(line for line in open(ddl).read().splitlines() if not line.startswith("--"))
for statement in text.split(";"):
    if statement.strip():
        s.query(statement)
for _ in range(2):  # rows that come again replace themselves
    s.query(f"INSERT INTO millrace.audit FROM INFILE '{csv}' FORMAT CSVWithNames")
s.query("CREATE TABLE other AS millrace.audit")
s.query(f"INSERT INTO other FROM INFILE '{jsonl}' FORMAT JSONEachRow")


def ask(query):
    print(s.query(query, "CSV").bytes().decode(), end="")


ask("SELECT count() FROM millrace.audit FINAL")
ask("SELECT count() FROM (SELECT * FROM other EXCEPT SELECT * FROM millrace.audit)")
ask("SELECT count() FROM millrace.doubled")
ask("SELECT count() FROM millrace.out_of_order")
ask("SELECT account, toInt32(day), granted, released, refunded, spent, leased FROM millrace.balances ORDER BY account, day")

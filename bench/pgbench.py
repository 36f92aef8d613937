"""The floor: what pgbench gets from the same server with one statement an operation."""

from __future__ import annotations

import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.peers.postgres import PostgresServer

from bench.meter import Figure, cpu_of_tree, figure

# One statement each, with what has to be written at the least: the guess that is counted; the challenge and the message owed.
CHECK: Final = """
\\set n random(1, :live)
UPDATE challenges SET guesses = guesses + 1
 WHERE id = 'ver_' || lpad(:n::text, 26, '0') AND state = 'pending' AND guesses < 1000000 AND expires_at > 0
 RETURNING guesses;
"""
BEGIN: Final = """
\\set a random(1, 9000000000000000000)
\\set b random(1, 9000000000000000000)
WITH begun AS (
  INSERT INTO challenges (id, application, twin, standing, terms, begun_at, expires_at, state, channel, guesses, sends, round, sent_at)
  VALUES ('ver_' || to_hex(:a::bigint) || to_hex(:b::bigint), 'app_bench', decode(lpad(to_hex(:a::bigint) || to_hex(:b::bigint), 32, '0'), 'hex'),
          decode(lpad(to_hex(:b::bigint), 32, '0'), 'hex'), convert_to(repeat('x', 260), 'UTF8'), 1, 600001, 'pending', 'email', 0, 1, 0, 1)
  RETURNING id)
INSERT INTO deliveries (owner, number, channel, route, created_at, round, state, leg, tries, attempts, due_at, changed_at)
SELECT id, 1, 'email', '["inbox"]', 1, 0, 'queued', 0, 0, 0, 9000000000000, 1 FROM begun;
"""
# The same rows as the ledger writes for an operation that comes alone: guess, standing, event; challenge, message, two limits, event.
# The page of events is as long as one event is, and 32 bytes stand for its hash. The row of `writers`, one a transaction, is left out:
# written by every statement it would make all of them wait for each other.
CHECK_ALL: Final = """
\\set n random(1, :live)
\\set a random(1, 9000000000000000000)
WITH counted AS (
  UPDATE challenges SET guesses = guesses + 1
   WHERE id = 'ver_' || lpad(:n::text, 26, '0') AND state = 'pending' AND guesses < 1000000 AND expires_at > 0
   RETURNING id, standing, guesses),
 stood AS (
  INSERT INTO standings (key, in_a_row, day_began_at, in_day) SELECT standing, 1, 1, 1 FROM counted
   ON CONFLICT (key) DO UPDATE SET in_a_row = standings.in_a_row + 1, in_day = standings.in_day + 1)
INSERT INTO events (writer, seq, at, count, page, hash)
SELECT 'wbench', :a, 1, 1, repeat('x', 150), decode(lpad('0', 64, '0'), 'hex') FROM counted;
"""
BEGIN_ALL: Final = BEGIN.replace(
    "INSERT INTO deliveries",
    """, counted AS (
  INSERT INTO limits (key, tat)
  VALUES (decode(lpad(to_hex(:a::bigint), 32, '0'), 'hex'), 1), (decode(lpad(to_hex(:b::bigint), 32, '1'), 'hex'), 1)
   ON CONFLICT (key) DO UPDATE SET tat = excluded.tat),
 told AS (
  INSERT INTO events (writer, seq, at, count, page, hash)
  SELECT 'wbench', :a, 1, 1, repeat('x', 200), decode(lpad('0', 64, '0'), 'hex') FROM begun)
INSERT INTO deliveries""",
).replace("RETURNING id)\n,", "RETURNING id),")


def measure(server: PostgresServer, database: str, script: str, clients: int, *, seconds: int, live: int) -> Figure:
    """Run one script with prepared statements; every transaction's latency is logged."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "script.sql"
        file.write_text(script)
        before, ours = cpu_of_tree(server.pid), _children()
        began = time.perf_counter()
        done = subprocess.run(
            [
                server.binaries / "pgbench", "-h", "127.0.0.1", "-p", str(server.port), "-U", "tester", "-n", "-M", "prepared",
                "-c", str(clients), "-j", "2" if clients > 1 else "1", "-T", str(seconds), "-D", f"live={live}", "-f", file,
                "--log", f"--log-prefix={folder}/log", database,
            ],
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"pgbench failed: {done.stderr}")
        took = time.perf_counter() - began
        time.sleep(0.2)  # until the postmaster has waited for the processes that served it: their CPU is told only then
        cpu = {"pgbench": _children() - ours, "PostgreSQL": cpu_of_tree(server.pid) - before}
        latencies = [
            int(line.split()[2]) / 1e6 for log in Path(folder).glob("log.*") for line in log.read_text().splitlines()
        ]
    return figure("pgbench", clients, min(took, seconds), latencies, cpu)


def _children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime

"""`python -m bench`: every figure in one run, printed as it comes and written to bench/results.md."""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import uvloop
from tests.peers.postgres import PostgresServer

from bench import account_page, delivery, growth, ledger, mailing, over_http, pgbench, pumped_flow, pumping, signing_in
from bench.machine import described
from bench.meter import Figure, middle
from bench.report import Report, cells, times
from countersign.domain.delivery.sms_pumping import PumpingPolicy
from countersign.flows.context import CoreContext

RESULTS: Final = Path(__file__).parent / "results.md"
TARGET: Final = 3.0
"""How many times pgbench's one-statement rate the ledger is to make at 64 clients."""
CEILING: Final = 0.9
"""Which part of Argon2id's own rate sign-ins are to make."""
OTHERS: Final = 50
"""Milliseconds below which others are to be served meanwhile (p99)."""
SPENT: Final = 0.01
"""Below which part of its money a pumping attack is to be stopped."""
REFUSED: Final = 0.001
"""Below which part of honest messages is to be held back meanwhile."""
HANDED_OVER: Final = 20
"""Milliseconds below which a message is handed over after it was asked for, where the worker has room (p99)."""
HALF: Final = 0.5
"""Which part of the bare echo's rate the whole API is to make with two workers."""


class Extent(msgspec.Struct, frozen=True):
    """How long a run is: seconds of each measurement, rounds of which the median counts, and sizes."""

    rounds: int = 3
    seconds: float = 5
    clients: tuple[int, ...] = (1, 16, 64, 256)
    live: int = 100_000
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    messages: int = 20_000


QUICK: Final = Extent(1, 2, (1, 64), 20_000, (10_000, 100_000), 3_000)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Countersign on this machine.")
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    parser.add_argument(
        "--only", choices=("a", "b", "c", "d", "e", "f", "g", "h"), help="one part alone; b and c come together"
    )
    parser.add_argument("--output", type=Path, help="where to write; a whole full run: bench/results.md, else nowhere")
    asked = parser.parse_args()
    extent = QUICK if asked.quick else Extent()
    report = Report()
    report.say("# Results", "", f"Measured by `make bench`{' ARGS=--quick' * asked.quick}: {_manner(extent)}", "")
    report.table(("", ""), described())
    only = "b" if asked.only == "c" else asked.only
    for name, part in PARTS.items():
        if only in {None, name}:
            uvloop.run(part(report, extent))
    output = asked.output or (None if asked.quick or asked.only else RESULTS)
    if output:
        output.write_text("\n".join(report.lines) + "\n", encoding="utf-8")


async def ledger_alone(report: Report, extent: Extent) -> None:
    """Part (a): the ledger on both databases, each round in turns with pgbench on the same server."""
    report.title(
        "(a) The ledger alone",
        "One process, no HTTP. *Least* is one statement that does the least an operation needs (count a guess; add a challenge and the message"
        " owed), *same rows* one that writes all rows the ledger writes, each by pgbench with prepared statements at as many clients."
        f" {extent.live:,} challenges are live, guesses are wrong and spread by chance. Times in ms, CPU in µs an operation.",
    )
    scripts = {
        "check": (pgbench.CHECK, pgbench.CHECK_ALL),
        "begin": (pgbench.BEGIN, pgbench.BEGIN_ALL),
    }
    rows: list[list[str]] = []
    verdicts: list[list[str]] = []
    with _postgres() as server, tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        floor = server.create()
        async with (
            ledger.house_at(server.url(floor)) as ground,
            ledger.house_at(server.url(server.create())) as ours,
            ledger.house_at(f"sqlite:///{folder}/ledger.db") as embedded,
        ):
            for core in (ground, ours, embedded):
                await ledger.fill(core, extent.live)
            for core in (ours, embedded):
                await ledger.check(core, 64, 1, extent.live, None)
                await ledger.begin(core, 64, 1, None)
            for act, (least, same) in scripts.items():
                for clients in extent.clients:

                    def on(core: CoreContext, pid: int | None, act: str = act, clients: int = clients) -> Measure:
                        if act == "check":
                            return lambda: ledger.check(core, clients, extent.seconds, extent.live, pid)
                        return lambda: ledger.begin(core, clients, extent.seconds, pid)

                    def by_pgbench(script: str, clients: int = clients) -> Measure:
                        return lambda: asyncio.to_thread(
                            pgbench.measure,
                            server,
                            floor,
                            script,
                            clients,
                            seconds=int(extent.seconds),
                            live=extent.live,
                        )

                    postgres, plain, sqlite, whole = await _in_turns(
                        extent.rounds, on(ours, server.pid), by_pgbench(least), on(embedded, None), by_pgbench(same)
                    )
                    for name, one in (
                        ("ledger, PostgreSQL", postgres),
                        ("ledger, SQLite", sqlite),
                        ("pgbench, least", plain),
                        ("pgbench, same rows", whole),
                    ):
                        ratios = (times(one.rate, plain.rate), times(one.rate, whole.rate))
                        rows.append(
                            [f"{act}, {clients}: {name}", *cells(one, "Python", "pgbench", "PostgreSQL"), *ratios]
                        )
                    if clients == 64:
                        verdicts += _verdicts(act, postgres, sqlite, plain)
    report.table(
        ("act, clients", "ops/s", "p50", "p99", "Python", "pgbench", "PostgreSQL", "÷ least", "÷ same rows"), rows
    )
    report.say("")
    report.table(("at 64 clients", "measured", "wanted", ""), verdicts)


def _verdicts(act: str, postgres: Figure, sqlite: Figure, plain: Figure) -> list[list[str]]:
    wanted = (
        (f"{act} on PostgreSQL ÷ pgbench, least", postgres.rate / plain.rate, TARGET),
        (f"{act} on SQLite ÷ pgbench, least", sqlite.rate / plain.rate, 1.0),
        (f"{act}: p99 of pgbench, least ÷ p99 on PostgreSQL", plain.p99 / postgres.p99, 1.0),
    )
    return [
        [what, f"{found:.2f}", f"at least {least:.1f}", "met" if found >= least else "**missed**"]
        for what, found, least in wanted
    ]


async def api_over_http(report: Report, extent: Extent) -> None:
    """Parts (b) and (c): the whole API beside a bare echo, and the memory of its workers."""
    report.title(
        "(b) The whole API",
        f"`countersign serve` in production: begin, then one wrong check, each begin for another address, {over_http.CLIENTS} connections kept alive; in turns"
        " with a bare ASGI application that reads a JSON body and answers with it, under the same server with the same options and the same load."
        " Messages are left to a worker elsewhere (`--no-worker`) unless *delivers* stands there. Server, database and load share the processors."
        " Times in ms, CPU in µs a request.",
    )
    found = []
    with _postgres() as server:
        for name, workers, where, delivers in (
            ("PostgreSQL, 1 worker", 1, server, False),
            ("PostgreSQL, 2 workers", 2, server, False),
            ("SQLite, 1 worker", 1, None, False),
            ("PostgreSQL, 2 workers, delivers", 2, server, True),
        ):
            found.append(
                await over_http.beside_an_echo(name, workers, where, extent.rounds, extent.seconds, delivers=delivers)
            )
    groups = ("server", "PostgreSQL", "load")
    rows = []
    for one in found:
        rows.append([one.name, *cells(one.api, *groups), times(one.api.rate, one.echo.rate)])
        rows.append([f"{one.name}: bare echo", *cells(one.echo, *groups), ""])
    report.table(("", "requests/s", "p50", "p99", *groups, "÷ echo"), rows)
    two = found[1].api.rate / found[1].echo.rate
    report.say("")
    report.table(
        ("", "measured", "wanted", ""),
        [["2 workers ÷ echo", f"{two:.2f}", f"at least {HALF}", "met" if two >= HALF else "**missed**"]],
    )
    report.title("(c) Memory", "Proportional share (Pss) of one worker process in MiB, idle and after the load of (b).")
    report.table(("", "idle", "after"), [[one.name, f"{one.idle:.0f}", f"{one.after:.0f}"] for one in found])


async def as_it_grows(report: Report, extent: Extent) -> None:
    """Part (d): check and begin with ever more live challenges."""
    report.title(
        "(d) As the table grows",
        f"{growth.CLIENTS} clients on the ledger alone; begins {growth.BEGINS:,} at a time, deleted after each. Times in ms, CPU in µs an operation.",
    )
    with _postgres() as server, tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        figures = [
            *await growth.grow(
                "PostgreSQL", server.url(server.create()), extent.sizes, extent.rounds, extent.seconds, server.pid
            ),
            *await growth.grow(
                "SQLite", f"sqlite:///{folder}/growth.db", extent.sizes, extent.rounds, extent.seconds, None
            ),
        ]
    first: dict[str, float] = {}
    rows = []
    for one in figures:
        smallest = first.setdefault(one.name.partition(",")[0], one.rate)
        rows.append([one.name, *cells(one, "Python", "PostgreSQL"), times(one.rate, smallest)])
    report.table(("", "ops/s", "p50", "p99", "Python", "PostgreSQL", f"÷ {extent.sizes[0]:,}"), rows)


async def on_the_way(report: Report, extent: Extent) -> None:
    """Part (e): delivery through the worker."""
    report.title(
        "(e) Delivery",
        "One worker, in a process with the ledger, and a provider that takes each mail at once: a pile worked off, then begins at random moments, of which"
        " p50 and p99 are the time (ms) from asking to hand-over. CPU in µs a message, begins not counted.",
    )
    with _postgres() as server, tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        pile, delay = await delivery.deliver(
            "PostgreSQL", server.url(server.create()), extent.messages, extent.seconds, server.pid
        )
        small, quick = await delivery.deliver(
            "SQLite", f"sqlite:///{folder}/delivery.db", extent.messages, extent.seconds, None
        )
    rows = []
    for one, late in ((pile, delay), (small, quick)):
        rate, _, _, *spent = cells(one, "Python", "PostgreSQL")
        rows += [[one.name, rate, "", "", *spent], [late.name, *cells(late), "", ""]]
    report.table(("", "messages/s", "p50", "p99", "Python", "PostgreSQL"), rows)
    report.say(
        "",
        "Mail by SMTP, on SQLite, to a sink in a process of its own, beside the library alone with the same letter:",
        "",
    )
    found: list[list[Figure]] = []
    for _ in range(extent.rounds):
        with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
            found.append(await mailing.mail_out(f"sqlite:///{folder}/mailing.db", extent.messages // 4))
    worker, alone = (middle(list(figures)) for figures in zip(*found, strict=True))
    report.table(
        ("", "messages/s", "Python", "÷ the library alone"),
        [
            [one.name, *(cells(one, "Python")[n] for n in (0, 3)), times(one.rate, alone.rate)]
            for one in (worker, alone)
        ],
    )
    report.say("")
    slowest = max(delay.p99, quick.p99)
    report.table(
        ("", "measured", "wanted", ""),
        [
            [
                "p99 from asking to hand-over",
                f"{slowest:.1f} ms",
                f"below {HANDED_OVER} ms",
                "met" if slowest < HANDED_OVER else "**missed**",
            ]
        ],
    )


async def at_the_door(report: Report, extent: Extent) -> None:
    """Part (f): signing in, beside what Argon2id allows."""
    report.title(
        "(f) Signing in",
        "Right passwords on a browser that the account trusts, on SQLite, in turns with the library's own verification on as many threads as there are"
        " processors; meanwhile somebody looks at a session every 5 ms. Times in ms, CPU in µs an operation.",
    )
    raw: list[Figure] = []
    ours: list[tuple[Figure, Figure, Figure]] = []
    for _ in range(extent.rounds):
        raw.append(await asyncio.to_thread(signing_in.by_the_library_alone, extent.seconds))
        with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
            ours.append(await signing_in.by_the_flows(Path(folder), extent.seconds))
    floor = middle(raw)
    signing, aside, alone = (middle(figures) for figures in zip(*ours, strict=True))
    rows = [[one.name, *cells(one, "Python"), times(one.rate, floor.rate)] for one in (floor, signing)]
    rows += [[one.name, *cells(one, "Python"), ""] for one in (aside, alone)]
    report.table(("", "ops/s", "p50", "p99", "Python", "÷ Argon2id alone"), rows)
    page, bare = await signing_in.the_signed_in_page(extent.seconds)
    report.say("", "The account's page over HTTP with one worker on SQLite, 64 connections, beside the bare echo:", "")
    report.table(
        ("", "requests/s", "p50", "p99", "server", "÷ echo"),
        [[page.name, *cells(page, "server"), times(page.rate, bare.rate)], [bare.name, *cells(bare, "server"), ""]],
    )
    report.say("")
    part = signing.rate / floor.rate
    report.table(
        ("", "measured", "wanted", ""),
        [
            [
                "sign-ins ÷ Argon2id alone",
                f"{part:.2f}",
                f"at least {CEILING}",
                "met" if part >= CEILING else "**missed**",
            ],
            [
                "p99 of others meanwhile",
                f"{aside.p99:.1f} ms",
                f"below {OTHERS} ms",
                "met" if aside.p99 < OTHERS else "**missed**",
            ],
        ],
    )


Measure = Callable[[], Awaitable[Figure]]


async def the_account(report: Report, extent: Extent) -> None:
    """Part (g): what an account's page reads, for an empty account and for a full one."""
    report.title(
        "(g) An account's page",
        "What the page reads (overview, activity and messages), for an empty account and for a full one, in turns, on SQLite."
        " Times in ms. The full one reads more rows to show; what it does not show must cost nothing.",
    )
    rounds: list[tuple[Figure, Figure]] = []
    for _ in range(extent.rounds):
        with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
            rounds.append(await account_page.opened(Path(folder), extent.seconds))
    empty, full = (middle(figures) for figures in zip(*rounds, strict=True))
    rows = [[one.name, *cells(one, "Python"), times(one.rate, empty.rate)] for one in (empty, full)]
    report.table(("", "reads/s", "p50", "p99", "Python", "÷ empty"), rows)


async def pumped(report: Report, extent: Extent) -> None:
    """Part (h): what pumping attacks come to, and whom else the breaker meets; figures of a simulation, not of this machine."""
    report.title(
        "(h) Pumping",
        "A day of honest traffic to 43 prefixes of nine countries, 70 to 90 % of whose codes come back, with a week of history; one country is launched in"
        " at nine, one has lost nine of ten codes from two to five. Each attack begins at eight and goes on unmoved when it is held. *Spent* is what the"
        f" attack cost as a part of what it would have, wanted below {SPENT:.0%}; *refused* the part of honest messages held back, wanted below"
        f" {REFUSED:.1%}. The last row goes through the real flows on SQLite, for two hours. The second table has applications with no history:"
        " launches over 30 prefixes of four countries, 85 % of whose codes are entered, half of them within 25 s (log-normal), and attacks"
        " beside a launch, or in its likeness. Why some goals cannot be met stands in docs/decisions/0054.",
    )
    rows: list[list[str]] = []
    # The quick run leaves out the attack of which there is most to replay.
    shapes = [name for name in pumping.SHAPES if extent.rounds > 1 or "ten times" not in name]
    for name in shapes:
        prefixes = pumping.honest_prefixes(random.Random(7))
        outcome = pumping.replay(prefixes, pumping.SHAPES[name], PumpingPolicy(), seed=1)
        rows.append([name, *_pumped(outcome)])
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        rows.append(
            [
                "real flows: ten new prefixes of one country, 15 a minute for 2 hours",
                *_pumped(await pumped_flow.through_the_flows(Path(folder))),
            ]
        )
    heads = ("", "asked", "sent", "spent", "", "honest", "refused", "", "holds")
    report.table(heads, rows)
    rows = []
    for name, (launch, attack) in pumping.LAUNCHES.items():
        outcome = pumping.replay_launch(launch, attack, PumpingPolicy(), seed=1)
        rows.append([name, *_pumped(outcome)])
    report.table(heads, rows)


def _pumped(outcome: pumping.Outcome) -> list[str]:
    return [
        f"{outcome.asked:,}",
        f"{outcome.sent:,}",
        f"{outcome.spend:.2%}" if outcome.asked else "",
        ("met" if outcome.spend < SPENT else "**missed**") if outcome.asked else "",
        f"{outcome.honest:,}",
        f"{outcome.refusals:.3%}" if outcome.honest else "",
        ("met" if outcome.refusals < REFUSED else "**missed**") if outcome.honest else "",
        str(outcome.holds),
    ]


PARTS: Final[dict[str, Callable[[Report, Extent], Coroutine[None, None, None]]]] = {
    "a": ledger_alone,
    "b": api_over_http,
    "d": as_it_grows,
    "e": on_the_way,
    "f": at_the_door,
    "g": the_account,
    "h": pumped,
}
"""Parts by letter; (c) comes with (b)."""


async def _in_turns(rounds: int, *measures: Measure) -> list[Figure]:
    """Measure each in turn, as often as there are rounds, so that what else the machine does hits all; return the middle ones."""
    found: list[list[Figure]] = [[] for _ in measures]
    for _ in range(rounds):
        for measure, figures in zip(measures, found, strict=True):
            figures.append(await measure())
    return [middle(figures) for figures in found]


@contextmanager
def _postgres() -> Iterator[PostgresServer]:
    """Start a server that waits for the disk at each commit, with room for 256 clients and a cache that holds the tables."""
    server = PostgresServer(durable=True, max_connections="400", shared_buffers="1GB", max_wal_size="4GB")
    try:
        yield server
    finally:
        server.remove()


def _manner(extent: Extent) -> str:
    rounds = "one round" if extent.rounds == 1 else f"medians of {extent.rounds} rounds in turns"
    return f"{rounds}, {extent.seconds:g} s each; PostgreSQL with fsync, SQLite with synchronous=FULL."


if __name__ == "__main__":
    main()

"""Serving as an operator sees it: it starts, says so, is stopped without losing anything, and gets up again."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.peers.program import PATIENCE, Program, Server, curl_line, free_port, living

SLOW_BODY = b'{"to": "ada@example.org"}'


def half_a_request(server: Server) -> socket.socket:
    """Return a connection on which a request has begun that the server now waits for."""
    connection = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
    head = f"POST /v1/verifications HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.key}\r\nContent-Type: application/json\r\n"
    connection.sendall(f"{head}Content-Length: {len(SLOW_BODY)}\r\n\r\n".encode() + SLOW_BODY[:5])
    time.sleep(0.2)  # it has to be taken up before the server is told to stop
    return connection


def gone(pid: int) -> bool:
    """Say whether a process has ended, waiting for it a while."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if pid not in living():
            return True
        time.sleep(0.02)
    return False


def test_a_developer_is_greeted_with_what_works_as_pasted(program: Program) -> None:
    with program.serving() as server:
        address, headers, body = curl_line(server.said if server.key else "")
        assert f"http://localhost:{server.port}/inbox" in server.said
        request = urllib.request.Request(address.replace("localhost", "127.0.0.1"), body, headers)  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - our own
            assert answer.status == 201
            assert json.load(answer)["status"] == "pending"


def test_production_logs_what_is_unsafe_when_it_serves_and_when_it_stopped(production: Program) -> None:
    with production.serving() as server:
        until = time.monotonic() + PATIENCE
        while not server.logged and time.monotonic() < until:
            time.sleep(0.02)
        assert server.end() == 0
        events = [json.loads(line)["event"] for line in server.logged.splitlines()]
        assert events == ["proxy_not_trusted", "serving", "stopped"]
        assert server.said == ""


def test_a_stop_finishes_what_is_in_flight_and_takes_nothing_new(program: Program) -> None:
    """O1: SIGTERM while a request is half sent: it is answered, idle connections are closed, and the exit is clean."""
    with program.serving() as server:
        idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        idle.request("GET", "/health/live")
        idle.getresponse().read()
        slow = half_a_request(server)
        began = time.monotonic()
        server.started.terminate()
        assert idle.sock is not None
        assert idle.sock.recv(1) == b""
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", server.port), 1).close()
        slow.sendall(SLOW_BODY[5:])
        answer = slow.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 201 ")
        assert b"connection: close" in answer.lower()
        assert server.started.wait(PATIENCE) == 0
        assert time.monotonic() - began < PATIENCE
        slow.close()
        idle.close()
    assert "cut_off" not in server.logged


def test_a_stop_under_load_leaves_no_message_claimed(program: Program) -> None:
    """O1: what was sent is written down, and what was claimed and not sent is given back."""
    with program.serving() as server:
        key = server.key
        for n in range(60):
            assert server.ask("POST", "/v1/verifications", {"to": f"ada{n}@example.org"}, key).status == 201
        assert server.end() == 0
    with contextlib.closing(sqlite3.connect(program.place / ".countersign" / "countersign.db")) as database:
        states = dict(database.execute("SELECT state, count(*) FROM deliveries GROUP BY state"))
    assert states.keys() <= {"accepted", "queued"}
    assert sum(states.values()) == 60


def _ended_after(server: Server) -> float:
    """Have a server stop; return the seconds that it took."""
    began = time.monotonic()
    server.started.terminate()
    server.started.wait(PATIENCE)
    return time.monotonic() - began


@pytest.mark.slow
def test_a_request_that_never_ends_is_cut_off_with_the_grace_time(program: Program) -> None:
    """O1: the exit is within the grace time, and claims are given back before it."""
    with program.serving(GRACE="2") as server:
        idle = _ended_after(server)
    with program.serving(GRACE="2") as server:
        slow = half_a_request(server)
        at = datetime.now(UTC)
        assert _ended_after(server) < 2 + 3 * max(
            idle, 2 / 3
        )  # four seconds, or what a busy machine takes for a stop besides
        slow.close()
    (line,) = (one for one in server.logged.splitlines() if '"cut_off"' in one)
    assert (datetime.fromisoformat(json.loads(line)["timestamp"]) - at).total_seconds() < 4


def test_a_stream_of_events_does_not_hold_a_stop_up(program: Program) -> None:
    """O1."""
    with program.serving() as server:
        begun = server.ask("POST", "/v1/verifications", {"to": "ada@example.org"}, server.key)
        stream = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        stream.request(
            "GET", f"/v1/verifications/{begun.json['id']}/events", headers={"Authorization": f"Bearer {server.key}"}
        )
        answer = stream.getresponse()
        assert answer.status == 200
        assert answer.readline()
        began = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - began < 8
        stream.close()


@pytest.mark.slow
def test_a_process_that_is_killed_is_replaced_however_often(program: Program) -> None:
    """O1: kill -9, three times in a row and at once."""
    with program.serving() as server:
        for _ in range(3):
            (pid,) = server.processes()
            os.kill(pid, signal.SIGKILL)
            assert gone(pid)
            server.wait_until_it_answers()
            assert server.processes() != [pid]
        assert server.logged.count("process_died") == 3


@pytest.mark.slow
def test_processes_that_cannot_start_end_the_service(program: Program) -> None:
    """O1: five in a row; whoever watches the service learns it by the exit code 3."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Server(program, free_port(), (), {"METRICS_PORT": str(taken.getsockname()[1])})
        assert server.started.wait(60) == 3
    assert server.logged.count("cannot_start") == 5
    assert "gave_up" in server.logged


@pytest.mark.slow
def test_a_reload_takes_new_settings_and_no_wrong_ones(program: Program) -> None:
    """O1: SIGHUP replaces the processes; with settings that are wrong, the old ones go on."""
    settings = program.place / "countersign.toml"
    with program.serving() as server:
        before = server.processes()
        settings.write_text("grace = -1\n")
        server.started.send_signal(signal.SIGHUP)
        until = time.monotonic() + PATIENCE
        while "cannot_reload" not in server.logged:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert server.processes() == before
        settings.write_text('[log]\nlevel = "debug"\n')
        server.started.send_signal(signal.SIGHUP)
        assert all(gone(pid) for pid in before)
        server.wait_until_it_answers()
        assert len(server.processes()) == 1
        assert "/health/live" in server.logged  # requests are noted at debug alone
        assert server.end() == 0


@pytest.mark.slow
def test_what_was_promised_before_a_kill_is_still_known_after_it(program: Program) -> None:
    """O1: kill -9 of every process between begin and check."""
    with program.serving("--no-worker") as server:
        key = server.key
        begun = server.ask("POST", "/v1/verifications", {"to": "ada@example.org"}, key)
        (pid,) = server.processes()
        os.kill(server.started.pid, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)
    with program.serving() as again:
        assert again.key == key
        code = again.code_for("ada@example.org")
        answered = again.ask("POST", f"/v1/verifications/{begun.json['id']}/check", {"code": code}, key)
        assert answered.json["status"] == "approved"


@pytest.mark.slow
def test_no_process_outlives_the_server_that_watched_it(program: Program) -> None:
    with program.serving() as server:
        (pid,) = server.processes()
        os.kill(server.started.pid, signal.SIGKILL)
        assert gone(pid)
    assert "server_gone" in server.logged


def test_a_second_server_on_the_same_port_says_so(program: Program) -> None:
    with program.serving() as server:
        ended = program.run("serve", "--port", str(server.port))
        assert ended.returncode == 2
        assert "cannot be listened on" in ended.stderr
        assert f"--port {server.port + 1}" in ended.stderr
        assert server.ask("GET", "/health/live").status == 200


def test_a_free_port_can_be_asked_for(program: Program) -> None:
    server = Server(program, 0, (), {})
    try:
        assert server.key
        address, _, _ = curl_line(server.said)
        server.port = int(address.split("/")[2].partition(":")[2])
        assert server.port > 0
        server.wait_until_it_answers()
    finally:
        server.end()


def test_several_processes_on_sqlite_are_refused(program: Program) -> None:
    ended = program.run("serve", "--workers", "2", "--port", str(free_port()))
    assert ended.returncode == 2
    assert "PostgreSQL" in ended.stderr


def test_production_without_keys_does_not_serve(tmp_path: Path) -> None:
    """O2."""
    ended = Program(tmp_path, PUBLIC_URL="https://verify.example.org").run("serve", "--port", str(free_port()))
    assert ended.returncode == 2
    assert "countersign keys new" in ended.stderr


def test_production_with_the_keys_of_another_does_not_serve(production: Program) -> None:
    """O2."""
    assert production.run("apps", "list").returncode == 0
    assert production.run("keys", "new", "other.keys").returncode == 0
    ended = production.run("serve", "--port", str(free_port()), SECRET_FILE="other.keys")
    assert ended.returncode == 2
    assert "is not the one that this database was made with" in ended.stderr


@pytest.mark.slow
def test_commands_work_while_it_serves(program: Program) -> None:
    """One SQLite file, written by the server and by the command line at once."""
    with program.serving() as server:
        key = program.run("apps", "add", "shop").stdout.strip()
        begun = server.ask("POST", "/v1/verifications", {"to": "ada@example.org"}, key)
        assert begun.status == 201
        rotated = program.run("apps", "rotate", "shop").stdout.strip()
        for each in (key, rotated):
            assert server.ask("GET", f"/v1/verifications/{begun.json['id']}", key=each).status == 200
        assert program.run("apps", "remove", "shop").returncode == 0
        until = time.monotonic() + 3
        while server.ask("GET", f"/v1/verifications/{begun.json['id']}", key=rotated).status != 401:
            assert time.monotonic() < until
            time.sleep(0.1)


def test_keys_rotated_while_it_serves_leave_what_is_under_way_answerable(program: Program) -> None:
    """O2."""
    with program.serving() as server:
        begun = server.ask("POST", "/v1/verifications", {"to": "ada@example.org"}, server.key)
        assert program.run("keys", "rotate").returncode == 0
        code = server.code_for("ada@example.org")
        answered = server.ask("POST", f"/v1/verifications/{begun.json['id']}/check", {"code": code}, server.key)
        assert answered.json["status"] == "approved"


@pytest.mark.slow
def test_working_alone_delivers_what_a_server_left(program: Program) -> None:
    """D1: `serve --no-worker` promises, `work` sends."""
    with program.serving("--no-worker") as server:
        server.ask("POST", "/v1/verifications", {"to": "ada@example.org"}, server.key)
        alone = subprocess.Popen(
            program.command("work"), cwd=program.place, env=program.environ, stderr=subprocess.PIPE
        )
        try:
            assert server.code_for("ada@example.org")
        finally:
            alone.terminate()
            _, logged = alone.communicate(timeout=PATIENCE)
        assert alone.returncode == 0
        assert b"stopped" in logged


def test_metrics_have_a_port_of_their_own(program: Program) -> None:
    port = free_port()
    with program.serving(METRICS_PORT=str(port)) as server:
        assert server.ask("GET", "/health/live").status == 200
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
            assert b"countersign_worker_alive 1.0" in answer.read()


@pytest.mark.postgres
def test_a_temporary_folder_that_is_missing_is_named(program: Program, postgres_url: str) -> None:
    """O5: several processes share their counts there; one sentence, and exit code 2."""
    program.environ["TMPDIR"] = str(program.place / "none")
    (program.place / "none").write_text("")
    code = "import tempfile; tempfile._candidate_tempdir_list = lambda: []; from countersign.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, "serve", "--workers", "2", "--port", str(free_port())],
        cwd=program.place,
        env={**program.environ, "COUNTERSIGN_DATABASE_URL": postgres_url},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert ended.returncode == 2
    assert "TMPDIR" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.postgres
def test_two_processes_serve_one_postgresql_and_count_together(program: Program, postgres_url: str) -> None:
    with program.serving("--workers", "2", DATABASE_URL=postgres_url) as server:
        assert len(server.processes()) == 2
        for n in range(20):
            begun = server.ask("POST", "/v1/verifications", {"to": f"ada{n}@example.org"}, server.key)
            assert begun.status == 201
        page = server.ask("GET", "/metrics").body.decode()
        counted = next(line for line in page.splitlines() if line.startswith('countersign_outcomes_total{act="begin"'))
        assert counted.endswith(" 20.0")
        assert server.end() == 0

"""Logs: nothing secret in any line, whoever wrote it and however it got there."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from countersign import logs

SECRETS = (
    "csk_live_abcdefgh234567",
    "whsec_MDEyMzQ1",
    "hunter2",
    "ada@example.org",
    "+14155550123",
    "eyJhbGciOi.eyJzdWIi.c2ln",
)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Logging is global: leave it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.CAPS}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


@pytest.fixture(params=["json", "console"])
def lines(request: pytest.FixtureRequest) -> io.StringIO:
    """Return what is logged from now on, in each style."""
    stream = io.StringIO()
    logs.configure("debug", request.param, stream)
    return stream


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_under_a_telling_name_is_hidden(lines: io.StringIO, secret: str) -> None:
    """C8."""
    structlog.get_logger("test").info(
        "it_happened", password=secret, nested={"idempotency_key": secret, "list": [{"to": secret}]}
    )
    assert secret not in lines.getvalue()
    assert "it_happened" in lines.getvalue()


@pytest.mark.parametrize("secret", [secret for secret in SECRETS if secret != "hunter2"])
def test_a_secret_with_a_form_of_its_own_is_hidden_wherever_it_stands(lines: io.StringIO, secret: str) -> None:
    """C8."""
    log = structlog.get_logger("test")
    event = f"we sent it to {secret} just now"
    log.info(event, detail=f"<{secret}>", parts=[secret, (secret,)], odd={secret: 1}.keys())
    logging.getLogger("somebody.else").warning("they said %s and %r", secret, {"x": secret})
    assert secret.rpartition("@")[0] not in lines.getvalue() if "@" in secret else secret not in lines.getvalue()


def test_a_password_in_an_address_and_an_authorization_are_hidden(lines: io.StringIO) -> None:
    """C8."""
    logging.getLogger("x").error("cannot reach postgresql://ada:hunter2@db/x with Bearer hunter2, Basic hunter2")
    assert "hunter2" not in lines.getvalue()
    assert "@db/x" in lines.getvalue()


def test_an_exception_keeps_its_traceback_and_loses_its_secrets(lines: io.StringIO) -> None:
    """C8."""
    try:
        raise ValueError("no mailbox ada@example.org, key csk_live_abcdefgh234567")
    except ValueError:
        structlog.get_logger("test").exception("broke")
        logging.getLogger("x").exception("broke as well")
    assert "ada@" not in lines.getvalue()
    assert "csk_live_abcdefgh" not in lines.getvalue()
    assert lines.getvalue().count("ValueError") >= 2


def test_bytes_are_never_shown(lines: io.StringIO) -> None:
    """C8."""
    structlog.get_logger("test").info("it_happened", body=b"hunter2")
    assert "hunter2" not in lines.getvalue()


@pytest.mark.parametrize("name", sorted(logs.CAPS))
def test_a_library_that_would_show_contents_is_held_back_at_debug(lines: io.StringIO, name: str) -> None:
    """C8: a caller's words have no form that a redactor could know."""
    logging.getLogger(name).debug("MAIL FROM ada, DATA 123456")
    assert lines.getvalue() == ""


def test_what_is_harmless_is_shown(lines: io.StringIO) -> None:
    structlog.get_logger("test").info(
        "send_failed", delivery="ver_01.1.0", provider="mail", status_code=503, permanent=False
    )
    assert all(word in lines.getvalue() for word in ("send_failed", "ver_01.1.0", "mail", "503"))


def test_json_is_one_object_a_line() -> None:
    stream = io.StringIO()
    logs.configure("info", "auto", stream)  # no terminal
    structlog.get_logger("test").info("two\nlines", detail="a\nb")
    structlog.get_logger("test").debug("not asked for")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["two\nlines"]


def test_configuring_twice_logs_once() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    logs.configure("info", "json", stream)
    logging.getLogger("x").warning("once")
    assert stream.getvalue().count("once") == 1


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *((name, True) for name in ("code", "X-Api-Key", "idempotency_key", "apiKey", "To", "html", "token_count")),
        *((name, False) for name in ("status_code", "total", "keyring", "reason", "delivery")),
    ],
)
def test_a_name_tells_whether_its_value_is_secret(name: str, secret: bool) -> None:  # noqa: FBT001 - a table of names
    assert logs.is_secret(name) is secret

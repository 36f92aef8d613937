"""Keys that rotate while the program serves, keys it will not start with, and proxies whose word it takes; through the real server."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from pathlib import Path

import msgspec
import pytest
from tests.durability.installation import installed, webhook_config
from tests.durability.sender import SECRET, Sender
from tests.durability.wire import Wire
from tests.peers.program import free_port

from countersign.keys import StoredKeyring, read_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


async def test_keys_rotated_while_serving_break_nothing_that_is_under_way(
    tmp_path: Path, sender: Sender, each_url: str
) -> None:
    """O2: what began under the old key is answered under it; what begins later goes by the new one, and both proofs can be checked."""
    with installed(tmp_path, each_url, config=webhook_config(sender.url, SECRET)) as installation:
        started = await asyncio.to_thread(installation.serve, *(() if installation.sqlite else ("--workers", "2")))
        wire = Wire(installation.port, installation.key)
        old = installation.keyring.primary.kid
        before = (await wire.post("/v1/verifications", {"to": "ada@example.org"})).json["id"]
        await asyncio.to_thread(installation.ran, "keys", "rotate")
        file = installation.home / "secret.keys"
        stored = read_file(file)
        new = next(key.kid for key in stored.keys if key.kid != old)
        # The minute in which every process learns of the new key is let pass at once: it was rotated a while ago.
        past = [msgspec.structs.replace(key, active_from=key.active_from - 60_000) for key in stored.keys]
        draft = file.with_suffix(".draft")
        draft.touch(0o600)
        draft.write_bytes(msgspec.json.encode(StoredKeyring(stored.index, tuple(past))))
        draft.replace(file)
        async with asyncio.timeout(20):
            number = 0
            while True:
                number += 1
                after = (await wire.post("/v1/verifications", {"to": f"eve{number}@example.org"})).json["id"]
                ((terms,),) = await installation.rows(f"SELECT terms FROM challenges WHERE id = '{after}'")  # noqa: S608 - an id of ours
                if new.encode() in bytes(terms):
                    break
                await asyncio.sleep(0.2)
        proofs = {}
        for kid, id_ in ((old, before), (new, after)):
            code = installation.code_of(id_, kid=kid)
            told = await wire.post(f"/v1/verifications/{id_}/check", {"code": code})
            assert told.json["status"] == "approved", told.body
            header = told.json["proof"].split(".")[0]
            proofs[kid] = json.loads(base64.urlsafe_b64decode(header + "=="))["kid"]
        assert proofs == {old: old, new: new}
        public = (await wire.get("/.well-known/jwks.json")).json["keys"]
        assert {old, new} <= {key["kid"] for key in public}
        async with asyncio.timeout(10):
            while len(sender.keys) < number + 1 - 2:  # noqa: ASYNC110 - another process posts
                await asyncio.sleep(0.05)
        for message in sender.posted:
            codes = {installation.code_of(message.owner, kid=kid) for kid in (old, new)}
            assert any(code in message.text.replace(" ", "") for code in codes)
        wire.close()
        assert await asyncio.to_thread(started.stop) == 0


def test_a_start_without_sound_keys_is_refused_in_clear_words(tmp_path: Path) -> None:
    """O2: neither `serve` nor `work` starts, and each says what to do."""
    with installed(tmp_path) as installation:
        file = installation.home / "secret.keys"
        installation.ran("apps", "list")  # the database learns which keys it belongs to
        sound = file.read_bytes()
        short = json.loads(sound)
        short["keys"][0]["secret"] = base64.b64encode(b"sixteen bytes it").decode()
        other = installation.home / "other.keys"
        installation.ran("keys", "new", str(other))
        for content, mode, words in (
            (None, 0o600, "countersign keys new"),
            (json.dumps(short).encode(), 0o600, "expected 32 or more"),
            (sound, 0o644, "chmod 600"),
            (b"keys", 0o600, "is not what `countersign keys new` writes"),
            (other.read_bytes(), 0o600, "is not the one that this database was made with"),
        ):
            file.unlink(missing_ok=True)
            if content is not None:
                file.touch(0o600)
                file.write_bytes(content)
                file.chmod(mode)
            for command in (("serve", "--port", str(free_port())), ("work",)):
                began = time.monotonic()
                ended = installation.program.run(*command)
                assert ended.returncode == 2, ended.stderr
                assert words in " ".join(ended.stderr.split())
                assert "Traceback" not in ended.stderr
                assert time.monotonic() - began < 20


@pytest.mark.parametrize("trusted", ["", "127.0.0.1/32", "10.0.0.0/8"])
async def test_forwarded_headers_are_believed_from_configured_proxies_alone(tmp_path: Path, trusted: str) -> None:
    """H6: a stranger cannot claim TLS, and nobody sees the metrics for being on this machine, whatever the peer's address."""
    with installed(tmp_path, config=f'trusted_proxies = ["{trusted}"]\n' if trusted else "") as installation:
        started = await asyncio.to_thread(installation.serve)
        wire = Wire(installation.port, installation.key)
        believed = trusted.startswith("127.")
        claims = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}
        for path in ("/health/live", "/v1/verifications/none"):
            plain, claimed = await wire.get(path), await wire.get(path, headers=claims)
            assert "strict-transport-security" not in plain.headers
            assert ("strict-transport-security" in claimed.headers) == believed
        twice = await wire.get("/health/live", headers={**claims, "X-Forwarded-Proto": "https, http"})
        assert "strict-transport-security" not in twice.headers, "what the client itself wrote was believed"
        assert (await wire.get("/metrics")).status == 403, "a proxy on this machine forwards for anybody"
        for name, value in (
            *claims.items(),
            ("Forwarded", "for=127.0.0.1"),
            ("X-Forwarded-For", "127.0.0.1"),
            ("X-Real-IP", "::1"),
        ):
            assert (await wire.get("/metrics", headers={name: value})).status == 403
        wire.close()
        assert await asyncio.to_thread(started.stop) == 0

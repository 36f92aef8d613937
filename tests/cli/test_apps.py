"""Applications at the command line: a key is printed once, alone, and opens what it should."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run
from tests.flows.signing import EC, jwks


def test_add_prints_the_key_alone_and_says_the_rest_beside(run: Run) -> None:
    ended = run("apps", "add", "shop")
    assert ended.exit_code == 0
    assert ended.stdout.startswith("csk_live_")
    assert len(ended.stdout.split()) == 1
    assert "not shown again" in ended.stderr


def test_a_test_application_has_a_test_key(run: Run) -> None:
    ended = run("apps", "add", "shop", "--test")
    assert ended.stdout.startswith("csk_test_")
    assert "the inbox only" in ended.stderr


def test_add_keeps_what_it_was_told(run: Run) -> None:
    words = ("--site", "The Shop", "--host", "shop.example.org", "--purposes", "sign_in, recover", "--json")
    added = json.loads(run("apps", "add", "shop", *words).stdout)
    listed = json.loads(run("apps", "list", "--json").stdout)
    assert added.pop("key").startswith("csk_live_")
    assert listed == [added]
    assert (added["site"], added["host"], added["purposes"]) == ("The Shop", "shop.example.org", ["sign_in", "recover"])


def test_the_hash_of_an_android_app_is_kept_and_a_wrong_one_is_refused(run: Run) -> None:
    added = json.loads(run("apps", "add", "shop", "--app-hash", "FA+9qCX9VSu", "--json").stdout)
    assert added["app_hash"] == "FA+9qCX9VSu"
    assert json.loads(run("apps", "list", "--json").stdout)[0]["app_hash"] == "FA+9qCX9VSu"
    for wrong in ("FA+9qCX9VS", "FA+9qCX9VSuu", "FA+9qCX9VS\n", "FA 9qCX9VSu", "@evil.example"):
        ended = run("apps", "add", "bank", "--app-hash", wrong)
        assert ended.exit_code == 2
        assert "11 characters" in ended.stderr


def test_the_keys_of_a_client_are_registered_replaced_and_removed(run: Run, tmp_path: Path) -> None:
    """P5: public keys only."""
    file, private = tmp_path / "jwks.json", tmp_path / "private.json"
    file.write_text(jwks())
    private.write_text(json.dumps({"keys": [EC.as_dict(private=True)]}))
    added = json.loads(run("apps", "add", "shop", "--jwks", str(file), "--require-pushed", "--json").stdout)
    assert (added["signing_keys"], added["require_pushed"]) == (2, True)
    file.write_text(jwks(EC))
    assert run("apps", "set", "shop", "--jwks", str(file)).exit_code == 0
    assert shown(run) == (1, True)
    assert run("apps", "set", "shop", "--no-require-pushed").exit_code == 0
    assert shown(run) == (1, False)
    for wrong in (private, tmp_path / "missing.json"):
        assert run("apps", "set", "shop", "--jwks", str(wrong)).exit_code == 2
        assert run("apps", "add", "bank", "--jwks", str(wrong)).exit_code == 2
    assert run("apps", "set", "nobody", "--no-jwks").exit_code != 0
    assert shown(run) == (1, False)
    assert run("apps", "set", "shop", "--no-jwks").exit_code == 0
    assert shown(run) == (0, False)


def shown(run: Run) -> tuple[int, bool]:
    """Return how many keys the one application has, and whether it must push."""
    (one,) = json.loads(run("apps", "list", "--json").stdout)
    return one["signing_keys"], one["require_pushed"]


def test_a_name_is_taken_once(run: Run) -> None:
    run("apps", "add", "shop")
    ended = run("apps", "add", "shop")
    assert ended.exit_code == 2
    assert "already" in ended.stderr
    assert ended.stdout == ""


def test_a_purpose_that_nobody_knows_is_refused(run: Run) -> None:
    ended = run("apps", "add", "shop", "--purposes", "sign_in,nonsense")
    assert ended.exit_code == 2
    assert "'nonsense'" in ended.stderr


def test_list_shows_no_key(run: Run) -> None:
    """C8."""
    key = run("apps", "add", "shop").stdout.strip()
    for words in (("apps", "list"), ("apps", "list", "--json")):
        assert key not in run(*words).output
        assert "csk_" not in run(*words).output


def test_list_gives_a_pipe_one_line_each(run: Run) -> None:
    run("apps", "add", "shop")
    run("apps", "add", "bank")
    lines = run("apps", "list").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["bank", "shop"]


def test_rotate_prints_another_key_and_until_when_the_first_one_works(run: Run) -> None:
    first = run("apps", "add", "shop").stdout
    ended = run("apps", "rotate", "shop")
    assert ended.stdout.startswith("csk_live_")
    assert ended.stdout != first
    assert "works until 20" in ended.stderr


def test_remove_takes_it_off_the_list(run: Run) -> None:
    run("apps", "add", "shop")
    assert run("apps", "remove", "shop").exit_code == 0
    assert json.loads(run("apps", "list", "--json").stdout) == []


def test_a_name_that_does_not_exist_is_misuse(run: Run) -> None:
    for command in ("rotate", "remove"):
        ended = run("apps", command, "nobody")
        assert ended.exit_code == 2
        assert "countersign apps list" in ended.stderr


def test_no_key_reaches_the_disk(run: Run, tmp_path: Path) -> None:
    """C8: the database knows a keyed hash, and its log nothing."""
    key = run("apps", "add", "shop").stdout.strip().encode()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not any(key in path.read_bytes() for path in files)

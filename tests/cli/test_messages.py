"""What messages cost and how they look, at the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from countersign.messages.language.catalogue import languages

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


def test_every_language_and_purpose_has_its_line_and_nothing_is_missing(run: Run) -> None:
    """D3, D4."""
    ended = run("messages", "lint", "--price", "0.05", "--json")
    assert ended.exit_code == 0
    found = json.loads(ended.stdout)
    assert found["untranslated"] == {}
    assert {line["language"] for line in found["sms"]} == set(languages())
    for line in found["sms"]:
        assert line["segments"] == (1 if line["encoding"] == "gsm-7" or line["units"] <= 70 else 2)
        assert line["cost"] == pytest.approx(0.05 * line["segments"])
        assert line["spelling"] in {"proper", "plain"}
        assert (line["template"], line["faults"]) == ("", [])


def test_a_table_is_for_people(run: Run) -> None:
    ended = run("messages", "lint", "--language", "de")
    assert ended.exit_code == 0
    assert "gsm-7" in ended.stdout
    assert "ucs-2" not in ended.stdout
    assert "take more than one segment" in ended.stderr


def test_a_site_whose_name_costs_a_second_segment_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_text('site = "The Society for the Study of Very Long Names of Shops \u6f22"\n')
    ended = run("messages", "lint", "--config", "long.toml", "--language", "en", "--json")
    assert ended.exit_code == 1
    assert any("segments" in fault for line in json.loads(ended.stdout)["sms"] for fault in line["faults"])


def test_an_unknown_language_is_misuse(run: Run) -> None:
    ended = run("messages", "lint", "--language", "tlh")
    assert ended.exit_code == 2
    assert ", ".join(languages()) in ended.stderr


def test_a_preview_is_a_folder_of_pages(run: Run, tmp_path: Path) -> None:
    ended = run("messages", "preview", "shown", "--language", "ar")
    assert ended.exit_code == 0
    index = (tmp_path / "shown" / "index.html").read_text()
    assert 'dir="rtl"' in index
    assert 'src="ar-sign_in.html"' in index
    assert 'dir="rtl"' in (tmp_path / "shown" / "ar-sign_in.html").read_text()
    assert "http://" not in index.replace("http://localhost", "")


def test_the_line_of_an_app_is_counted_and_a_wrong_hash_is_misuse(run: Run) -> None:
    """D3, D4."""
    plain, longer = (
        json.loads(run("messages", "lint", "--json", "--language", "en", *words).stdout)["sms"]
        for words in ((), ("--app-hash", "FA+9qCX9VSu"))
    )
    for without, with_it in zip(plain, longer, strict=True):
        assert with_it["units"] > without["units"] or with_it["units"] > 140, "the line costs 12, or another gave way"
        assert with_it["faults"] == []
    assert run("messages", "lint", "--app-hash", "short").exit_code == 2


def test_templates_of_the_operator_are_counted_by_name(run: Run, tmp_path: Path) -> None:
    """D3: and one that makes a second segment fails the lint."""
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "sms.en.txt").write_text("{{ code }} opens {{ site }}.")
    (folder / "recover.sms.en.txt").write_text("{{ code }} " + "brings your account back. " * 6)
    (tmp_path / "own.toml").write_text('[messages]\nfolder = "words"\n')
    ended = run("messages", "lint", "--config", "own.toml", "--language", "en", "--json")
    assert ended.exit_code == 1
    found = {line["purpose"]: line for line in json.loads(ended.stdout)["sms"]}
    assert (found["sign_in"]["template"], found["sign_in"]["faults"]) == ("sms.en.txt", [])
    assert (found["recover"]["template"], found["recover"]["segments"]) == ("recover.sms.en.txt", 2)
    assert found["recover"]["faults"] == ["It takes 2 segments."]
    shown = run("messages", "preview", "shown", "--config", "own.toml", "--language", "en")
    assert shown.exit_code == 0
    assert "481516 opens Countersign." in (tmp_path / "shown" / "index.html").read_text()


def test_a_template_that_breaks_a_rule_is_named_with_its_line(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "sms.txt").write_text("{{ code }}\n{{ range(10**9) }}")
    (tmp_path / "own.toml").write_text('[messages]\nfolder = "words"\n')
    ended = run("messages", "lint", "--config", "own.toml")
    assert ended.exit_code == 2
    assert "sms.txt, line 2" in ended.stderr

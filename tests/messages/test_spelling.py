"""A plain spelling is chosen only where it saves a segment, whole or not at all, and makes no word another."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.messages.occasions import CODE, occasion

from countersign.domain.delivery.sms_segments import GSM_7, GSM_7_EXTENSION
from countersign.domain.shared.contact import Channel
from countersign.messages.channels.sms_size import Encoding, plain, segments
from countersign.messages.content.purposes import ACTS
from countersign.messages.language.transliteration import SPELLINGS, Transliteration, plainly, transliterate
from countersign.messages.render import languages, render, render_sms

ROOT = Path(__file__).resolve().parents[2]
PINNED = Path(__file__).parent / "spellings"
SPELT = sorted(SPELLINGS.keys() & set(languages()))


def test_the_sms_of_each_language_are_spelled_as_they_were_read_over() -> None:
    """D3: `tests/messages/spellings` shows each sentence both ways, for a reader of the language."""
    program = [sys.executable, str(ROOT / "tools" / "spellings.py"), "--check"]
    outcome = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.mark.parametrize("tag", SPELT)
def test_no_word_of_an_act_becomes_another_word_of_the_language(tag: str) -> None:
    """Where a notice cannot help it, the pair is written down and was judged: está and esta, że and ze."""
    told = (PINNED / f"{tag}.txt").read_text(encoding="utf-8").partition("a word of its own here:\n")[2].split("\n")
    judged = {"es": {"está: esta"}, "pl": {"że: ze"}, "pt": {"está: esta"}}
    assert {line.strip() for line in told if line.strip()} - {"none"} <= judged.get(tag, set())


@pytest.mark.parametrize("tag", SPELLINGS)
def test_a_table_has_only_letters_that_the_default_alphabet_lacks_and_gives_only_such_as_it_has(tag: str) -> None:
    """So no code, host or link can be touched: they are ASCII."""
    letters = SPELLINGS[tag]
    assert not set(letters) & set(GSM_7 + GSM_7_EXTENSION)
    assert all(letter.isalpha() and not letter.isascii() for letter in letters)
    assert set("".join(letters.values())) <= set(GSM_7)


@pytest.mark.parametrize("tag", SPELLINGS)
def test_a_table_keeps_the_case_and_has_every_letter_in_both(tag: str) -> None:
    for letter, written in SPELLINGS[tag].items():
        if letter in "ªº":
            continue
        assert written[0].isupper() == letter.isupper(), letter
        # What GSM-7 has in one case only is in the table in the other; the two Turkish letters have partners of their own.
        other = {"\u0131": "\u0130", "\u0130": "\u0131"}.get(letter, letter.swapcase())
        assert other in SPELLINGS[tag] or other in GSM_7, letter


@pytest.mark.parametrize(
    ("tag", "proper", "written"),
    [
        (
            "es",
            "El año pasado, ¿cigüeña? sesión, código, ÁRBOL, é",
            "El año pasado, ¿cigüeña? sesion, codigo, ARBOL, é",
        ),
        (
            "fr",
            "Où êtes-vous, François ? Ça, cœur, Œuvre, À bientôt",
            "Où etes-vous, Francois ? Ça, coeur, Oeuvre, A bientot",
        ),
        ("it", "È il Suo codice, perché è così", "E' il Suo codice, perché è così"),
        ("nl", "Eén coördinatie, geïnd, België", "Eén coördinatie, geind, Belgie"),
        ("pl", "Łódź: zażółć gęślą jaźń, ŻÓŁĆ", "Lodz: zazolc gesla jazn, ZOLC"),
        ("pt", "Você não é a Conceição, à mão, É", "Voce nao é a Conceicao, à mao, É"),
        ("tr", "İstanbul, ışık, Çağrı, şüphe, ÖĞÜN", "Istanbul, isik, Çagri, süphe, ÖGÜN"),  # noqa: RUF001 - these are the letters
        ("de", "Größe, Übung", "Größe, Übung"),
    ],
)
def test_letters_are_written_as_speakers_write_them(tag: str, proper: str, written: str) -> None:
    """What GSM-7 has stays: the ñ of año, the è of it, the Ç of a beginning, the ü of Turkish."""
    assert plainly(proper, tag) == written
    assert segments(written).encoding is Encoding.GSM_7


@pytest.mark.parametrize("tag", SPELT)
@pytest.mark.parametrize("purpose", [*ACTS, "bind_contact", "close_account"])
def test_an_ordinary_sms_takes_one_segment(tag: str, purpose: str) -> None:
    """D3: in every language of Latin letters; D4: with the last line as it must be."""
    told = render_sms(occasion(Channel.SMS, locale=tag, purpose=purpose), CODE)
    assert segments(told.text).segments == 1
    assert segments(told.text).encoding is Encoding.GSM_7
    assert told.text == render(occasion(Channel.SMS, locale=tag, purpose=purpose), CODE).text
    assert told.text.endswith("\n@adasteashop.example #123456")


@pytest.mark.parametrize("tag", SPELT)
@pytest.mark.parametrize("site", ["Чайная", "茶屋", "Tea 🍵"])
def test_where_nothing_is_saved_every_letter_stays(tag: str, site: str) -> None:
    """A name in another script costs sixteen bits a character whatever the others are."""
    told = render_sms(occasion(Channel.SMS, locale=tag, site=site), CODE)
    assert site in told.text
    assert told.spelling is Transliteration.PROPER


def test_a_name_of_the_languages_own_letters_is_spelled_like_the_rest() -> None:
    text = "123456: Łódzka Herbaciarnia, nie podawaj go nikomu, nigdy o niego nie prosimy.\n@herbata.example #123456"
    told = transliterate(text, "pl")
    assert (told.spelling, told.text.split(",")[0]) == (Transliteration.PLAIN, "123456: Lodzka Herbaciarnia")
    assert transliterate("Łódź", "pl").text == "Łódź", "a text that takes one segment as it is stays as it is"
    assert transliterate(text, "en").text == text, "a language without a table leaves all letters alone"


@given(
    st.sampled_from(sorted(SPELLINGS)),
    st.text(max_size=200),
    st.text(alphabet="0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=4),
)
def test_a_spelling_never_costs_more_and_never_touches_the_last_line(tag: str, text: str, code: str) -> None:
    """D3, D4."""
    line = f"@adasteashop.example #{code}"
    told = transliterate(f"{text}\n{line}", tag)
    assert segments(told.text).segments <= segments(plain(f"{text}\n{line}")).segments
    assert told.text.endswith(f"\n{line}")
    assert code not in repr(told)

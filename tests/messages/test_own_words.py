"""An operator's own words: what may stand in a template, what is refused before the start, and that a code arrives whatever breaks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs
from tests.messages.occasions import CODE, occasion
from tests.messages.test_hostile import HOSTILE
from tests.messages.test_mail import FETCHING, read

from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.purpose import DEFAULT_POLICIES
from countersign.errors import SettingsError
from countersign.messages.channels.sms_size import Encoding, segments
from countersign.messages.custom.custom_templates import MAX_FILE, CustomTemplates, Part, load_templates
from countersign.messages.language.transliteration import Transliteration
from countersign.messages.render import languages, render, render_sms

if TYPE_CHECKING:
    from pathlib import Path

SMS = "{{ code }} opens {{ site }}."
HTML = '<!doctype html><html lang="{{ language }}" dir="{{ direction }}"><body><p>{{ site }}: <b>{{ code }}</b></p><p>{{ warning }}</p></body></html>'
LAST = "@adasteashop.example #123456"


def words(folder: Path, *, code_in_subject: bool = False, **files: str) -> CustomTemplates:
    """Return the templates of a folder with these files; `__` in a name stands for a full stop."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return load_templates(folder, DEFAULT_POLICIES, code_in_subject=code_in_subject)


def refused(folder: Path, name: str, text: str) -> str:
    """Return why a template is not taken."""
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_templates(folder, DEFAULT_POLICIES, code_in_subject=False)
    return str(caught.value)


# -------------------------------------------------------------------------------------------------------- what it may say


def test_an_sms_says_the_operators_words_our_warning_and_our_last_lines(tmp_path: Path) -> None:
    """D4, D6."""
    own = words(tmp_path, sms__txt=f"{SMS}\n{{% if device %}}From {{{{ device }}}}\n{{% endif %}}")
    assert render(occasion(Channel.SMS, app_hash="FA+9qCX9VSu"), CODE, own).text.split("\n") == [
        "123456 opens Ada's Tea Shop.",
        "From Firefox on Windows",
        "Never share it. We never ask for it.",
        "FA+9qCX9VSu",
        LAST,
    ]
    assert render(occasion(Channel.SMS, device=""), CODE, own).text.split("\n")[1:] == [
        "Never share it. We never ask for it.",
        LAST,
    ]


def test_a_warning_stands_where_the_template_has_it_and_once(tmp_path: Path) -> None:
    text = render(occasion(Channel.SMS), CODE, words(tmp_path, sms__txt="{{ warning }} {{ code }}")).text
    assert text == f"Never share it. We never ask for it. 123456\n{LAST}"


def test_the_nearest_language_says_it_then_the_purpose(tmp_path: Path) -> None:
    own = words(
        tmp_path,
        sms__txt="any {{ code }}",
        sms__de__txt="de {{ code }}",
        sign_in__sms__txt="sign_in {{ code }}",
        sign_in__sms__de__txt="sign_in de {{ code }}",
        step_up__sms__txt="step_up {{ code }}",
    )
    said = {
        (purpose, locale): render(occasion(Channel.SMS, purpose=purpose, locale=locale), CODE, own).text.split(" 1")[0]
        for purpose in ("sign_in", "recover", "step_up")
        for locale in ("en", "de-AT")
    }
    assert said == {
        ("sign_in", "en"): "sign_in",
        ("sign_in", "de-AT"): "sign_in de",
        ("recover", "en"): "any",
        ("recover", "de-AT"): "de",
        ("step_up", "en"): "step_up",
        ("step_up", "de-AT"): "de",
    }
    assert own.file(Part.SMS, "recover", "de") == "sms.de.txt"
    assert not own.file(Part.TEXT, "recover", "de")


@pytest.mark.parametrize("locale", languages())
def test_a_mail_says_the_operators_words_in_every_language(tmp_path: Path, locale: str) -> None:
    own = words(
        tmp_path,
        mail__subject__txt="{{ site }}: {{ act }}",
        mail__txt="{{ act }}\n\n{{ code }}\n\n{{ warning }}\n{{ time }} {{ until }} {{ place }} {{ not_me }}\n",
        mail__html=HTML,
    )
    ours, mail = render(occasion(locale=locale), CODE), render(occasion(locale=locale), CODE, own)
    assert mail.subject.startswith("Ada's Tea Shop: ")
    assert mail.text.split("\n")[2] == "123456"
    assert "https://adasteashop.example/not-me/ver_1" in mail.text
    assert read(mail.html).elements[0][1]["dir"] == read(ours.html).elements[0][1]["dir"]
    assert "<b>123456</b>" in mail.html


def test_what_has_no_template_is_said_in_our_words(tmp_path: Path) -> None:
    own = words(tmp_path, recover__sms__txt=SMS)
    for channel in Channel:
        assert render(occasion(channel), CODE, own) == render(occasion(channel), CODE)
    assert load_templates(None, DEFAULT_POLICIES, code_in_subject=False).file(Part.SMS, "sign_in", "en") == ""


def test_a_template_is_spelled_plainly_where_that_saves_a_segment(tmp_path: Path) -> None:
    """D3."""
    if "pl" not in languages():
        pytest.skip("there is no catalogue of pl")
    own = words(tmp_path, sms__pl__txt="{{ code }}: zażółć gęślą jaźń, i jeszcze kilka zwykłych słów. {{ warning }}")
    told = render_sms(occasion(Channel.SMS, locale="pl"), CODE, own)
    assert told.spelling is Transliteration.PLAIN
    assert told.text.startswith("123456: zazolc gesla jazn, ")
    assert segments(told.text).encoding is Encoding.GSM_7


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").write_bytes(b"\xff")
    assert words(tmp_path, sms__txt=SMS).file(Part.SMS, "sign_in", "en") == "sms.txt"


# --------------------------------------------------------------------------------------------------- what stops the start


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ code }}\n{{ password }}", "line 2: There is no variable 'password'"),
        ("{{ code }}\n\n{{ site", "line 3: "),
        ("{{ code }}{% if site %}", "line 1: "),
        ("Hello {{ site }}", "line 1: It never says {{ code }}"),
        ("{% if summary %}{{ code }}{% endif %}", "where summary is empty: it does not say the code"),
        ("{% if not summary %}{{ code }}{% endif %}", "it does not say the code"),
        ('{% if language == "en" %}{{ code }}{% endif %}', "it does not say the code"),
        ("{{ code | lower }}", "it does not say the code"),
        ("{{ code }}\n{% for c in code %}{{ c }}{% endfor %}", "line 2: a loop is not allowed"),
        ("{{ code }}{% for x in range(10**9) %}x{% endfor %}", "line 1: a loop is not allowed"),
        ("{{ code }}{{ range(10**9) }}", "line 1: a call is not allowed"),
        ("{{ code }}{{ lipsum() }}", "a call is not allowed"),
        ("{{ code }}{{ site.__class__ }}", "an attribute is not allowed"),
        ("{{ code }}{{ site['__class__'] }}", "an index is not allowed"),
        ("{{ code }}{{ site | attr('__class__') }}", "The filter 'attr' is not allowed"),
        ("{{ code }}{{ site | center(1000000000) }}", "The filter 'center' is not allowed"),
        ("{{ code }}{{ ''.format }}", "an attribute is not allowed"),
        ("{{ code }}{{ 'a' * 10**10 }}", "is not allowed"),
        ("{{ code }}{{ 10 ** 10 ** 10 }}", "is not allowed"),
        ("{{ code }}{{ 'a' ~ 'b' }}", "is not allowed"),
        ("{{ code }}{% set x = code %}", "set is not allowed"),
        ("{{ code }}{% include 'sms.de.txt' %}", "another file is not allowed"),
        ("{{ code }}{% extends '/etc/passwd' %}", "another file is not allowed"),
        ("{{ code }}{% import 'x' as y %}", "another file is not allowed"),
        ("{{ code }}{% macro x() %}{{ x() }}{% endmacro %}", "a macro is not allowed"),
        ("{{ code }}{% block x %}{% endblock %}", "is not allowed"),
        ("{{ code }}{% filter upper %}x{% endfilter %}", "is not allowed"),
        ("{{ code }}{% autoescape false %}x{% endautoescape %}", "a change of escaping is not allowed"),
        ("{{ code }}{{ self }}", "There is no variable 'self'"),
        ("{{ code }}{{ caller }}", "There is no variable 'caller'"),
        ("{{ code }}{{ '%s' % code }}", "is not allowed"),
        ("{{ code }}{{ [1, 2] }}", "is not allowed"),
        ("{{ code }}{{ {1: 2} }}", "is not allowed"),
        ("{{ code }}{% if site is defined %}x{% endif %}", "a test is not allowed"),
        ("{{ code }}" + "{{ not_me }}" * 20, "it comes to more than 1000 characters"),
        ("{{ code }}" + "x" * 1000, "it comes to more than 1000 characters"),
        ("{{ code }}{% if code < 5 %}x{% endif %}", "It cannot be filled: TypeError"),
        ("{{ code }}\n@{{ host }} #{{ code }}", "looks like the one that binds the code"),
        ("{{ code }}\n  @evil.example #{{ code }} ", "looks like the one that binds the code"),
        ("{{ code }}{{ " + "(" * 5_000 + "site" + ")" * 5_000 + " }}", "nested too deeply"),
        ("{{ code }}{{ " + "not " * 8_000 + "site }}", "nested too deeply"),
        ("{{ code }}{{ " + "site and " * 6_000 + "site }}", "nested too deeply"),
        ("{% if site %}" * 2_000 + "{{ code }}" + "{% endif %}" * 2_000, "nested too deeply"),
        ("{{ code }}{{ " + "9" * 5_000 + " }}", "a number that is too long"),
        ("{{ code }}\n\0", "line 2: It has a control character"),
        ("{{ code }}" + " " * MAX_FILE, "It is longer than 65536 bytes"),
    ],
    ids=range(46),
)
def test_a_template_that_could_do_harm_or_fail_stops_the_start_in_bounded_time(
    tmp_path: Path, text: str, told: str
) -> None:
    """In words that name the file, and mostly the line."""
    began = time.process_time()
    said = refused(tmp_path, "sms.txt", text)
    assert said.startswith("messages.folder: sms.txt")
    assert told in said
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("sms.tlh.txt", "There is no language 'tlh'"),
        ("pay.sms.txt", "There is no purpose 'pay'"),
        ("sms.html", "The name says no part of a message"),
        ("mail.subject.html", "The name says no part of a message"),
        ("letter.txt", "The name says no part of a message"),
        ("sms.txt~", "The name says no part of a message"),
        ("README", "The name says no part of a message"),
    ],
)
def test_a_file_that_would_never_be_read_stops_the_start(tmp_path: Path, name: str, told: str) -> None:
    assert f"{name}: {told}" in refused(tmp_path, name, SMS)


def test_every_fault_of_a_folder_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "mail.txt").mkdir()
    (tmp_path / "sms.de.txt").write_bytes(b"{{ code }}\n\xff")
    told = refused(tmp_path, "sms.txt", "{{ x }}").split("\n")
    assert told[0] == "messages.folder: mail.txt: It cannot be read."
    assert told[1] == "messages.folder: sms.de.txt, line 2: It is not UTF-8."
    assert told[2].startswith("messages.folder: sms.txt, line 1: There is no variable 'x'")
    with pytest.raises(SettingsError, match="expected a folder"):
        load_templates(tmp_path / "nowhere", DEFAULT_POLICIES, code_in_subject=False)


def test_a_code_stands_in_a_subject_only_where_the_settings_say_so(tmp_path: Path) -> None:
    """D5: no code in the subject unless policy says so."""
    told = refused(tmp_path, "mail.subject.txt", "{{ site }}\n{{ code }}")
    assert "mail.subject.txt, line 2: " in told
    assert "messages.code_in_subject" in told
    own = words(tmp_path, code_in_subject=True, mail__subject__txt="{{ code }}: {{ site }}")
    assert render(occasion(), CODE, own).subject == "123456: Ada's Tea Shop"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('\n<img src="https://evil.example/x.gif">', "line 2: <img> is not allowed"),
        ("<script>1</script>", "<script> is not allowed"),
        ("<p onclick='x'>", "runs nothing"),
        ("<p style='background: url(https://evil.example)'>", "fetches nothing"),
        ("<style>@import 'https://evil.example';</style>", "fetches nothing"),
        ("<a href='javascript:alert(1)'>x</a>", "no https address"),
        ("<a href='{{ site }}'>x</a>", "no https address"),
        ("<meta http-equiv='refresh' content='0'>", "fetches nothing"),
        ("<form action='https://evil.example'>", "<form> is not allowed"),
        ("<p title={{ site }}>x</p>", "could become markup"),
        ("<p {{ summary }}>x</p>", "could become markup"),
        ("<{{ place }}>", "could become markup"),
        ("<p style='color: {{ site }}'>x</p>", "could become markup"),
        ("<style>p { color: {{ site }} }</style>", "could become markup"),
        ("<!-- {{ site }} -->", "could become markup"),
        ("{{ site | safe }}", "The filter 'safe' is not allowed"),
    ],
)
def test_a_mail_that_fetches_runs_or_could_be_broken_open_stops_the_start(tmp_path: Path, more: str, told: str) -> None:
    """D5: no remote images."""
    assert told in refused(tmp_path, "mail.html", HTML.replace("</body>", f"{more}</body>"))


@pytest.mark.parametrize("name", ["mail.txt", "mail.html"])
def test_a_mail_without_the_warning_stops_the_start(tmp_path: Path, name: str) -> None:
    """D6: the warning."""
    assert "it does not say {{ warning }}" in refused(tmp_path, name, "{{ code }}")


# ------------------------------------------------------------------------------------------------- what cannot be foreseen


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_value_is_never_read_as_a_template_and_forges_nothing(tmp_path: Path, value: str) -> None:
    """D4, D5."""
    own = words(
        tmp_path,
        sms__txt="{{ code }} {{ site }}\n{{ summary }}\n{{ device }}, {{ place }}",
        mail__subject__txt="{{ site }} {{ summary }}",
        mail__txt="{{ site }}\n{{ summary }}\n{{ code }}\n{{ device }} {{ place }}\n{{ warning }}",
        mail__html=HTML.replace("</body>", "<p title='{{ site }}'>{{ summary }} {{ device }} {{ place }}</p></body>"),
    )
    text = render(occasion(Channel.SMS, site=value, summary=value, device=value, place=value), CODE, own).text
    assert text.split("\n")[-1] == LAST
    assert [line for line in text.split("\n") if line.lstrip().startswith("@") and "#" in line] == [LAST]
    mail = render(occasion(site=value, summary=value, device=value, place=value), CODE, own)
    assert len(mail.subject.splitlines()) <= 1
    assert "\r" not in mail.subject
    assert [tag for tag, _ in read(mail.html).elements if tag in FETCHING] == []
    assert [tag for tag, _ in read(mail.html).elements] == ["html", "body", "p", "b", "p", "p"]
    if "{{" in value:
        assert "{{ letter }}" in text, "braces are words"
        assert "{{ letter }}" in mail.text


def test_whatever_breaks_at_the_last_moment_a_code_arrives_in_our_words(tmp_path: Path) -> None:
    """D1: with one line in the log, which holds neither the code nor what was sent."""
    own = words(
        tmp_path,
        sms__txt='{% if site != "Rome" %}{{ code }}{% endif %}',
        mail__txt='{{ warning }}{% if site != "Rome" %}{{ code }}{% endif %}',
        mail__subject__txt='{% if site == "Rome" %}{{ summary }}{% else %}{{ act }}{% endif %}',
    )
    for channel in (Channel.SMS, Channel.EMAIL):
        with capture_logs() as logged:
            message = render(occasion(channel, site="Rome"), CODE, own)
        assert message == render(occasion(channel, site="Rome"), CODE)
        assert {line["event"] for line in logged} == {"template_unused"}
        assert len({line["template"] for line in logged}) == len(logged) == (1 if channel is Channel.SMS else 2)
        assert "123456" not in str(logged)
        assert "Rome" not in str(logged)


def test_a_subject_that_would_say_the_code_by_another_way_is_ours(tmp_path: Path) -> None:
    """D5: a summary that happens to hold the very digits of the code."""
    own = words(tmp_path, mail__subject__txt="{{ site }}: {{ summary }}")
    assert render(occasion(summary="Pay 123456 EUR"), CODE, own).subject == render(occasion(), CODE).subject


def test_an_error_inside_a_template_is_caught(tmp_path: Path) -> None:
    """D1: whatever its kind."""
    own = words(tmp_path, sms__txt='{{ code }}{% if site == "Rome" %}{% if site < 5 %}x{% endif %}{% endif %}')
    with capture_logs() as logged:
        text = render(occasion(Channel.SMS, site="Rome"), CODE, own).text
    assert text == render(occasion(Channel.SMS, site="Rome"), CODE).text
    assert [(line["template"], line["reason"]) for line in logged] == [("sms.txt", "TypeError")]


@pytest.mark.parametrize("asker", ["", "Leaf & Kettle"])
def test_words_that_leave_the_act_or_its_application_out_are_not_used(tmp_path: Path, asker: str) -> None:
    """P4: an act is named, whatever the operator's template says; without an act the template is used."""
    own = words(
        tmp_path, sms__txt="{{ site }}: {{ code }}", mail__txt="{{ site }} {{ code }} {{ warning }}", mail__html=HTML
    )
    for channel in (Channel.SMS, Channel.EMAIL):
        message = render(occasion(channel, summary="Pay <1> & 2", asker=asker), CODE, own)
        assert "Pay <1> & 2" in message.text
        assert asker in message.text
        assert channel is Channel.SMS or "Pay &lt;1&gt; &amp; 2" in message.html
    assert render(occasion(Channel.SMS, summary=""), CODE, own).text.startswith("Ada's Tea Shop: 123456")
    fine = words(tmp_path / "fine", sms__txt="{{ code }} {{ site }} {{ summary }}")
    text = render(occasion(Channel.SMS, summary="Pay 1", asker=asker), CODE, fine).text
    assert text.startswith(f"123456 Ada's Tea Shop {asker}: Pay 1" if asker else "123456 Ada's Tea Shop Pay 1")

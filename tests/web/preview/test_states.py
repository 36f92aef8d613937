"""The preview shows every template in every state: both sides of each question that a template asks are seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jinja2
import pytest
from jinja2 import nodes
from tests.config_files import themed_settings

from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.look.theme import Theme
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.purpose import DEFAULT_POLICIES
from countersign.messages.custom.custom_templates import DEFAULT_TEMPLATES
from countersign.messages.language.catalogue import Language, languages, negotiate, sentences
from countersign.web.pages.shared.rendering import environment
from countersign.web.preview.application import PAGE_STATES, PreviewApplication
from countersign.web.preview.message_states import message_states
from countersign.web.preview.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

OF_DEVELOPMENT: Final = frozenset({"demonstration.html", "inbox.html"})
"""Pages that development itself shows, with data that is made up already."""


class Watching(jinja2.Environment):
    """Compiles templates that write down the outcome of each `if`, by the template and the line."""

    def __init__(self) -> None:
        ours = environment()
        super().__init__(
            loader=ours.loader,
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.globals |= ours.globals
        self.filters |= ours.filters
        self.asked: set[tuple[str, int, int]] = set()
        self.seen: set[tuple[str, int, int, bool]] = set()
        self.globals["_noted"] = self.note

    def note(self, name: str, line: int, number: int, value: Any) -> Any:
        """Write down an outcome, and return the value."""
        self.seen.add((name, line, number, bool(value)))
        return value

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        own = {id(node) for macro in tree.find_all(nodes.Macro) for node in _of_the_macro_alone(macro)}
        for number, node in enumerate(tree.find_all((nodes.If, nodes.CondExpr))):
            assert isinstance(node, nodes.If | nodes.CondExpr)
            if id(node) in own:
                continue
            where = (name or "", node.lineno, number)
            self.asked.add(where)
            call = nodes.Call(
                nodes.Name("_noted", "load"), [*(nodes.Const(part) for part in where), node.test], [], None, None
            )
            node.test = call.set_lineno(node.lineno)
        return tree


def _of_the_macro_alone(macro: nodes.Macro) -> Iterator[nodes.Node]:
    """Yield the questions of a macro about what it was called with; a page may always call it in one way."""
    names = {argument.name for argument in macro.args}
    names |= {
        target.name
        for assign in macro.find_all(nodes.Assign)
        for target in assign.find_all(nodes.Name)
        if target.ctx == "store"
    }
    for node in macro.find_all((nodes.If, nodes.CondExpr)):
        assert isinstance(node, nodes.If | nodes.CondExpr)
        asked = (
            {node.test.name}
            if isinstance(node.test, nodes.Name)
            else {one.name for one in node.test.find_all(nodes.Name)}
        )
        if asked <= names:
            yield node


@pytest.fixture(scope="module")
def themes(tmp_path_factory: pytest.TempPathFactory) -> tuple[PreviewApplication, tuple[Theme, ...]]:
    """Give a preview, and themes with and without each part."""
    settings = themed_settings(tmp_path_factory.mktemp("themes"))
    return PreviewApplication(settings, DEFAULT_TEMPLATES), settings.themes.every()


def test_both_sides_of_each_question_of_each_template_are_shown(
    themes: tuple[PreviewApplication, tuple[Theme, ...]],
) -> None:
    """Whoever changes a template sees each of its states; one that learned a question needs a state for both answers."""
    preview, every = themes
    watching = Watching()
    for state in PAGE_STATES:
        for theme in (Theme(), *every):
            values = preview.values_of(state, "en", theme)
            watching.get_template(state.template).render(values)
    shown = {state.template for state in PAGE_STATES}
    pages = {name for name in watching.list_templates() if not name.startswith("_")} - OF_DEVELOPMENT
    assert pages - shown == set(), "add states to src/countersign/web/preview"
    missing = sorted(
        f"{name}, line {line}: the outcome {'yes' if outcome else 'no'} is in no state"
        for name, line, number in watching.asked
        for outcome in (True, False)
        if (name, line, number, outcome) not in watching.seen
    )
    assert missing == [], "add states to src/countersign/web/preview"


def test_no_two_states_have_one_address() -> None:
    ids = [*(state.id for state in PAGE_STATES), *(state.id for state in message_states())]
    assert len(set(ids)) == len(ids)


def test_every_message_is_shown() -> None:
    ids = {state.id for state in message_states()}
    codes = {f"code-{purpose}-{channel.value}" for purpose in DEFAULT_POLICIES for channel in Channel}
    notices = {f"notice-{kind.value}-{channel}" for kind in NoticeKind for channel in ("email", "sms")}
    assert codes | notices <= ids


def test_the_preview_says_only_what_pages_say(monkeypatch: pytest.MonkeyPatch) -> None:
    said: set[str] = set()
    say = Language.say

    def noted(self: Language, sentence: str, /, **values: str) -> str:
        said.add(sentence)
        return say(self, sentence, **values)

    monkeypatch.setattr(Language, "say", noted)
    for state in PAGE_STATES:
        state.fill(Sample(negotiate("en"), "Site", "example.org"))
    assert said - set(sentences()) == set()


@pytest.mark.parametrize("tag", languages())
def test_every_page_and_message_is_shown_in_every_language(
    tag: str, themes: tuple[PreviewApplication, tuple[Theme, ...]]
) -> None:
    preview, every = themes
    for state in PAGE_STATES:
        text = environment().get_template(state.template).render(preview.values_of(state, tag, every[0]))
        assert f'<html lang="{tag}"' in text
    for message in message_states():
        written = message.write(Sample(negotiate(tag), "Site", "example.org"), every[0], DEFAULT_TEMPLATES)
        assert written.text

"""What every page must keep, whatever it says: rules of WCAG 2.2 and of password managers that can be read off its HTML."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_VOID: Final = frozenset({"input", "meta", "link", "br", "img", "hr", "path", "rect", "circle", "use"})
_TYPED: Final = frozenset({"text", "password", "email", "tel", "search", "url"})
_TOKENS: Final = frozenset(
    {"off", "name", "username", "email", "tel", "webauthn", "one-time-code", "current-password", "new-password"}
)


class Element:
    """One element: its tag, its attributes and its text, that of its children included."""

    def __init__(self, tag: str, attributes: dict[str, str], inside: tuple[Element, ...]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.inside = inside
        self.text = ""

    def get(self, name: str) -> str:
        """Return an attribute, or nothing."""
        return self.attributes.get(name, "")

    @property
    def words(self) -> str:
        """Return the text as it is read."""
        return " ".join(self.text.split())

    def is_in(self, tag: str) -> bool:
        """Say whether it stands in such an element."""
        return any(one.tag == tag for one in self.inside)


class Document(HTMLParser):
    """A page, read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open))
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that is closed at once."""
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open)))

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Add text to all that it stands in."""
        for element in self._open:
            element.text += data

    def all(self, *tags: str) -> list[Element]:
        """Return the elements of these tags."""
        return [one for one in self.elements if one.tag in tags]

    def named(self, id_: str) -> Element | None:
        """Return the element of an id."""
        return next((one for one in self.elements if one.get("id") == id_), None)

    @property
    def title(self) -> str:
        """Return the title."""
        return self.all("title")[0].words


def faults_of(html: str, *, error: str = "Error:") -> list[str]:
    """Return what a page does wrong, in sentences. `error` is what a title begins with if something is wrong."""
    page = Document(html)
    return [
        *_headings(page),
        *_ids(page),
        *_fields(page),
        *_faults(page, error),
        *_names(page),
        *_passwords(page),
    ]


def _headings(page: Document) -> Iterator[str]:
    first = page.all("h1")
    if len(first) != 1:
        yield f"{len(first)} headings of the first rank: {[one.words for one in first]}"
    if not all(one.words for one in page.all("h1", "h2", "h3")):
        yield "an empty heading"


def _ids(page: Document) -> Iterator[str]:
    ids = [one.get("id") for one in page.elements if one.get("id")]
    for twice in {one for one in ids if ids.count(one) > 1}:
        yield f"two elements are called {twice}"
    for one in page.elements:
        for name in ("aria-describedby", "aria-labelledby", "aria-controls", "for"):
            for id_ in one.get(name).split():
                if id_ not in ids:
                    yield f"{one.tag} names {id_}, which is not there, by {name}"


def _fields(page: Document) -> Iterator[str]:
    labelled = {one.get("for") for one in page.all("label")}
    for one in page.all("input", "select", "textarea"):
        kind = one.get("type") or "text"
        if (one.tag == "input" and kind == "hidden") or "hidden" in one.attributes:
            continue
        if one.get("id") not in labelled and not one.is_in("label") and not one.get("aria-label"):
            yield f"the field {one.get('name')} has no label"
        if one.tag == "input" and kind in _TYPED and "readonly" not in one.attributes:
            tokens = one.get("autocomplete").split()
            if not tokens or not set(tokens) <= _TOKENS:
                yield f"the field {one.get('name')} does not say what it is for: {tokens}"


def _faults(page: Document, error: str) -> Iterator[str]:
    invalid = [one for one in page.elements if one.get("aria-invalid") == "true"]
    told = [one for one in page.elements if "fault" in one.get("class").split() and one.words]
    if bool(invalid or told) != page.title.startswith(error):
        yield f"{len(invalid)} fields and {len(told)} sentences are at fault; the title is {page.title!r}"
    links = {one.get("href") for one in page.all("a")}
    for one in invalid:
        described = [page.named(id_) for id_ in one.get("aria-describedby").split()]
        if not any(found is not None and found.words for found in described):
            yield f"nothing says what is wrong with {one.get('name')}"
    if invalid and not any(f"#{one.get('id')}" in links for one in invalid):
        yield "no link leads to the field that is at fault"
    if len([one for one in page.elements if "autofocus" in one.attributes]) > 1:
        yield "two fields want the focus"


def _names(page: Document) -> Iterator[str]:
    """WCAG 2.5.3: what is seen stands in what is heard."""
    for one in page.all("button", "a"):
        if not one.words and not one.get("aria-label"):
            yield f"a {one.tag} to {one.get('href') or one.get('name')} has no name"
        if one.get("aria-label") and one.words.casefold() not in one.get("aria-label").casefold():
            yield f"{one.words!r} is not in {one.get('aria-label')!r}"


def _passwords(page: Document) -> Iterator[str]:
    passwords = [one for one in page.all("input") if one.get("type") == "password"]
    for one in passwords:
        if not {"current-password", "new-password"} & set(one.get("autocomplete").split()):
            yield f"the password {one.get('name')} is neither a new one nor the present one"
        if all(box.get("data-reveals") != one.get("id") for box in page.elements):
            yield f"the password {one.get('name')} cannot be shown"
        if ("passwordrules" in one.attributes) != ("new-password" in one.get("autocomplete")):
            yield f"the password {one.get('name')} has no rules, or has some in vain"
    names = [one for one in page.all("input") if "username" in one.get("autocomplete").split()]
    if passwords and not any(page.elements.index(one) < page.elements.index(passwords[0]) for one in names):
        yield "a password without a name"

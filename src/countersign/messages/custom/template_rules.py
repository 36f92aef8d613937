"""The rules for an operator's template: variables, conditions and a few filters, and nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2 import Template

VARIABLES: Final = (
    "site",
    "act",
    "code",
    "summary",
    "device",
    "place",
    "time",
    "until",
    "host",
    "not_me",
    "warning",
    "language",
    "direction",
)
"""The variables of a template. Each is one line of text, and may be empty."""

FILTERS: Final = ("upper", "lower", "capitalize", "trim")

# Nothing that loops, calls, reaches into an object, calculates or reads another file is listed here, so it is refused.
_ALLOWED: Final = frozenset(
    {
        nodes.Template,
        nodes.Output,
        nodes.TemplateData,
        nodes.Name,
        nodes.If,
        nodes.CondExpr,
        nodes.Const,
        nodes.Compare,
        nodes.Operand,
        nodes.Not,
        nodes.And,
        nodes.Or,
        nodes.Filter,
    }
)
_REFUSED: Final = {
    nodes.For: "a loop",
    nodes.Call: "a call",
    nodes.Getattr: "an attribute",
    nodes.Getitem: "an index",
    nodes.Assign: "set",
    nodes.Include: "another file",
    nodes.Import: "another file",
    nodes.FromImport: "another file",
    nodes.Extends: "another file",
    nodes.Macro: "a macro",
    nodes.Scope: "a change of escaping",
    nodes.Test: "a test",
}
_FETCHING: Final = frozenset(
    [
        "audio",
        "base",
        "button",
        "embed",
        "form",
        "frame",
        "iframe",
        "image",
        "img",
        "input",
        "link",
        "object",
        "picture",
        "script",
        "source",
        "svg",
        "track",
        "video",
    ]
)
_FETCHING_ATTRIBUTES: Final = frozenset({"src", "srcset", "background", "poster", "data", "http-equiv", "action"})
_FETCHING_STYLE: Final = re.compile(r"url\s*\(|@import|@font-face|image-set", re.IGNORECASE)
_LINKS: Final = ("https://", "http://localhost", "http://127.0.0.1", "mailto:", "tel:", "#")


class TemplateFaultError(Exception):
    """A template breaks a rule at `line` of its file (counted from 1)."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


class Checked:
    """A template that keeps the rules, ready to be filled. `names` are the variables that it may use."""

    __slots__ = ("_template", "names")

    def __init__(self, template: Template, names: frozenset[str]) -> None:
        self._template = template
        self.names = names

    def fill(self, values: dict[str, str]) -> str:
        """Return the template with its variables filled in."""
        return self._template.render(values)


def compiled(source: str, *, html: bool) -> Checked:
    """Return a template that keeps the rules, or raise TemplateFaultError. The parsed template is judged before any of it runs."""
    environment = _HTML if html else _TEXT
    try:
        tree = environment.parse(source)
        names = frozenset(_named(tree))
        return Checked(environment.from_string(tree), names)
    except TemplateSyntaxError as error:
        raise TemplateFaultError(error.lineno, f"{(error.message or 'it cannot be read').rstrip('.')}.") from error
    except (RecursionError, SyntaxError, ValueError, OverflowError, MemoryError) as error:
        raise TemplateFaultError(1, "It is nested too deeply, or has a number that is too long.") from error


def _named(tree: nodes.Template) -> Iterator[str]:
    for node in tree.find_all(nodes.Node):
        if type(node) not in _ALLOWED:
            what = _REFUSED.get(type(node), f"“{type(node).__name__.lower()}”")
            raise TemplateFaultError(
                next((each.lineno for each in (node, *node.find_all(nodes.Node)) if each.lineno), 1),
                f"{what} is not allowed: a template has variables, if, comparisons, and the filters {', '.join(FILTERS)}.",
            )
        if isinstance(node, nodes.Name):
            if node.name not in VARIABLES:
                raise TemplateFaultError(
                    node.lineno, f"There is no variable {node.name!r}; there are {', '.join(VARIABLES)}."
                )
            yield node.name
        if isinstance(node, nodes.Filter) and (
            node.name not in FILTERS or node.args or node.kwargs or node.dyn_args or node.dyn_kwargs
        ):
            raise TemplateFaultError(
                node.lineno, f"The filter {node.name!r} is not allowed as it stands; there are {', '.join(FILTERS)}."
            )


def _environment(*, html: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=html, trim_blocks=True, lstrip_blocks=True
    )
    # A second barrier behind the rules above: what does not exist cannot be called.
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    environment.tests = {}
    return environment


_TEXT: Final = _environment(html=False)
_HTML: Final = _environment(html=True)


class Outline(HTMLParser):
    """The outline of an HTML page: its elements with the names of their attributes, and whatever fetches, runs or misleads."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.faults: list[tuple[str, str]] = []
        self.unseen = ""
        self._style = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element and judge it."""
        self.elements.append((tag, tuple(sorted(name for name, _ in attrs))))
        self._style = self._style or tag == "style"
        if tag in _FETCHING:
            self.faults.append((tag, f"<{tag}> is not allowed: a mail fetches and asks for nothing."))
        for name, value in attrs:
            content = (value or "").strip()
            if name in _FETCHING_ATTRIBUTES or (name == "style" and _FETCHING_STYLE.search(content)):
                self.faults.append((tag, f"{name}= of <{tag}> is not allowed: a mail fetches nothing."))
            if name.startswith("on"):
                self.faults.append((tag, f"{name}= of <{tag}> is not allowed: a mail runs nothing."))
            if name == "href" and content and not content.lower().startswith(_LINKS):
                self.faults.append((tag, f"A link of <{tag}> leads to no https address."))

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a style element."""
        self._style = self._style and tag != "style"

    def handle_data(self, data: str) -> None:
        """Judge the text of a style element."""
        if self._style:
            self.unseen += data
            if _FETCHING_STYLE.search(data):
                self.faults.append(("style", "A style that fetches is not allowed: a mail fetches nothing."))

    def handle_comment(self, data: str) -> None:
        """Keep the text of a comment; Outlook reads some of them."""
        self.unseen += data

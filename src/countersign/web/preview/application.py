"""Serves the preview: an index with a frame, and in it each page and message as people would see it. It answers this machine alone."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qs, quote, urlencode

import jinja2
import msgspec

from countersign.domain.look.theme import OWN_THEME
from countersign.messages.content.site_links import labelled_links
from countersign.messages.language.catalogue import languages, negotiate
from countersign.web.http.browser import own_name
from countersign.web.pages.shared import assets
from countersign.web.pages.shared.look import FILE_TYPES, files_of, look_of
from countersign.web.pages.shared.rendering import HEADERS, environment, policy
from countersign.web.preview import account_states, recovery_states, report_states, sign_in_states, word_states
from countersign.web.preview.message_states import MessageState, message_states
from countersign.web.preview.sample import PageState, Sample

if TYPE_CHECKING:
    from countersign.config import Settings
    from countersign.domain.look.theme import Theme
    from countersign.messages.custom.custom_templates import CustomTemplates
    from countersign.messages.language.catalogue import Language

PAGE_STATES: Final = (
    *sign_in_states.STATES,
    *recovery_states.STATES,
    *account_states.STATES,
    *report_states.STATES,
    *word_states.STATES,
)
"""Every state of every page. A test holds it against the templates."""

Scope: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]

_HOST: Final = re.compile(rb"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.ASCII)
"""Another site's name that points at 127.0.0.1 (DNS rebinding) is refused."""

_HTML: Final = "text/html; charset=utf-8"
_INDEX_POLICY: Final = "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_MAIL_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
_FRAMES: Final = {"phone": "Phone", "desktop": "Desktop"}
_SCHEMES: Final = {"device": "As here", "light": "Light", "dark": "Dark"}
_ASKS_SCHEME: Final = re.compile(r"\(prefers-color-scheme: ?dark\)")
_SHEET: Final = re.compile(r'(href="/(?:static|theme)/[^"]+\.css)"')


class Answer(msgspec.Struct, frozen=True):
    """What the preview answers."""

    body: bytes
    media_type: str = _HTML
    status: int = 200
    policy: str = _INDEX_POLICY
    location: str = ""


class Selection(msgspec.Struct, frozen=True):
    """What somebody looks at: a page or message by its id, the language, the theme, the size of the frame and its colours."""

    shown: str
    language: str
    theme: str
    frame: str
    scheme: str

    def query(self, **other: str) -> str:
        """Return the query that chooses this, with some of it changed."""
        return urlencode({**msgspec.structs.asdict(self), **other})


class PreviewApplication:
    """An ASGI application without a database. It knows the themes, words and templates of the settings, and no other data."""

    def __init__(self, settings: Settings, own: CustomTemplates) -> None:
        self._settings = settings
        self._own = own
        self._pages = {state.id: state for state in PAGE_STATES}
        self._messages = {state.id: state for state in message_states()}
        self._themes = {theme.name: theme for theme in settings.themes.every()}
        # A page that learned a new value shows it as empty until its states are completed; the test of the table says so.
        self._environment = environment().overlay(undefined=jinja2.ChainableUndefined)
        own_templates = jinja2.Environment(
            loader=jinja2.PackageLoader("countersign.web.preview"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._index = own_templates.get_template("index.html")
        self._bubble = own_templates.get_template("bubble.html")

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        answer = self._answer(scope)
        headers = {
            **HEADERS,
            "Content-Type": answer.media_type,
            "Content-Security-Policy": answer.policy,
            "Content-Length": str(len(answer.body)),
        }
        if "frame-ancestors 'self'" in answer.policy:
            headers["X-Frame-Options"] = "SAMEORIGIN"
        if answer.location:
            headers["Location"] = answer.location
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    def _answer(self, scope: Scope) -> Answer:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or _HOST.fullmatch(hosts[0].lower()) is None:
            return _said(421, "The preview answers this machine alone.")
        if scope["method"] not in {"GET", "HEAD"}:
            return _said(405, "This is a preview: no form is carried out.")
        first, _, rest = scope["path"].removeprefix("/").partition("/")
        chosen = self._chosen(scope["query_string"].decode("latin-1"))
        match first:
            case "":
                return self._show_index(chosen)
            case "page" if rest in self._pages:
                return self._show_page(self._pages[rest], chosen)
            case "message" if rest in self._messages:
                return self._show_message(self._messages[rest], chosen)
            case "static" | "theme":
                return self._file(first, rest.rpartition("/")[2], chosen.scheme)
            case _:
                return _said(404, "This is a preview: links and forms lead nowhere.")

    def _chosen(self, query: str) -> Selection:
        given = {name: values[0] for name, values in parse_qs(query, max_num_fields=20).items()}
        known: dict[str, tuple[str, ...]] = {
            "shown": (*self._pages, *self._messages),
            "language": languages(),
            "theme": tuple(self._themes),
            "frame": tuple(_FRAMES),
            "scheme": tuple(_SCHEMES),
        }
        return Selection(**{name: given[name] if given.get(name) in ids else ids[0] for name, ids in known.items()})

    def _show_index(self, chosen: Selection) -> Answer:
        kind = "page" if chosen.shown in self._pages else "message"
        text = self._index.render(
            chosen=chosen,
            source=f"/{kind}/{quote(chosen.shown)}?{chosen.query()}",
            pages=_grouped(self._pages.values()),
            messages=list(self._messages.values()),
            languages=[(tag, own_name(tag)) for tag in languages()],
            themes=list(self._themes),
            frames=_FRAMES,
            schemes=_SCHEMES,
            sheet=assets.address("design.css"),
            own_sheet=assets.address("preview.css"),
        )
        return Answer(text.encode())

    def _show_page(self, state: PageState, chosen: Selection) -> Answer:
        values = self.values_of(state, chosen.language, self._themes[chosen.theme])
        text = _in_scheme(self._environment.get_template(state.template).render(values), chosen.scheme)
        return Answer(text.encode(), policy=policy(values).replace("frame-ancestors 'none'", "frame-ancestors 'self'"))

    def values_of(self, state: PageState, tag: str, theme: Theme) -> dict[str, Any]:
        """Return everything that a page is filled with in one state, language and theme."""
        language = self._own.page_words.applied(negotiate(tag))
        sample = self._sample(language, theme)
        return {
            "lang": language.tag,
            "direction": language.direction,
            "site": sample.site,
            "own_host": sample.host,
            "say": sample.say,
            "count": language.count,
            "flow_mark": "preview",
            "look": look_of(theme),
            "site_links": labelled_links(theme.links, language),
            "language_name": own_name(language.tag),
            "language_page": "/language",
            **state.fill(sample),
        }

    def _sample(self, language: Language, theme: Theme) -> Sample:
        """Return what states are made for. The preview has no database: an application is called as its theme is."""
        application = "" if theme.name == OWN_THEME else theme.name.replace("_", " ").capitalize()
        return Sample(language, self._settings.site, self._settings.host, application)

    def _show_message(self, state: MessageState, chosen: Selection) -> Answer:
        theme = self._themes[chosen.theme]
        sample = self._sample(negotiate(chosen.language), theme)
        message = state.write(sample, theme, self._own)
        if message.html:
            return Answer(_in_scheme(message.html, chosen.scheme).encode(), policy=_MAIL_POLICY)
        text = self._bubble.render(
            lang=sample.language.tag,
            direction=sample.language.direction,
            sheet=assets.address("design.css"),
            own_sheet=assets.address("preview.css"),
            name=state.name,
            text=message.text,
        )
        framed = _INDEX_POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
        return Answer(_in_scheme(text, chosen.scheme).encode(), policy=framed)

    def _file(self, kind: str, name: str, scheme: str) -> Answer:
        files = assets.contents() if kind == "static" else _files(tuple(self._themes.values()))
        if name not in files:
            return _said(404, "There is no such file.")
        content = files[name]
        if name.endswith(".css"):
            content = _in_scheme(content.decode(), scheme).encode()
        return Answer(content, FILE_TYPES[name[name.rindex(".") :]], policy=assets.ALONE)


def _in_scheme(text: str, scheme: str) -> str:
    """Return a page, a sheet or a mail as it looks where people prefer this scheme, whatever is preferred here."""
    if scheme == "device":
        return text
    asked = _ASKS_SCHEME.sub("all" if scheme == "dark" else "not all", text).replace("light dark", scheme)
    return _SHEET.sub(rf'\1?scheme={scheme}"', asked)


def _grouped(states: Iterable[PageState]) -> dict[str, list[PageState]]:
    groups: dict[str, list[PageState]] = {}
    for state in states:
        groups.setdefault(state.template.removesuffix(".html").replace("_", " "), []).append(state)
    return groups


def _files(themes: tuple[Theme, ...]) -> dict[str, bytes]:
    return {name: content for theme in themes for name, content in files_of(theme).items()}


def _said(status: int, text: str) -> Answer:
    return Answer(f"{text}\n".encode(), "text/plain; charset=utf-8", status)

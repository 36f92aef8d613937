"""`countersign messages`: what each message costs in each language, and how it looks."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from countersign.cli.output import config_option, json_option, print_json, print_table, remark, settings_of

if TYPE_CHECKING:
    from countersign.config import Settings
    from countersign.domain.delivery.delivery import Message
    from countersign.domain.shared.contact import Channel
    from countersign.messages.channels.sms_size import Size
    from countersign.messages.content.code_message import CodeMessage
    from countersign.messages.custom.custom_templates import CustomTemplates

SAMPLE_CODE: Final = "481516"
SAMPLE_TIME: Final = 1_767_348_000_000
"""2 January 2026, 10:00 UTC."""


class MessageRow(msgspec.Struct, frozen=True):
    """The size of one SMS. `template` is the operator's file, or empty for our text; `faults` are sentences."""

    language: str
    purpose: str
    template: str
    spelling: str
    encoding: str
    units: int
    segments: int
    cost: float | None
    faults: tuple[str, ...]


class Samples(msgspec.Struct, frozen=True):
    """The parts of sample messages: the settings, the operator's templates, and the hash of an Android app, if any."""

    settings: Settings
    own: CustomTemplates
    app_hash: str


@click.group()
def messages() -> None:
    """Check what messages cost and how they look."""


@messages.command(
    epilog="Exits with 1 if a sentence is missing, an SMS does not end with its @host #code line, or takes more than one segment"
    " (two where its letters take sixteen bits); with 2 if a template of yours breaks a rule."
)
@click.option("--language", metavar="TAG", help="One language instead of all.")
@click.option("--price", type=click.FloatRange(0), help="Price of a segment, to show the cost of each SMS.")
@click.option("--app-hash", default="", metavar="HASH", help="The hash of an Android app, to see the cost of its line.")
@config_option
@json_option
def lint(language: str | None, price: float | None, app_hash: str, config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Show the SMS of each purpose in each language: spelling, encoding, units, segments, cost and faults."""
    settings, _ = settings_of(config)
    own = _own(settings)
    samples = Samples(settings, own, _hash(app_hash))
    found = [line for tag in _tags(language) for line in _lines(samples, tag, price)]
    missing = {tag: count for tag in _tags(language) if (count := _untranslated(tag))}
    if as_json:
        print_json({"sms": found, "untranslated": missing})
    else:
        print_table(
            ("Language", "Purpose", "Template", "Spelling", "Encoding", "Units", "Segments", "Cost", "Faults"),
            [
                (
                    line.language,
                    line.purpose,
                    line.template or "ours",
                    line.spelling,
                    line.encoding,
                    str(line.units),
                    str(line.segments),
                    "" if line.cost is None else f"{line.cost:.4f}",
                    " ".join(line.faults),
                )
                for line in found
            ],
        )
        for tag, count in missing.items():
            remark(f"{tag}: {count} sentences are not translated and appear in English.")
        remark(f"{sum(line.segments > 1 for line in found)} of {len(found)} SMS take more than one segment.")
    if missing or any(line.faults for line in found):
        raise SystemExit(1)


@messages.command(epilog="Opens nothing and sends nothing. The code in the messages is a sample.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--language", metavar="TAG", help="One language instead of all.")
@config_option
def preview(folder: Path, language: str | None, config: Path | None) -> None:
    """Write every message in every language as HTML to FOLDER, with an index.html."""
    settings, _ = settings_of(config)
    samples = Samples(settings, _own(settings), "")
    folder.mkdir(parents=True, exist_ok=True)
    parts = [_section(samples, folder, tag, purpose) for tag in _tags(language) for purpose in settings.purposes]
    index = folder / "index.html"
    index.write_text(_PAGE.replace("PARTS", "\n".join(parts)), encoding="utf-8")
    remark(f"{len(parts)} messages are in {index}.")


def _tags(language: str | None) -> tuple[str, ...]:
    from countersign.errors import InputError
    from countersign.messages.language.catalogue import languages

    if language is None:
        return languages()
    if language not in languages():
        raise InputError("language", "unknown", f"There is no language {language!r}: {', '.join(languages())}.")
    return (language,)


def _own(settings: Settings) -> CustomTemplates:
    from countersign.wiring import templates_of

    return templates_of(settings)


def _hash(app_hash: str) -> str:
    from countersign.domain.shared.application import is_app_hash
    from countersign.errors import InputError

    if app_hash and not is_app_hash(app_hash):
        raise InputError("app_hash", "malformed", "An app's hash has 11 characters: A to Z, a to z, 0 to 9, + and /.")
    return app_hash


def _lines(samples: Samples, tag: str, price: float | None) -> Iterator[MessageRow]:
    from countersign.domain.shared.contact import Channel
    from countersign.domain.verifications.code import Code
    from countersign.messages.channels.sms_size import segments
    from countersign.messages.custom.custom_templates import Part
    from countersign.messages.render import render_sms

    for purpose in samples.settings.purposes:
        message = _occasion(samples, tag, purpose, Channel.SMS)
        sms = render_sms(message, Code(SAMPLE_CODE), samples.own)
        size = segments(sms.text)
        yield MessageRow(
            language=tag,
            purpose=purpose,
            template=samples.own.file(Part.SMS, purpose, tag),
            spelling=sms.spelling.value,
            encoding=size.encoding.value,
            units=size.units,
            segments=size.segments,
            cost=None if price is None else round(price * size.segments, 6),
            faults=tuple(_faults(samples, sms.text, size)),
        )


def _faults(samples: Samples, text: str, size: Size) -> Iterator[str]:
    from countersign.messages.channels.sms_size import Encoding, bound_line

    if size.segments > (1 if size.encoding is Encoding.GSM_7 else 2):
        yield f"It takes {size.segments} segments."
    binding = bound_line(samples.settings.host, SAMPLE_CODE)
    ending = [line for line in (samples.app_hash, binding) if line]
    if ending and text.split("\n")[-len(ending) :] != ending:
        yield "Its last lines are not those for the app and the domain."


def _untranslated(tag: str) -> int:
    from countersign.messages.language.catalogue import untranslated

    return untranslated(tag)


def _message(samples: Samples, tag: str, purpose: str, channel: Channel) -> Message:
    from countersign.domain.verifications.code import Code
    from countersign.messages.render import render

    return render(_occasion(samples, tag, purpose, channel), Code(SAMPLE_CODE), samples.own)


def _occasion(samples: Samples, tag: str, purpose: str, channel: Channel) -> CodeMessage:
    from countersign.domain.shared.contact import Channel, Contact, ContactKind
    from countersign.messages.content.code_message import CodeMessage

    mail, settings = channel is Channel.EMAIL, samples.settings
    return CodeMessage(
        key="ver_sample.1.0",
        channel=channel,
        to=Contact(ContactKind.MAIL, "ada@example.org") if mail else Contact(ContactKind.PHONE, "+14155550123"),
        locale=tag,
        site=settings.site,
        host=settings.host,
        purpose=purpose,
        summary="",
        asked_at=SAMPLE_TIME,
        expires_at=SAMPLE_TIME + settings.purposes[purpose].lifetime * 1_000,
        device="",
        place="",
        not_me=f"{settings.public_url}/not-me?ref=sample",
        app_hash=samples.app_hash,
    )


def _section(samples: Samples, folder: Path, tag: str, purpose: str) -> str:
    from countersign.domain.shared.contact import Channel
    from countersign.messages.language.catalogue import negotiate

    mail = _message(samples, tag, purpose, Channel.EMAIL)
    name = f"{tag}-{purpose}.html"
    (folder / name).write_text(mail.html, encoding="utf-8")
    spoken = {channel: _message(samples, tag, purpose, channel).text for channel in (Channel.SMS, Channel.VOICE)}
    direction = negotiate(tag).direction
    return (
        f"<section><h2>{html.escape(tag)} <small>{html.escape(purpose)}</small></h2>"
        f'<p class="bubble" lang="{tag}" dir="{direction}">{html.escape(spoken[Channel.SMS])}</p>'
        f'<p class="call" lang="{tag}" dir="{direction}">{html.escape(spoken[Channel.VOICE])}</p>'
        f'<p lang="{tag}" dir="{direction}"><b>{html.escape(mail.subject)}</b></p>'
        f'<iframe src="{name}" sandbox title="{html.escape(mail.subject)}"></iframe></section>'
    )


_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Messages</title><style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 80rem; padding: 0 1rem; display: grid; gap: 2rem;
  grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); }
h2 { font-size: 1.1rem; } small { font-weight: 400; opacity: .7; }
.bubble { white-space: pre-wrap; overflow-wrap: anywhere; border-radius: 1rem; padding: .7rem 1rem;
  background: light-dark(#e9ecf1, #2a2f38); }
.call { font-style: italic; opacity: .8; }
iframe { width: 100%; height: 30rem; border: 1px solid #8886; border-radius: .5rem; background: #fff; }
</style></head><body>
PARTS
</body></html>
"""

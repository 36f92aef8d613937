"""The settings of `[purposes.NAME]`: how codes of one purpose are made, and how many tries they allow."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec

from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.code import Alphabet, CodeShape
from countersign.domain.verifications.purpose import DEFAULT_POLICIES, Policy, ResendMode
from countersign.setting import Described

_DEFAULT: Final = Policy()


class PurposeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One purpose. The bounds are the domain's: `Policy.faults` holds them."""

    code_length: Annotated[int, Described("The number of symbols in a code.", expects="4 to 10")] = (
        _DEFAULT.shape.length
    )
    code_alphabet: Annotated[Alphabet, Described("The symbols that codes are made of.")] = _DEFAULT.shape.alphabet
    lifetime: Annotated[int, Described("How long a code is valid.", expects="30 to 600 seconds")] = _DEFAULT.lifetime
    guesses: Annotated[int, Described("How many answers are compared with a code.", expects="1 to 10")] = (
        _DEFAULT.guesses
    )
    sends: Annotated[
        int, Described("How many messages one verification may send, the first included.", expects="1 to 10")
    ] = _DEFAULT.sends
    resend_after: Annotated[int, Described("The shortest time between two messages.", expects="1 to 600 seconds")] = (
        _DEFAULT.resend_after
    )
    resend: Annotated[
        ResendMode,
        Described("What a resend sends: the same code, a new one, or a new one while the last one still works."),
    ] = _DEFAULT.resend
    channels: Annotated[
        tuple[Channel, ...],
        Described(
            "The channels that may carry the code.",
            expects="a list of email, sms, voice, whatsapp",
            default="every one with a route",
        ),
    ] = _DEFAULT.channels
    binds: Annotated[
        bool, Described("Whether an approval verifies a contact again that was locked after too many failures.")
    ] = _DEFAULT.binds


def apply_purposes(tables: Mapping[str, Mapping[str, Any]], faults: list[str]) -> dict[str, Policy]:
    """Return the policy of each purpose.

    Arguments:
        tables: the settings of each `[purposes.NAME]` that were written, by the name of the purpose. A built-in purpose keeps its
            own value for what is not written; a new purpose has the default.
        faults: gets a sentence for each policy that is not allowed.

    """
    policies = dict(DEFAULT_POLICIES)
    for name, table in tables.items():
        written = dict(table)
        before = policies.get(name, Policy())
        shape = CodeShape(
            written.pop("code_length", before.shape.length), written.pop("code_alphabet", before.shape.alphabet)
        )
        policy = msgspec.structs.replace(before, shape=shape, **written)
        faults += [f"[purposes.{name}] {fault}." for fault in policy.faults()]
        policies[name] = policy
    return policies

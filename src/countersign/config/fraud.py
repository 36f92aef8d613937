"""The settings of `[fraud]`: what phone messages cost, and how much may be spent on them."""

from typing import Annotated, Final

import msgspec

from countersign.config.values import MICROS, read_amount, read_prices
from countersign.domain.delivery.sms_pumping import ALLOWANCES, LAUNCH, MONEY, PumpingMode, PumpingPolicy
from countersign.domain.delivery.sms_traffic import TrafficScope
from countersign.setting import Described

_Amount = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
_MONEY: Final = {scope: amount // MICROS for scope, amount in MONEY.items()}


class FraudSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How SMS pumping is stopped. `price` and `prices` are in micros; budgets count whole currency units, or messages, in an hour."""

    mode: Annotated[
        PumpingMode,
        Described(
            "Whether messages to places that are being pumped (many messages, hardly a code comes back) are held back."
            " With shadow they still go, and what would have been held is written down."
        ),
    ] = PumpingMode.ON
    price: Annotated[
        int,
        Described(
            "What a phone message costs, in your currency, where fraud.prices names no other price.",
            expects="an amount such as 0.05",
            default="0.05",
            reads=read_amount,
        ),
    ] = MICROS // 20
    prices: Annotated[
        dict[str, int],
        Described(
            "What a phone message costs by country, or by the beginning of its number; the longest beginning wins.",
            expects="a list such as DE=0.07, +4917=0.08",
            default="none",
            reads=read_prices,
        ),
    ] = {}
    prefix_money: Annotated[
        _Amount,
        Described(
            "The most that each application may spend on one prefix in an hour, in your currency; 0 for no limit."
        ),
    ] = _MONEY[TrafficScope.PREFIX]
    country_money: Annotated[_Amount, Described("The same for one country.")] = _MONEY[TrafficScope.COUNTRY]
    application_money: Annotated[_Amount, Described("The same for all countries together.")] = _MONEY[
        TrafficScope.APPLICATION
    ]
    prefix_messages: Annotated[
        _Amount, Described("The most messages that each application may send to one prefix in an hour; 0 for no limit.")
    ] = 0
    country_messages: Annotated[_Amount, Described("The same for one country; 0 for no limit.")] = 0
    application_messages: Annotated[_Amount, Described("The same for all countries together; 0 for no limit.")] = 0
    new_prefix: Annotated[
        int,
        msgspec.Meta(ge=1, le=100_000),
        Described(
            "Messages to a new prefix that may stay unanswered in a day; each code that comes back allows four more."
        ),
    ] = ALLOWANCES[TrafficScope.PREFIX]
    launch_messages: Annotated[
        int,
        msgspec.Meta(ge=1, le=100_000),
        Described(
            "Messages that an application may have sent to new prefixes, or to one country, before people had the time to answer. A single new"
            " prefix may have a sixth of what waits in all of them. It is what somebody can cost you who imitates a launch."
        ),
    ] = LAUNCH

    @property
    def policy(self) -> PumpingPolicy:
        """Return these settings as the flows use them."""
        return PumpingPolicy(
            mode=self.mode,
            price=self.price,
            prices=self.prices,
            money={
                TrafficScope.PREFIX: self.prefix_money * MICROS,
                TrafficScope.COUNTRY: self.country_money * MICROS,
                TrafficScope.APPLICATION: self.application_money * MICROS,
            },
            messages={
                TrafficScope.PREFIX: self.prefix_messages,
                TrafficScope.COUNTRY: self.country_messages,
                TrafficScope.APPLICATION: self.application_messages,
            },
            allowances={**ALLOWANCES, TrafficScope.PREFIX: self.new_prefix},
            launch=self.launch_messages,
        )

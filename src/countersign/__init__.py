"""Countersign proves that the person who knows the password also holds the contact that the account trusts."""

from typing import Final

__version__: Final = "0.1.0"

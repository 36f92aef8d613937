"""Notes, for who answers a request, whether something was committed on its behalf."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final


class Commits:
    """Whether something was committed on behalf of a request."""

    __slots__ = ("any",)

    def __init__(self) -> None:
        self.any = False


_CURRENT: Final[ContextVar[Commits | None]] = ContextVar("commits", default=None)


def watch_commits() -> Commits:
    """Return a note for the request that begins now, which tells later whether something was committed on its behalf."""
    commits = Commits()
    _CURRENT.set(commits)
    return commits


def commits_so_far() -> bool:
    """Return whether something was committed on behalf of the request under way."""
    commits = _CURRENT.get()
    return commits is not None and commits.any


def note_commit() -> None:
    """Note that something was committed on behalf of the request under way, if there is one."""
    commits = _CURRENT.get()
    if commits is not None:
        commits.any = True

"""The supervisor: starts the serving processes, replaces one that dies, and stops them all in order."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final

import structlog

from countersign.errors import CountersignError
from countersign.serving.web_process import serve_in_this_process

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from types import FrameType

    from countersign.config import Settings

YOUNG: Final = 2.0
"""Seconds. A process that dies earlier counts as a failed start."""

MOST_FAILED_STARTS: Final = 5
"""Failed starts in a row after which the supervisor gives up."""

START_WITHIN: Final = 30.0
"""Seconds that a replacement has to accept connections during a reload."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_fork: Final = multiprocessing.get_context("fork")
_log = structlog.get_logger("countersign.serving")


class Supervisor:
    """Watches `settings.workers` processes that share one listening socket.

    The socket stays open here, so that connections wait in its queue while a process is replaced. The processes are forked from this one
    after it has loaded the web application: they start at once and share its memory.

    Args:
        settings: those of the installation.
        listener: the socket; it listens already.
        reload: reads the settings anew at SIGHUP; raises CountersignError if they are wrong.
        announce: called once, when the first process takes connections.
    """

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        reload: Callable[[], Settings],
        announce: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._reload = reload
        self._announce = announce
        self._children: list[Child] = []
        self._signals: list[int] = []
        self._deaths = 0
        self._failed_starts = 0
        # Each process holds one end of this pipe, and sees by it that this process has ended for whatever reason.
        self._lifeline, self._life = os.pipe()

    def run(self) -> bool:
        """Serve until SIGTERM or SIGINT. Returns False if the processes kept dying before that."""
        with self._woken_by_signals() as waker:
            self._children = [self._start(self._settings) for _ in range(self._settings.workers)]
            announced = gave_up = False
            while not self._is_stopping() and not gave_up:
                waiting = [waker, *(thing for child in self._children for thing in child.awaited)]
                ready = wait(waiting)
                if waker in ready:
                    os.read(waker, 64)
                for child in self._children:
                    child.note_start(ready)
                if not announced and any(child.has_started for child in self._children):
                    announced = True
                    self._announce()
                if signal.SIGHUP in self._signals:
                    self._signals.remove(signal.SIGHUP)
                    self._replace_all()
                gave_up = not self._replace_dead()
            self._listener.close()
            self._stop(self._children)
        return not gave_up

    def _is_stopping(self) -> bool:
        return signal.SIGTERM in self._signals or signal.SIGINT in self._signals

    def _start(self, settings: Settings) -> Child:
        return Child(settings, self._listener, self._lifeline, self._life)

    def _replace_dead(self) -> bool:
        """Start a process for each one that has died. Returns False after too many failed starts in a row."""
        for place, child in enumerate(self._children):
            code = child.process.exitcode
            if code is None or self._is_stopping():
                continue
            young = time.monotonic() - child.born < YOUNG
            self._deaths = self._deaths + 1 if young else 0
            # A negative exit code means a signal: the process was killed, which says nothing about its ability to start.
            self._failed_starts = self._failed_starts + 1 if young and code > 0 else 0
            child.close()
            if self._failed_starts >= MOST_FAILED_STARTS:
                detail = f"{self._failed_starts} processes in a row could not start; why stands above."
                _log.error("gave_up", detail=detail)
                self._children.pop(place)
                return False
            pause = min(1.0, 0.1 * 2**self._deaths) if self._deaths else 0.0
            _log.warning("process_died", pid=child.process.pid, exit_code=code, again_in=pause)
            time.sleep(pause)
            self._children[place] = self._start(self._settings)
        return True

    def _replace_all(self) -> None:
        """Read the settings, and replace each process by a new one. Invalid settings change nothing."""
        try:
            settings = self._reload()
        except CountersignError as error:
            _log.error("cannot_reload", detail=str(error))
            return
        for place, old in enumerate(self._children):
            if settings.sqlite:  # one process at a time: connections wait in the socket's queue
                self._stop([old])
            new = self._start(settings)
            new.note_start(wait([*new.awaited], START_WITHIN))
            if not new.has_started:
                _log.error("cannot_reload", detail="A process with the new settings did not start; the old ones go on.")
                self._stop([new])
                if settings.sqlite:
                    self._children[place] = self._start(self._settings)
                return
            self._children[place] = new
            if not settings.sqlite:
                self._stop([old])
        self._settings = settings
        _log.info("reloaded", processes=len(self._children))

    def _stop(self, children: list[Child]) -> None:
        """Let processes finish the requests in flight. Those that still run after the grace time are killed."""
        until = time.monotonic() + self._settings.grace
        for child in children:
            child.process.terminate()
        for child in children:
            child.process.join(max(0.0, until - time.monotonic()))
            if child.process.exitcode is None:
                child.process.kill()
                child.process.join()
            child.close()

    @contextlib.contextmanager
    def _woken_by_signals(self) -> Iterator[int]:
        """Record signals inside the context. The returned descriptor becomes readable when one arrives."""
        waker, write = os.pipe()
        os.set_blocking(write, False)

        def note(number: int, _: FrameType | None) -> None:
            self._signals.append(number)

        before = {number: signal.signal(number, note) for number in _SIGNALS}
        old = signal.set_wakeup_fd(write)
        try:
            yield waker
        finally:
            signal.set_wakeup_fd(old)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(waker)
            os.close(write)


class Child:
    """One serving process, as the supervisor sees it."""

    def __init__(self, settings: Settings, listener: socket.socket, lifeline: int, life: int) -> None:
        self._started, write = os.pipe()
        self.has_started = False
        self.born = time.monotonic()
        self.process = _fork.Process(target=_run, args=(settings, listener, write, lifeline, life))
        # The new process must not handle a signal with a handler that it inherited from the supervisor.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self.process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        os.close(write)

    @property
    def awaited(self) -> Iterator[Any]:
        """Return what can be waited for: the end of the process, and its start if it has not started yet."""
        yield self.process.sentinel
        if not self.has_started:
            yield self._started

    def note_start(self, ready: list[Any]) -> None:
        """Record that the process accepts connections, if that is among what is ready."""
        if not self.has_started and self._started in ready:
            self.has_started = bool(os.read(self._started, 1))

    def close(self) -> None:
        """Release a process that has ended."""
        os.close(self._started)
        self.process.join()


def _run(settings: Settings, listener: socket.socket, started: int, lifeline: int, life: int) -> None:
    """Serve in a forked process."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    os.close(life)
    sys.exit(serve_in_this_process(settings, listener, started, lifeline))

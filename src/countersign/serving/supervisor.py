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

import msgspec
import structlog

from countersign.errors import CountersignError
from countersign.serving.web_process import serve_in_this_process

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from types import FrameType

    from countersign.config import Settings
    from countersign.config.live_settings import LiveSettings
    from countersign.messages.custom.custom_templates import CustomTemplates

YOUNG: Final = 2.0
"""Seconds. A process that dies earlier counts as a failed start."""

MOST_FAILED_STARTS: Final = 5
"""Failed starts in a row after which the supervisor gives up."""

START_WITHIN: Final = 30.0
"""Seconds that a replacement has to accept connections during a reload."""

LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries to replace a process that cannot start any more, such as one whose key file was damaged."""

LOOK_EVERY: Final = 2.0
"""Seconds between two looks at whether a file of secrets has changed."""

SET_AT_START: Final = ("bind", "port", "workers")
"""Settings that a reload leaves as they are: the socket is open, and the processes are counted."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_fork: Final = multiprocessing.get_context("fork")
_log = structlog.get_logger("countersign.serving")


class Supervisor:
    """Watches `settings.workers` processes that share one listening socket.

    The socket stays open here, so that connections wait in its queue while a process is replaced. The processes are forked from this one
    after it has loaded the web application: they start at once and share its memory. They get the settings and templates that are in
    force here, whatever has become of the files.

    Args:
        live: the settings of the installation, which are read again at SIGHUP.
        listener: the socket; it listens already.
        prepare: opens what settings name, and returns the templates; raises CountersignError if a process could not start with them.
        templates: those of the settings in force.
        announce: called once, when the first process takes connections.
    """

    def __init__(
        self,
        live: LiveSettings,
        listener: socket.socket,
        prepare: Callable[[Settings], CustomTemplates],
        templates: CustomTemplates,
        announce: Callable[[], None],
    ) -> None:
        self._live = live
        self._templates = templates
        self._listener = listener
        self._prepare = prepare
        self._announce = announce
        self._has_served = False
        self._children: list[Child] = []
        self._signals: list[int] = []
        self._deaths = 0
        self._failed_starts = 0
        # Each process holds one end of this pipe, and sees by it that this process has ended for whatever reason.
        self._lifeline, self._life = os.pipe()

    def run(self) -> bool:
        """Serve until SIGTERM or SIGINT. Returns False if the processes kept dying before that."""
        with self._woken_by_signals() as waker:
            self._children = [self._start() for _ in range(self._live.settings.workers)]
            gave_up = False
            while not self._is_stopping() and not gave_up:
                waiting = [waker, *(thing for child in self._children for thing in child.awaited)]
                ready = wait(waiting, LOOK_EVERY)
                if waker in ready:
                    os.read(waker, 64)
                for child in self._children:
                    child.note_start(ready)
                if not self._has_served and any(child.has_started for child in self._children):
                    self._has_served = True
                    self._announce()
                if signal.SIGHUP in self._signals:
                    self._signals[:] = [number for number in self._signals if number != signal.SIGHUP]
                    self._reload(self._live.read)
                elif self._live.have_secrets_changed():
                    self._reload(self._live.read_secrets)
                gave_up = not self._replace_dead(waker)
            self._listener.close()
            self._stop(self._children)
        return not gave_up

    def _is_stopping(self) -> bool:
        return signal.SIGTERM in self._signals or signal.SIGINT in self._signals

    def _start(self) -> Child:
        return Child(self._live.settings, self._templates, self._listener, self._lifeline, self._life)

    def _replace_dead(self, waker: int) -> bool:
        """Start a process for each one that has died. Returns False after too many failed starts in a row, if none ever started.

        What has served goes on trying: a file that was damaged since then ends nothing, and once it is whole again, all is well.
        """
        for place, child in enumerate(self._children):
            code = child.process.exitcode
            if code is None or self._is_stopping():
                continue
            young = time.monotonic() - child.born < YOUNG
            self._deaths = self._deaths + 1 if young else 0
            # A negative exit code means a signal: the process was killed, which says nothing about its ability to start.
            self._failed_starts = self._failed_starts + 1 if young and code > 0 else 0
            child.close()
            if self._failed_starts >= MOST_FAILED_STARTS and not self._has_served:
                detail = f"{self._failed_starts} processes in a row could not start; why stands above."
                _log.error("gave_up", detail=detail)
                self._children.pop(place)
                return False
            longest = LONGEST_PAUSE if self._failed_starts >= MOST_FAILED_STARTS else 1.0
            pause = min(longest, 0.1 * 2 ** min(self._deaths, MOST_FAILED_STARTS + 1)) if self._deaths else 0.0
            _log.warning("process_died", pid=child.process.pid, exit_code=code, again_in=pause)
            wait([waker], pause)
            self._children[place] = self._start()
        return True

    def _reload(self, read: Callable[[], Settings]) -> None:
        """Read the settings, and replace each process by a new one. Settings that a process could not start with change nothing."""
        before = self._live.settings
        try:
            settings = read()
            fixed = {name: getattr(before, name) for name in SET_AT_START}
            wait_for_restart = [name for name, value in fixed.items() if getattr(settings, name) != value]
            settings = msgspec.structs.replace(settings, **fixed)
            templates = self._prepare(settings)
        except CountersignError as error:
            _log.error("cannot_reload", detail=str(error))
            return
        except Exception as error:  # noqa: BLE001 - whatever a file does to us, what serves goes on
            # The type alone: the text may quote secrets.
            _log.error("cannot_reload", detail=f"An unforeseen fault: {type(error).__name__}.")
            return
        templates_before, document_before = self._templates, self._live.document
        self._live.take(settings)
        self._templates = templates
        for place in range(len(self._children)):
            if not self._replace(place):
                if self._is_stopping():
                    return
                _log.error("cannot_reload", detail="A process with the new settings did not start; those before stay.")
                self._live.restore(before, document_before)
                self._templates = templates_before
                for replaced in range(place):
                    self._replace(replaced)
                return
        if wait_for_restart:
            _log.warning("restart_needed", settings=wait_for_restart, detail="A reload leaves them as they were.")
        _log.info("reloaded", processes=len(self._children))

    def _replace(self, place: int) -> bool:
        """Replace one process. Returns False if the new one did not start; then the old one serves, or one that is like it."""
        old, sqlite = self._children[place], self._live.settings.sqlite
        if sqlite:  # one process at a time: connections wait in the socket's queue
            self._stop([old])
        new = self._start()
        until = time.monotonic() + START_WITHIN
        while not new.has_started and new.process.exitcode is None and not self._is_stopping():
            left = until - time.monotonic()
            if left <= 0:
                break
            new.note_start(wait([*new.awaited], min(left, 0.5)))
        if sqlite:
            # The old one is gone already: if the new one has not started, it is replaced like any other that died.
            self._children[place] = new
            if not new.has_started:
                new.process.kill()
                new.process.join()
        elif new.has_started:
            self._children[place] = new
            self._stop([old])
        else:
            self._stop([new])
        return new.has_started

    def _stop(self, children: list[Child]) -> None:
        """Let processes finish the requests in flight. Those that still run after the grace time are killed."""
        until = time.monotonic() + self._live.settings.grace
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

    def __init__(
        self, settings: Settings, templates: CustomTemplates, listener: socket.socket, lifeline: int, life: int
    ) -> None:
        self._started, write = os.pipe()
        self.has_started = False
        self.born = time.monotonic()
        self.process = _fork.Process(target=_run, args=(settings, templates, listener, write, lifeline, life))
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


def _run(
    settings: Settings, templates: CustomTemplates, listener: socket.socket, started: int, lifeline: int, life: int
) -> None:
    """Serve in a forked process."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    os.close(life)
    sys.exit(serve_in_this_process(settings, templates, listener, started, lifeline))

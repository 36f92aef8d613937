"""Writes log lines from a thread of its own, so that a reader who stands still stops nothing but the log."""

from __future__ import annotations

import atexit
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, TextIO

MAX_LINES: Final = 2_000
"""Lines that wait for their reader. Any more are lost, and counted."""

MAX_CHARACTERS: Final = 4 * 1024**2
"""Characters of all lines that wait: an error with its traceback is longer than an event."""

FAREWELL: Final = 1.0
"""Seconds that the reader has, when the program ends, for what still waits."""

_LOOK_EVERY: Final = 1.0
"""Seconds between two looks at a pipe that takes nothing now, and does not let a writer wait for it either."""


class LogWriter:
    """Writes lines to a stream in the order in which they come. `write` never waits.

    If lines were lost, because the reader stood still or the disk of the log was full, `on_lost(count)` is called in the thread of the
    writer, once something can be written again. A line that is written there has a place of its own.
    """

    def __init__(
        self,
        stream: TextIO,
        on_lost: Callable[[int], None],
        *,
        max_lines: int = MAX_LINES,
        max_characters: int = MAX_CHARACTERS,
    ) -> None:
        self._stream = stream
        self._on_lost = on_lost
        self._max_lines = max_lines
        self._max_characters = max_characters
        self._lines: deque[str] = deque()
        self._characters = 0
        self._lost = 0
        self._under_way = False
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, line: str) -> None:
        """Have a line written, which ends without a line feed."""
        with self._changed:
            is_full = len(self._lines) >= self._max_lines or self._characters + len(line) > self._max_characters
            if (is_full and threading.current_thread() is not self._thread) or self._closed:
                self._lost += 1
                return
            self._lines.append(line)
            self._characters += len(line)
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """Return how many characters wait."""
        return self._characters

    def lost(self, count: int) -> None:
        """Count lines that were lost before they came here."""
        with self._changed:
            self._lost += count

    def close(self, within: float = FAREWELL) -> None:
        """Wait until every line is written, for at most `within` seconds, and end."""
        atexit.unregister(self.close)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._lines and not self._under_way, within)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._under_way = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines or self._closed)
                if not self._lines:
                    return
                line = self._lines.popleft()
                self._characters -= len(line)
                self._under_way = True
            is_written = self._put(line)
            with self._changed:
                if not is_written:
                    self._lost += 1
                    continue
                # Told once the queue is empty: in between, each line that is written would be followed by a count.
                lost, self._lost = (self._lost, 0) if not self._lines else (0, self._lost)
            if lost:
                self._on_lost(lost)

    def _put(self, line: str) -> bool:
        """Write one line, however long the reader takes. Returns False if it cannot be written at all."""
        try:
            descriptor = self._stream.fileno()
        except (OSError, ValueError):  # a stream in memory, or one that was closed
            return self._put_into_stream(line)
        left = memoryview((line + "\n").encode("utf-8", "backslashreplace"))
        while left:
            try:
                left = left[os.write(descriptor, left) :]
            except BlockingIOError:  # others have the same pipe, and made it one that does not wait
                select.select([], [descriptor], [], _LOOK_EVERY)
            except OSError:
                return False
        return True

    def _put_into_stream(self, line: str) -> bool:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return False
        return True

"""Which variants of a dear test a whole run tries, and how the tests are shared out among pytest-xdist's workers.

Those that need a machine to themselves must not fight over it.

A file is never split: its tests share servers and browsers. Files of a *strand* follow each other, on one worker at a time: they
start whole installations or a browser, and two of them at once would measure each other. All other files fill the workers' time.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, Final

import pytest
from tests.rounds import is_full
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

STRANDS: Final = {
    "installations": ("tests/durability/", "tests/store/test_postgres.py"),
    "browser": ("tests/journeys/", "tests/examples/"),
}
"""Strands, by the beginnings of their files' paths; a strand's files run in the order of its beginnings."""

DEAR: Final = (
    "tests/durability/",
    "tests/journeys/",
    "tests/examples/",
    "tests/migrations/",
    "tests/cli/",
    "tests/providers/",
)
"""Files whose tests start installations, a browser or other peers. A whole run tries some variants of each test, `ROUNDS=full` all."""

ONE_OF: Final = 3

ALONE: Final = ("tests/threats/test_a_name_is_asked_about.py",)
"""Files that measure time so finely that nothing may run beside them: they come last, on one worker."""

FEW: Final = 2
"""A worker with so many tests left is given the next file, so that it need not wait for it."""

PROGRAM: Final = frozenset(
    {"alias", "emulator", "pair", "production", "program", "receiver", "served", "server", "site"}
)
"""Fixtures that start the program, or a server of ours, as a process."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the profile of `make test-quick`, a fifth of hypothesis's examples, and have no example judged by the clock on the wall."""
    from hypothesis import HealthCheck, settings

    untimed = settings(deadline=None, suppress_health_check=(HealthCheck.too_slow,))
    settings.register_profile("untimed", untimed)
    settings.register_profile("quick", untimed, max_examples=20)
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("untimed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that start the program as a process, by their fixtures; leave out variants that this run does not try."""
    if _is_whole(config) and not is_full():
        left = left_out([item.nodeid for item in items])
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left])
        items[:] = [item for item in items if item.nodeid not in left]
    for item in items:
        if PROGRAM & set(getattr(item, "fixturenames", ())):
            item.add_marker("program")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Tell a worker whether the run is a whole one: it collects what the controller was asked for."""
    node.workerinput["whole"] = _is_whole(node.config)


def _is_whole(config: pytest.Config) -> bool:
    told = getattr(config, "workerinput", None)
    if told is not None:
        return bool(told["whole"])
    return config.args_source is not pytest.Config.ArgsSource.ARGS and not config.option.keyword


def left_out(ids: list[str]) -> set[str]:
    """Return the ids of the variants that are not tried: of each dear test one in three stays, at another place in each test."""
    variants: dict[str, list[str]] = {}
    for id_ in ids:
        if id_.startswith(DEAR):
            variants.setdefault(id_.partition("[")[0], []).append(id_)
    left: set[str] = set()
    for name, some in variants.items():
        stays = zlib.crc32(name.encode()) % min(ONE_OF, len(some))
        left.update(id_ for place, id_ in enumerate(some) if place % ONE_OF != stays and len(some) > 1)
    return left


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the number of workers: that of the cores, and for `-n auto` one more, since the strands wait for most of their time."""
    return int((os.cpu_count() or 1) + (config.option.numprocesses == "auto"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> StrandScheduling:
    """Share out by files and strands."""
    return StrandScheduling(config, log)


def strand_of(file: str) -> str:
    """Return the strand of a file, `alone`, or nothing for one that may run beside all others."""
    if file.startswith(ALONE):
        return "alone"
    return next((name for name, beginnings in STRANDS.items() if file.startswith(beginnings)), "")


class StrandScheduling(LoadScopeScheduling):
    """Gives each worker one file after the other: of a strand that nobody is at, else any other; what runs alone comes last."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("::", 1)[0]

    def remove_node(self, node: WorkerController) -> str | None:
        """Forget a worker that ended; the one that is left may now run what runs alone."""
        crashed = super().remove_node(node)
        for left in self.nodes:
            self._reschedule(left)
        return crashed

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """Note that a test is over. With the last one of a file, whoever was left without work may have some now."""
        super().mark_test_complete(node, item_index, duration)
        files = self.assigned_work[node]
        file = self._split_scope(self.registered_collections[node][item_index])
        if all(files[file].values()):
            del files[file]  # what is finished need not be looked through after each test that follows
            for each in self.nodes:
                self._reschedule(each)

    def _assign_work_unit(self, node: WorkerController) -> None:
        file = self._choose(node)
        if file is not None:
            self.workqueue.move_to_end(file, last=False)
            super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        if self.workqueue and self._pending_of(self.assigned_work[node]) > FEW:
            return
        if self._choose(node) is not None:
            super()._reschedule(node)
        elif sum(not other.shutting_down for other in self.nodes) > 1 or not self.workqueue:
            # What is left belongs to other workers, or runs alone, on the last one. A worker that is not told so keeps its last
            # test waiting for what comes after it.
            node.shutdown()

    def _choose(self, node: WorkerController) -> str | None:
        """Return the file that a worker should take next, or None if there is none for it now."""
        waiting = {file: strand_of(file) for file in self.workqueue}
        taken = {strand_of(file) for other in self.nodes if other is not node for file in self._files_of(other)}
        for name in (*STRANDS, ""):
            if name not in taken or not name:
                for file, strand in waiting.items():
                    if strand == name:
                        return file
        return next(iter(waiting), None) if len(self.nodes) == 1 else None

    def _files_of(self, node: WorkerController) -> list[str]:
        """Return the files that a worker has not finished."""
        return list(self.assigned_work[node])

"""What every test may ask for; the fixtures themselves stand in `peers/`, and how tests are shared out in `parallel.py`."""

import pytest
from tests.peers.scratch import use_memory

pytest_plugins = ("tests.parallel", "tests.peers.databases")

use_memory()


@pytest.fixture(autouse=True)
def _hashing_is_cheap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash at the least cost that Argon2id has, except in tests about passwords and in slow ones, which measure time."""
    from countersign import passwords  # at the top it would be imported before coverage is measured

    if request.path.name != "test_passwords.py" and request.node.get_closest_marker("slow") is None:
        monkeypatch.setattr(passwords, "MEMORY_KIB", 8)
        monkeypatch.setattr(passwords, "ITERATIONS", 1)

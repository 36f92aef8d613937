"""What every test may ask for; the fixtures themselves stand in `peers/`."""

pytest_plugins = ("tests.peers.databases",)

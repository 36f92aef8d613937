"""Pages for development: the demonstration and the inbox."""

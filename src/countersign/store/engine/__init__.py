"""The two databases, and how a transaction runs on each."""

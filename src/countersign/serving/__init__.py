"""Processes that serve HTTP and deliver messages: starting, supervising and stopping them without losing requests in flight."""

"""Serving: processes that answer HTTP and deliver, started, watched, and stopped without losing what is in flight."""

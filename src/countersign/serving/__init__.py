"""Serving: processes that answer HTTP and deliver, started, watched, and stopped without losing what is in flight."""

from countersign.serving.asgi import app
from countersign.serving.server import serve

__all__ = ["app", "serve"]

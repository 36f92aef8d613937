"""Settings: frozen, from a TOML file and the environment, checked before anything starts."""

from countersign.config.load import load
from countersign.config.settings import Settings

__all__ = ["Settings", "load"]

"""Settings: frozen, from a TOML file and the environment, checked before anything starts."""

from countersign.config.setting import Setting
from countersign.config.settings import Settings, load, rules
from countersign.config.table import FAMILIES, SETTINGS

__all__ = ["FAMILIES", "SETTINGS", "Setting", "Settings", "load", "rules"]

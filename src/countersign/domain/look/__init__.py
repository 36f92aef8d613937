"""How pages and mail look: colours with their contrast, and the theme of an installation or an application."""

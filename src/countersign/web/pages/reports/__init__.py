"""Pages for reporting "this wasn't me" and for checking a suspicious message."""

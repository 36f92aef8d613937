"""HTTP: what a request asks for is read, handed to one flow, and its outcome written down; nothing is decided here."""

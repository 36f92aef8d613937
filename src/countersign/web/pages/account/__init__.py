"""Pages of a signed-in person."""

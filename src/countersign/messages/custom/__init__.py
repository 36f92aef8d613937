"""Templates that an operator wrote, and how foreign text is made harmless."""

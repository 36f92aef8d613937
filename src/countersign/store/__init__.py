"""What is kept, and how: SQL by name, one transaction as a generator of statements, two databases that drive it."""

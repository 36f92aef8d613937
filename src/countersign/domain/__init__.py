"""Values and rules: no I/O, no clock, no chance, no framework; time, chance and keys arrive as arguments."""

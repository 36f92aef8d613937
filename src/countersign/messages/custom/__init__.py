"""Templates written by the operator, and the sanitising of text from outside."""

"""What is kept, and how: SQL by name, transactions as coroutines over statements, and two databases that run them."""

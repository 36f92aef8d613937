"""The store: tables and statements on them, transactions that are coroutines, and the two databases that run them."""

"""Change an account: request, prove, apply and undo."""

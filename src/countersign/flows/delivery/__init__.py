"""Deliver what is owed: claim, compose, send, and act on receipts and bounces."""

"""Deliver messages: claim, compose and send them, and act on receipts and bounces."""

"""Challenges, codes, policies of a purpose, rate limits, lockout and proofs."""

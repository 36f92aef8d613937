"""The ledger: commands on challenges, judged in batches."""

"""What providers with an HTTP API share: requests, settings, signatures and receipts."""

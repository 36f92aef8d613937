"""What providers with an HTTP API share."""

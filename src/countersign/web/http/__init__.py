"""What every endpoint and page shares: routing, requests, responses, errors and cookies."""

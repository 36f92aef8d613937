"""The JSON endpoints. Each is a function of the web context, the request and the response."""

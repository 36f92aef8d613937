"""The JSON endpoints: each is a function from a desk and a call to a reply."""

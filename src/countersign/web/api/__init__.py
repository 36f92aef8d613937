"""The JSON endpoints: each is a function from a web and a call to a reply."""

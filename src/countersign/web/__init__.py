"""HTTP: reads a request, hands it to one flow, and writes the result. It decides nothing."""

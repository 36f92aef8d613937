"""`countersign preview`: every page and message in every state, language and theme, from made-up data and without a database."""

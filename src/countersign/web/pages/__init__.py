"""The pages: templates filled on the server, with small scripts that make them livelier."""

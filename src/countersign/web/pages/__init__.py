"""Pages: what a person sees of Countersign, as templates that are filled on the server and made livelier by small modules."""

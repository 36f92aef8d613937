"""`countersign doctor`: checks of the installation and the standards it meets."""

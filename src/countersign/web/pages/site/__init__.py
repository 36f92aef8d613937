"""What a browser, a phone or a password manager asks of any site: its front door, icons, manifest and well-known addresses."""

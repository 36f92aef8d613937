"""Values that every subject uses: contacts, identifiers, applications and events."""

"""The schema, revision by revision; Alembic renders each to SQL, and `store.migrate` carries it out with our own drivers."""

"""The schema, revision by revision: Alembic renders each one to SQL, and `store.engine.migrate` runs it."""

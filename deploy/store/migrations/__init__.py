"""Alembic's scripts, as package data: `deploy.store.database.migrate` runs them without any file of settings."""

"""Our own tables: SQLAlchemy Core and Alembic, SQLite now and PostgreSQL through the same code."""

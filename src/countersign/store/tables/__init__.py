"""The tables: their columns, the statements on each, and the mappers between rows and structs."""

"""Bytes that nobody meant, at each door where text becomes a type."""

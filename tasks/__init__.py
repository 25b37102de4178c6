"""Thin Prefect tasks over the library's functions."""

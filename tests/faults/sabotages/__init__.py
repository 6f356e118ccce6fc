"""Careless versions of the program, by what they are careless about."""

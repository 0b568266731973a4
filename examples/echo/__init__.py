"""Three nodes find one another through one seed and greet; see :mod:`examples.echo.__main__`."""

"""A light client for Lisk networks; see :mod:`examples.lisk_network.__main__`."""

"""A notice board that every node has a copy of; see :mod:`examples.notice_board.__main__`."""

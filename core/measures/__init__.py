"""What is measured of a network, as pure functions: graphs, spreading, shares."""

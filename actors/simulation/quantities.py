"""Measures that every experiment can use: reach, hops, propagation, connections, bans."""

"""Scenarios as data: what a simulation file says, checked; how its expectations are judged. Pure."""

"""The laboratory: scenarios from files and programs, run on simulated networks, measured, judged and reported."""

"""What ``scripts/bench`` measures, one module for each subject."""

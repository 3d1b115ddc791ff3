"""What people run besides train.py and evaluate.py; nothing imports it."""

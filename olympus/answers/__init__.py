"""What one god asks of another, answered: a file for each that asks. Boot hands the answers on."""

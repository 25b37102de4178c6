"""What a user runs: one file, one screen, one flow."""

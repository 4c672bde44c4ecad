"""Retrain policies: when a project trains again by itself, what each pass of that does, and who is told."""

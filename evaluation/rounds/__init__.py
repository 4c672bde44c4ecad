"""What becomes of errors: fixes, whose effect is measured on cases held out of them, and rounds, which tie one turn of
the loop together."""

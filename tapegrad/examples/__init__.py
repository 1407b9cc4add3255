"""Examples that run: `python -m tapegrad.examples.digits`."""

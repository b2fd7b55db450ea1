"""What the tests and ``make run`` use to drive a switch, a real one or the stand-in."""

"""What the Makefile runs: setting up, testing, the demonstration, installing on a switch."""

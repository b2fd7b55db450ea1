"""Questions of the switch to services: who asks waits without the GIL, and never longer than it may."""

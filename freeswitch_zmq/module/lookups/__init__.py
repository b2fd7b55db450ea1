"""XML lookups of the switch (directory, dialplan, configuration, …) answered by a service."""

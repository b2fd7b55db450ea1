"""The command `fszmq`, for those who run a switch or write programs for it. It needs the extra `cli`."""

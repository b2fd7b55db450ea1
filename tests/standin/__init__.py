"""The stand-in itself: its command line, its event socket, the calls it plays, and its parts one by one.

What it shares with a real FreeSWITCH is tested on both, here and in `tests/contract`.
"""

"""What the module relies on, proved on a real FreeSWITCH and on the stand-in by the same tests."""

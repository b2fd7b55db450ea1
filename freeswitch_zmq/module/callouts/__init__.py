"""Call-outs: a call in the dialplan asks a service what to do, and does it."""

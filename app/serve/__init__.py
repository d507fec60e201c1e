"""What others reach us by over HTTP: the webhooks of providers.

`webhooks.py` is what is answered, `server.py` the process that answers until it is told to stop.
"""

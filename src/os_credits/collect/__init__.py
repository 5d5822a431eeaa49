"""Asks others for what is kept with them; writes nothing.

HTTP as a client is spoken here only, but for the webhook of room `notify`.
"""

"""The pages by which administrators change prices, credits, organisations, people and keys.

Each module has its `routes`; what they change goes through the same `flows` as in room `api`.
"""

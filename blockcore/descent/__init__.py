"""Gradient descent on material logits: its objectives, and its steps, fast ones on a GPU."""

"""Differentiable block worlds."""

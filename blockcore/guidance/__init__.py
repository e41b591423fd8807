"""Guidance: losses without pictures, the cameras they look from, and the loop that follows them. Needs torch.

A guidance is any function ``loss(rendered, shots, step)``; see ``protocol.Guidance``. ``distillation`` has those of a
diffusion model, ``similarity`` that of a model that compares pictures with words; ``dreaming`` follows one of them.
"""

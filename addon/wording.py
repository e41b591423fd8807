# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel calls the engine's settings. One that is not listed here shows up all the same, under its own name."""

from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from blockcore.settings import CHOICES

_LARGEST = 2**31 - 1  # what Blender keeps in a whole number

_WORDS = {
    "method": ("Method", "How the materials are found", {}),
    "steps": ("Steps", "The most steps that are taken", {"min": 1, "max": 100_000, "soft_max": 5000}),
    "learning_rate": (
        "Step Size",
        "How far each step goes; large steps are fast but less certain",
        {"min": 1e-6, "max": 1e3, "soft_min": 0.01, "soft_max": 1.0},
    ),
    "relaxation": ("Blending", "How a block is several materials at once while the search goes on", {}),
    "hard": (
        "One Material per Block",
        "Compare pictures of single materials rather than of blends (straight-through)",
        {},
    ),
    "temperature_start": (
        "Temperature Start",
        "How freely blocks blend materials at first",
        {"min": 1e-3, "max": 1e3, "soft_max": 5.0},
    ),
    "temperature_end": (
        "Temperature End",
        "How freely blocks blend materials at last; small values make each block decide",
        {"min": 1e-3, "max": 1e3, "soft_max": 5.0},
    ),
    "commitment": (
        "Commitment",
        "How strongly each block is drawn to one single material",
        {"min": 0.0, "max": 1.0, "subtype": "FACTOR"},
    ),
    "objective": ("Comparison", "How the blocks are compared with the pictures", {}),
    "init": ("Start From", "The materials that a gradual search starts from", {}),
    "seed": ("Seed", "The same seed gives the same result", {"min": 0, "max": _LARGEST}),
    "patience": (
        "Patience",
        "Stop when no block changed its material for this many steps; 0 takes all steps",
        {"min": 0, "max": 100_000, "soft_max": 1000},
    ),
    "device": ("Device", "What computes", {}),
    "rasterizer": ("Rasterizer", "What finds out which block each pixel shows; all of them agree", {}),
}
_CHOICES = {
    ("method", "auto"): ("Automatic", "Directly where that can be done, else gradually"),
    ("method", "solve"): ("Direct", "Find the best materials in one go"),
    ("method", "gradient"): ("Gradual", "Come nearer step by step"),
    ("relaxation", "softmax"): ("Smooth", "Blend materials by how likely they are (softmax)"),
    ("relaxation", "gumbel"): ("Random", "Blend them with noise, to leave dead ends (Gumbel-Softmax)"),
    ("objective", "auto"): ("Automatic", "The fastest way that is exact"),
    ("objective", "statistics"): ("Sums per Face", "Add up the pixels of each face once; fast"),
    ("objective", "pixels"): ("Pixel by Pixel", "Compare whole pictures at each step"),
    ("init", "random"): ("Random", "A random material for each block"),
    ("init", "uniform"): ("Even Blend", "Every block an even blend of all materials"),
    ("init", "map"): ("Current", "The materials that the blocks have now"),
    ("init", "solve"): ("Direct Result", "What the direct search finds"),
    ("device", "auto"): ("Automatic", "The graphics card if the engine can use it, else the processor"),
    ("device", "cpu"): ("Processor", "Always the processor"),
    ("device", "cuda"): ("Graphics Card", "An NVIDIA graphics card, through CUDA"),
    ("rasterizer", "auto"): ("Automatic", "The fastest one that the engine has"),
    ("rasterizer", "cpu"): ("Processor", "Exact, on all cores"),
    ("rasterizer", "nvdiffrast"): ("nvdiffrast", "On an NVIDIA graphics card; has to be installed separately"),
    ("rasterizer", "reference"): ("Reference", "Slow and plain, to check the others with"),
}
_KINDS = {bool: BoolProperty, int: IntProperty, float: FloatProperty, str: StringProperty}


def property_of(setting, update):
    """Returns the property that mirrors one field of the settings.

    Args:
        setting: the dataclass field.
        update: what Blender calls when a user changes it.
    """
    title = setting.name.replace("_", " ").title()
    label, description, limits = _WORDS.get(setting.name, (title, f"The engine's setting “{setting.name}”", {}))
    common = {"name": label, "description": description, "default": setting.default, "update": update}
    if setting.name in CHOICES:
        items = [(word, *_CHOICES.get((setting.name, word), (word.title(), ""))) for word in CHOICES[setting.name]]
        return EnumProperty(items=items, **common)
    return _KINDS[type(setting.default)](**common, **limits)

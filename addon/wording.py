# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel calls the engine's settings. One that is not listed here shows up all the same, under its own name."""

from dataclasses import fields

from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from blockcore.model.settings import CHOICES, LOSSES, OptimizeSettings

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
        "Single Material",
        "Compare pictures of single materials rather than of blends (straight-through)",
        {},
    ),
    "temperature_start": (
        "Temp. Start",
        "How freely blocks blend materials at first",
        {"min": 1e-3, "max": 1e3, "soft_max": 5.0},
    ),
    "temperature_end": (
        "Temp. End",
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
    "loss": ("Difference", "What counts as a difference between the blocks and a picture", {}),
    "huber_width": (
        "Outlier Width",
        "From this error on, Huber counts single wrong pixels less",
        {"min": 1e-3, "max": 1.0},
    ),
    "blur": ("Blur", "How far away Seen from Afar looks from, in pixels", {"min": 0.3, "max": 100.0, "soft_max": 20.0}),
    "samples": (
        "Samples",
        "Samples per pixel along each axis, for targets with antialiased edges; 1 for hard edges",
        {"min": 1, "max": 4},
    ),
    "lighting": ("Lighting", "The light that the targets were made with", {}),
    "exposure": ("Exposure", "Whether the targets differ in brightness or color balance", {}),
    "smoothness": (
        "Smoothness",
        "How much blocks like to be of the same material as their neighbors; 0 lets each block decide alone",
        {"min": 0.0, "max": 1e3, "soft_max": 2.0},
    ),
    "smoother": ("Smoother", "How seams between neighbors are avoided", {}),
    "seams": ("Seams", "How much seams between two materials matter, such as “Grass/Dirt = 0.2”; else 1", {}),
    "allowed": (
        "Allowed by Region",
        "Materials for single collections or vertex groups, such as “roof: Snow, Stone”",
        {},
    ),
    "limits": ("Limits", "The most blocks of some materials, such as “Stone = 100, Plank = 20”", {}),
    "max_kinds": ("Most Kinds", "The most different materials; 0 for any number", {"min": 0, "max": 1_000_000}),
    "locked": ("Locked", "Collections or vertex groups whose blocks keep their material, such as “floor, wall”", {}),
    "unseen": ("Unseen Blocks", "What blocks that no camera sees get", {}),
    "device": ("Device", "What computes", {}),
    "rasterizer": ("Rasterizer", "What finds out which block each pixel shows; all of them agree", {}),
}
_CHOICES = {
    ("method", "auto"): ("Automatic", "Directly where that can be done, else gradually"),
    ("method", "solve"): ("Direct", "Find the best materials in one go"),
    ("method", "gradient"): ("Gradual", "Come nearer step by step"),
    ("loss", "l2"): ("Squared", "Squared error of each pixel; right for clean pictures (L2)"),
    ("loss", "l1"): ("Absolute", "Absolute error of each pixel; forgives single wrong pixels (L1)"),
    ("loss", "huber"): ("Huber", "Squared for small errors, absolute for large ones"),
    ("loss", "ssim"): ("Structure", "Compares patterns rather than pixels (SSIM)"),
    ("loss", "lowpass"): ("Seen from Afar", "Compares blurred pictures, which mixes materials like a dither"),
    ("loss", "lpips"): ("Perceptual", "Compares as people do; needs the lpips package (LPIPS)"),
    ("lighting", "scene"): ("Scene", "The light that the block map came with"),
    ("lighting", "webgpu"): ("WebGPU Editor", "The light of the WebGPU block editor"),
    ("lighting", "unlit"): ("Unlit", "No light: pictures of plain colors"),
    ("lighting", "fitted"): ("Fitted", "Find the light along with the materials"),
    ("exposure", "fixed"): ("Same", "All pictures are equally bright"),
    ("exposure", "exposure"): ("Brightness", "Find the brightness of each picture"),
    ("exposure", "white_balance"): ("White Balance", "Find the brightness and color balance of each picture"),
    ("smoother", "auto"): ("Automatic", "Choose by the size of the scene"),
    ("smoother", "icm"): ("Quick", "Block by block (ICM)"),
    ("smoother", "expansion"): ("Thorough", "Nearly the best there is (alpha expansion)"),
    ("smoother", "relaxed"): ("Gradual", "Along with the gradual search"),
    ("unseen", "keep"): ("Keep", "They keep the material they have"),
    ("unseen", "fill"): ("Fill", "They get the material of their neighbors"),
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
    ("rasterizer", "triton"): ("Graphics Card", "Exact, on an NVIDIA graphics card"),
    ("rasterizer", "nvdiffrast"): ("nvdiffrast", "On an NVIDIA graphics card; has to be installed separately"),
    ("rasterizer", "reference"): ("Reference", "Slow and plain, to check the others with"),
}
_CHOSEN = CHOICES | {"loss": LOSSES}
GROUPS = {
    "Difference": ["loss", "huber_width", "blur", "samples", "lighting", "exposure"],
    "Materials": ["allowed", "limits", "max_kinds", "locked", "unseen", "smoother", "seams"],
    "Search": [
        *("method", "steps", "learning_rate", "patience", "init", "seed", "temperature_start", "temperature_end"),
        *("commitment", "relaxation", "hard", "objective"),
    ],
    "Engine": ["device", "rasterizer"],
}
"""The settings that Advanced shows, by title; those that nobody listed come last."""
GROUPS["Engine"] += [
    setting.name
    for setting in fields(OptimizeSettings)
    if setting.name != "smoothness" and not any(setting.name in names for names in GROUPS.values())
]
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
    if setting.name in _CHOSEN:
        items = [(word, *_CHOICES.get((setting.name, word), (word.title(), word))) for word in _CHOSEN[setting.name]]
        return EnumProperty(items=items, **common)
    return _KINDS[type(setting.default)](**common, **limits)


def named() -> set[str]:
    """Returns the settings that have words of their own here."""
    return set(_WORDS)

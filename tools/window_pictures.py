"""Makes the pictures of the window in the docs from those that `make gui` took: ``python tools/window_pictures.py``."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

PROJECT = Path(__file__).resolve().parents[1]
WIDTH, QUALITY = 1000, 72
PICTURES = {
    "first-1-fresh": "built in/1 a fresh Blender",
    "first-2-demo": "built in/2 the demo scene",
    "first-3-result": "built in/3 the first result",
    "first-model": "test_from_a_model_to_blocks_with_the_mouse/1 the panel",
    "first-model-result": "test_from_a_model_to_blocks_with_the_mouse/4 the blocks",
}


def main() -> None:
    """Scales each picture down, and says where it is."""
    for name, taken in PICTURES.items():
        with Image.open(PROJECT / "out" / "gui" / f"{taken}.png") as picture:
            height = round(picture.height * WIDTH / picture.width)
            small = picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
        out = PROJECT / "docs" / f"{name}.webp"
        small.save(out, quality=QUALITY, method=6)
        print(f"{out}: {out.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()

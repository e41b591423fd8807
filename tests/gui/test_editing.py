"""Blocks and palette edited with the mouse, in one Blender: a brush in the view, names and colours in the panel."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.gui.test_window import ADDON, materials
from tests.gui.window import Window

GROUP = "group = bpy.context.scene.optimize_materials\n"
PAINT = GROUP + "answer = group.paint"
# Blocks that the view shows whole, by where they are on the screen: index, x, y from the bottom left.
SHOWN = """
from bpy_extras.view3d_utils import location_3d_to_region_2d, region_2d_to_origin_3d, region_2d_to_vector_3d
from bridge.blender.brush import Brush
area = next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == 'VIEW_3D')
region = next(r for r in area.regions if r.type == 'WINDOW')
view, world = area.spaces.active.region_3d, bpy.data.objects['Village']
brush, answer = Brush(world), []
for number, vertex in enumerate(world.data.vertices):
    at = location_3d_to_region_2d(region, view, world.matrix_world @ vertex.co)
    ray = region_2d_to_origin_3d(region, view, at), region_2d_to_vector_3d(region, view, at)
    if brush.block_at(world, *ray) == number:
        answer.append([number, region.x + int(at.x), region.y + int(at.y)])
"""
FRAMED = f"""
import importlib
bpy.context.preferences.view.smooth_view = 0
importlib.import_module('{ADDON}.helpers')._look_at(bpy.context, bpy.data.objects['Village'])
"""
STATE = """
from bridge.blender.regions import groups_of
from bridge.blender.world import world_materials
group, world = bpy.context.scene.optimize_materials, bpy.data.objects['Village']
answer = [world_materials(world).tolist(),
          [int(b) for b in groups_of(world).get('Painted', [])], group.settings.locked]
"""


def places(window: Window) -> dict[int, tuple[int, int]]:
    """Returns the middles of blocks that are to be seen there, by block, in the middle of the view."""
    x, y, width, height = window.view()
    found = {number: (across, window.size[1] - up) for number, across, up in window.ask(SHOWN)}
    return {
        number: at
        for number, at in found.items()
        if x + width // 4 < at[0] < x + width * 3 // 4 and y + height // 4 < at[1] < y + height * 3 // 4
    }


def test_blocks_and_palette_with_the_mouse(window: Window):
    window.open_tab("Blocks")
    window.click("Demo Scene")
    window.wait_for("1,408")
    open_tools(window)
    choose_what_to_paint_with(window)
    paint(window)
    replace_and_count(window)
    edit_the_palette(window)


def open_tools(window: Window) -> None:
    """The wheel may turn over the view, too, when the mouse leaves the sidebar: blocks are framed anew."""
    window.scroll_down()
    window.click("Edit Blocks")
    window.scroll_down()
    window.ask(FRAMED)


def open_list(window: Window, beside: tuple[int, int, int, int]) -> None:
    """What is typed before the list is open goes elsewhere, and a panel that is laid out anew may swallow the click."""
    for _ in range(3):
        window.click("Paint With", beside=120)
        try:
            window.wait_for("Water", beside, 10.0)
        except AssertionError:
            window.press("Escape")
        else:
            return
    raise AssertionError("the list of materials does not open")


def choose_what_to_paint_with(window: Window) -> None:
    """By the list, by a part of a name; what is no material's name is not taken."""
    x, y, _, height = window.sidebar()
    beside = (x, y, window.size[0] - x, height)
    open_list(window, beside)
    window.picture("1 the list")
    window.click("Sand", beside)
    window.wait_for_answer(PAINT, "Sand")
    for words, wanted in (("nothing of these", ""), ("sno", "Snow")):
        open_list(window, beside)
        window.write(words)
        window.wait_for_answer(PAINT, wanted)
    window.wait_for("Snow")
    window.picture("2 what to paint with")


def paint(window: Window) -> None:
    window.click("Paint Blocks")
    blocks = places(window)
    before = materials(window, "Village")
    names = window.ask("from bridge.blender.world_edit import material_names\nanswer = material_names(world)")
    snow = names.index("Snow") + 1
    target = next(number for number in blocks if before[number] != snow)
    after = [snow if number == target else old for number, old in enumerate(before)]
    window.click_at(*blocks[target])
    window.wait_for_answer(STATE, [after, [target], "Painted"])
    window.picture("3 a block is painted")

    other = max(blocks, key=lambda number: abs(blocks[number][0] - blocks[target][0]))
    window.drag(*blocks[target], *blocks[other])
    stroke, painted = wait_for_stroke(window, other)
    changed = {number for number, (old, new) in enumerate(zip(after, stroke, strict=True)) if old != new}
    assert stroke[other] == snow and len(painted) > 3
    assert changed < set(painted) and {stroke[number] for number in painted} == {snow}
    window.picture("4 a stroke")

    third = next(number for number in blocks if stroke[number] != snow)
    window.key("e", *blocks[third])
    window.wait_for_answer(PAINT, names[stroke[third] - 1])
    window.picture("5 a material picked")
    window.key("ctrl+z", *blocks[third])
    window.wait_for_answer(STATE, [after, [target], "Painted"])
    window.key("ctrl+shift+z", *blocks[third])
    window.wait_for_answer(STATE, [stroke, painted, "Painted"])
    window.key("ctrl+z", *blocks[third])
    window.wait_for_answer(STATE, [after, [target], "Painted"])

    window.key("Escape", *blocks[third])
    window.click_at(*blocks[other])
    assert window.ask(STATE) == [after, [target], "Painted"]
    window.picture("6 the brush is laid away")
    window.key("ctrl+z", *blocks[third])  # that click chose, and was no stroke
    window.key("ctrl+z", *blocks[third])
    window.wait_for_answer(STATE, [before, [], ""])
    window.ask(FRAMED)


def wait_for_stroke(window: Window, block: int) -> Any:
    """Returns all materials, and which blocks are painted, once one of them is."""
    window.wait_until(lambda: block in window.ask(STATE)[1], 20.0, "the stroke")
    return window.ask(STATE)[:2]


def replace_and_count(window: Window) -> None:
    before = Counter(materials(window, "Village"))
    window.scroll_down()
    window.click("Copy Counts")
    rows = "answer = bpy.context.window_manager.clipboard.splitlines()[1:]"
    window.wait_until(lambda: len(window.ask(rows)) == 7, 20.0, "the counts")
    counts = [int(row.split(",")[1]) for row in window.ask(rows)]
    assert sorted(counts) == sorted(before.values())
    button = window.wait_for("Replace Material...")
    window.click_at(button.x, button.y)
    dialog = (button.x - 380, button.y - 40, 480, 190)
    upper = window.wait_for("Grass", dialog)  # the field below says the same
    window.picture("7 replace a material")
    window.click_at(upper.x, upper.y + 26)
    window.click("Water", (dialog[0], 0, dialog[2], window.size[1]))
    chosen = window.wait_for("Water", dialog)
    window.key("Return", chosen.x, chosen.y)
    window.wait_until(lambda: 1 not in materials(window, "Village"), 20.0, "the replaced blocks")
    after = Counter(materials(window, "Village"))
    assert after == before - Counter({1: before[1]}) + Counter({7: before[1]})
    window.picture("8 replaced")


def edit_the_palette(window: Window) -> None:
    window.scroll_up()
    window.click("Palette")
    window.double_click("Plank")
    window.write("Oak")
    own = GROUP + "answer = [group.palette, [m.name for m in group.materials]]"
    names = ["Grass", "Dirt", "Stone", "Oak", "Snow", "Sand", "Water"]
    window.wait_for_answer(own, ["own", names])
    window.picture("9 a material renamed")
    window.ask("bpy.ops.blocks.palette_add()")
    window.wait_for_answer(own, ["own", [*names, "Material"]])
    window.wait_for("Material")
    window.picture("10 a material more")

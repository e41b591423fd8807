# SPDX-License-Identifier: GPL-3.0-or-later
"""File ▸ Export ▸ glTF leaves out what modifiers make unless it is told to apply them; of blocks that would be all.

Blender's exporter asks add-ons by the names of this module's class and function, which the add-on's own module has.
"""

from bridge.blender.marks import is_world
from bridge.blender.realize import drop_stand_in, stand_in

_OURS = "blockcore_stand_ins"
"""In the settings of an export under way: by stand-in, the name of what it stands for."""


class glTF2ExportUserExtension:
    """Takes part in an export."""

    def gather_tree_filter_tag_hook(self, tree, settings):
        """Lets a mesh of the faces that show stand for blocks, once it is known what is exported."""
        ours = settings.setdefault(_OURS, {})
        if settings["gltf_apply"]:
            return
        made = {}
        for node in tree.nodes.values():
            world = node.blender_object
            if getattr(world, "type", "") == "MESH" and is_world(world):
                if world not in made:
                    made[world] = stand_in(world)
                    ours[made[world]] = world.name
                node.blender_object = made[world]

    def gather_node_name_hook(self, node, stood_in, settings):
        """Names a stand-in as what it stands for."""
        node.name = settings.get(_OURS, {}).get(stood_in, node.name)


def glTF2_post_export_callback(settings):
    """Takes the stand-ins away again."""
    for one in settings.pop(_OURS, {}):
        drop_stand_in(one)

"""Facts that are fixed while materials are chosen: frozen, checked when they are made, without torch."""

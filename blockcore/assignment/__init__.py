"""The best assignment: what each choice of materials costs, and which choice costs least within what is allowed."""

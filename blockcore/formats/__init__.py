"""Files of other programs and of this one, a file a format."""

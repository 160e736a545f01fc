"""`make demo`: the main job on a machine of its own, in front of your eyes."""

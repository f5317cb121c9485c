"""A LeRobot plugin that cannot be imported."""

raise RuntimeError("no card")

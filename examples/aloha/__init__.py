"""A trained ACT policy of our own: a scripted task in the simulator, and LeRobot's training."""

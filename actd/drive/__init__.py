"""`actd drive`: a robot's driver between its bus and the daemon.

Needs pyzmq and msgpack, and LeRobot where one of its robots is driven: it runs in the environment
of the robot's driver, not in the daemon's.
"""

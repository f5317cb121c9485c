"""A robot's data in other people's viewers, under the names that LeRobot gives it there.

sink (what every viewer takes), foxglove (MCAP files and Foxglove), rerun, live (what a running
daemon says, off its tick's path).
"""

"""`actd top`: what the daemon does, at a glance in a terminal; h holds, s stops.

watch (listens, in threads of its own), text (what is shown, purely), app (the screen and its keys).
"""

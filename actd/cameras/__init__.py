"""Cameras: `config` says which, `make_camera` builds it, `base.Camera` is what all answer to.

Importing this package is cheap; a kind's library is imported when one of its cameras is made.
"""

"""Cameras: `config` says which, `make_camera` builds it, `base.Camera` is what all answer to.

Importing this package is cheap; a type's library is imported when one of its cameras is made.
"""

import os

# Read by OpenCV when it is first imported. Its own complaints are silenced, because a CameraError
# says the same in one line; and a device that gives no frame is not to be held for 10 s.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")

"""actd's engines as a LeRobot policy: `--policy.path=ENGINE_FOLDER`."""

from lerobot_policy_actd.configuration_actd import ActdConfig

__all__ = ["ActdConfig"]

"""`actd init`: an actd.yaml from what the policy, its dataset and the robot's preset say."""

from actd.scaffold.write import write_config

__all__ = ["write_config"]

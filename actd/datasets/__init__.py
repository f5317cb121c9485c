"""LeRobotDataset folders: reading v2.0, v2.1 and v3.0, writing v3.0. Needs `actd[record]`."""

from actd.datasets.reader import Dataset, open_dataset
from actd.datasets.schema import Form
from actd.datasets.writer import DatasetWriter, Episode

__all__ = ["Dataset", "DatasetWriter", "Episode", "Form", "open_dataset"]

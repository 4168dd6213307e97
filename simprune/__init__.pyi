from simprune.api import rebuild as rebuild
from simprune.api import run as run
from simprune.backends.base import Trial as Trial
from simprune.backends.mask import magnitude_mask as magnitude_mask
from simprune.design.design import Design as Design
from simprune.design.file import load_design as load_design
from simprune.design.point import Point as Point
from simprune.engine import Progress as Progress
from simprune.engine import RunReport as RunReport
from simprune.engine import StopRequest as StopRequest
from simprune.model.errors import InputError as InputError
from simprune.records import TrialTable as TrialTable
from simprune.store.results import Results as Results
from simprune.store.results import open_results as open_results
from simprune.trained.network import TrainedNetwork as TrainedNetwork
from simprune.trained.npz import read_npz as read_npz
from simprune.trained.npz import write_npz as write_npz

__version__: str

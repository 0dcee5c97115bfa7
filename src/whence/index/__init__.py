"""The index: derived tables that make questions over a journal fast; delete them and they return."""

from whence.index.catchup import CaughtUp as CaughtUp
from whence.index.lookup import Lookup as Lookup
from whence.index.rows import Page as Page
from whence.index.rows import Place as Place
from whence.index.rows import Point as Point
from whence.index.rows import Row as Row
from whence.index.statistics import Statistic as Statistic
from whence.index.store import Index as Index
from whence.index.store import Problem as Problem
from whence.index.store import Witness as Witness
from whence.index.store import Writer as Writer

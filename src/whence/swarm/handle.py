"""A swarm's events in a log that is not the process's default one."""

from whence.log import Log
from whence.swarm.agents import Spawn
from whence.swarm.discoveries import Knowledge
from whence.swarm.emitter import Emitter
from whence.swarm.entries import Memory
from whence.swarm.messages import Bridge
from whence.swarm.work import Ops


class Swarm(Emitter):
    """What `whence.swarm` has, recording to `log`; without one, to the process's default log.

    Safe for threads, tasks and forks. All handles of one log remember the same tasks.
    """

    def __init__(self, log: Log | None = None) -> None:
        super().__init__(log)
        self.spawn = Spawn(self.record)
        self.bridge = Bridge(self.record)
        self.ops = Ops(self.record)
        self.memory = Memory(self.record)
        self.knowledge = Knowledge(self.record)

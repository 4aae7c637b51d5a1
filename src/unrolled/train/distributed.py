"""Several processes that train one model: started by ``torchrun`` or ``accelerate launch``, over gloo."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch.distributed as dist
from torch import Tensor

from unrolled.errors import UnrolledError

_T = TypeVar("_T")

#: Variables for rank and number of processes: torchrun, Intel MPI and MPICH, Open MPI, MVAPICH2.
_LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
)


class Ranks:
    """The processes of this training; one alone if it was started plainly.

    Attributes:
        rank: number of this process, from 0; only process 0 writes files.
        size: number of processes.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size

    @property
    def writes(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def add_up(self, *tensors: Tensor) -> None:
        """Replace each tensor by its sum over all processes; all of them get the same bits."""
        if self.size > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def first(self, work: Callable[[], _T]) -> _T:
        """Let process 0 do some work and give its result, or its error, to all.

        The result must be picklable, and small.
        """
        if self.size == 1:
            return work()
        outcome: list[Any] = [None, None]
        if self.rank == 0:
            try:
                outcome[0] = work()
            except UnrolledError as error:
                outcome[1] = error
        dist.broadcast_object_list(outcome)
        if outcome[1] is not None:
            raise outcome[1]
        result: _T = outcome[0]
        return result

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.size > 1:
            dist.barrier()


def launched(environment: Mapping[str, str]) -> tuple[int, int]:
    """Rank and number of the processes that a launcher started.

    Args:
        environment: the variables of this process: those of ``torchrun``, or of the ``mpirun`` by which
            ``accelerate launch`` starts processes on CPUs.

    Returns:
        ``(0, 1)`` for a process on its own.
    """
    for rank, size in _LAUNCHERS:
        if rank in environment and int(environment.get(size, "1")) > 1:
            return int(environment[rank]), int(environment[size])
    return 0, 1


def join_ranks() -> Ranks:
    """Join the other processes, if a launcher has started any.

    The connection stays for further trainings of this process: a second one could not be made, because the
    addresses of the first would still be found.
    """
    if not dist.is_initialized():
        rank, size = launched(os.environ)
        if size == 1:
            return Ranks()
        dist.init_process_group("gloo", rank=rank, world_size=size)
        atexit.register(dist.destroy_process_group)
    return Ranks(dist.get_rank(), dist.get_world_size())

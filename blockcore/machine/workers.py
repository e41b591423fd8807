"""Several processes that share one optimisation: each looks through its own views, and descends on its own blocks.

Started by ``torchrun --nproc-per-node N -m blockcore optimize …``, on one host or on several. Every process holds the
same world. Views are dealt out: faces seen are exchanged once, and sums over pixels added once. A descent then deals
out blocks, each with all pixels that show it: a loss that is a sum over pixels ties no block to another, so that steps
need no word between processes, only a look at what changed does. All decide the same, and the first one writes.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from blockcore.errors import BackendError

_PATIENCE = timedelta(minutes=10)  # to wait for a process that is there and does not answer
_QUOTE = 100  # characters of what torch says
_LOOPBACK, _SIOCGIFADDR = 127, 0x8915


@dataclass(frozen=True)
class Workers:
    """The processes that work together.

    Attributes:
        rank: this process's number.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    def mine(self, pixels: Sequence[int]) -> list[int]:
        """Returns which pictures are this process's share, ascending.

        Args:
            pixels: of each picture, of all.
        """
        return [number for number, owner in enumerate(self.owners(pixels)) if owner == self.rank]

    def owners(self, pixels: Sequence[int]) -> list[int]:
        """Returns whose each picture is: the largest go first, each to the one that has least so far."""
        owners, load = [0] * len(pixels), [0] * self.count
        for number in sorted(range(len(pixels)), key=lambda number: -pixels[number]):
            owners[number] = load.index(min(load))
            load[owners[number]] += pixels[number]
        return owners

    def share(self, work: Any) -> Share:
        """Returns which blocks are this process's share: consecutive ones, about as much work as every other's.

        Args:
            work: (V,) float64 tensor, of each block, the same in all processes.
        """
        each = work.sum() / self.count
        cuts = [0, *(int((work.cumsum(0) <= each * k).sum()) for k in range(1, self.count)), len(work)]
        return Share(cuts[self.rank], cuts[self.rank + 1], len(work), self)

    def add_up(self, sums: Any) -> Any:
        """Replaces a tensor by its sum over all processes, in place, and returns it; one addition for all of it."""
        if self.count > 1:
            import torch.distributed as dist

            with _together():
                dist.all_reduce(sums)
        return sums

    def exchange(
        self, pictures: Mapping[int, Any], shapes: Sequence[tuple[int, ...]], device: Any, keep: Any
    ) -> list[Any]:
        """Gives every process the pictures of all.

        Args:
            pictures: this process's share, by number: arrays or tensors, int32 of (H, W), uint8 of (H, W, C).
            shapes: of all pictures.
            device: by way of which they travel.
            keep: where all of them end up; one process alone leaves them where they are.

        Returns:
            All pictures in order.
        """
        if self.count == 1:
            return [pictures[number] for number in range(len(shapes))]
        import torch
        import torch.distributed as dist

        every = []
        owners = self.owners([shape[0] * shape[1] for shape in shapes])
        for number, shape in enumerate(shapes):
            picture = torch.empty(shape, dtype=torch.int32 if len(shape) == 2 else torch.uint8, device=device)
            if number in pictures:
                picture.copy_(torch.as_tensor(pictures[number]))
            with _together():
                dist.broadcast(picture, src=owners[number])
            every.append(picture.to(keep))
        return every


ALONE = Workers()


@dataclass(frozen=True)
class Share:
    """The blocks that one of several processes sees to.

    Attributes:
        first: its first one.
        last: the one after its last.
        total: how many all have.
        workers: the processes; one alone has all.
    """

    first: int
    last: int
    total: int
    workers: Workers = ALONE

    @property
    def rows(self) -> slice:
        """Where its blocks are among all."""
        return slice(self.first, self.last)

    def every(self, own: Any) -> Any:
        """Gives every process the rows of all.

        Args:
            own: tensor of a row for each block of this share.

        Returns:
            A tensor of a row for each block; the same one where there is one process.
        """
        if self.workers.count == 1:
            return own
        rows = own.new_zeros(self.total, *own.shape[1:])
        rows[self.rows] = own
        return self.workers.add_up(rows)


def current() -> Workers:
    """Returns the processes that ``joined`` brought together, or this one alone."""
    dist = sys.modules.get("torch.distributed")  # who joined processes has imported it
    if dist is not None and dist.is_available() and dist.is_initialized():
        return Workers(dist.get_rank(), dist.get_world_size())
    return ALONE


@contextmanager
def joined(device_name: str = "auto") -> Iterator[Workers]:
    """Joins the processes that torchrun started; without torchrun there is only this one.

    Args:
        device_name: as for ``choose_device``; every process takes the GPU of its local rank.

    Raises:
        BackendError: there are fewer GPUs than processes, or the processes cannot reach each other.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or current() is not ALONE:
        yield current()
        return
    if ":" in device_name:
        raise BackendError(f"device {device_name!r}: torchrun gives each process a GPU of its own; use --device cuda")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # or it tells of names that a network does not know
    import torch
    import torch.distributed as dist

    on_gpu = device_name != "cpu" and torch.cuda.is_available()
    if on_gpu:
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise BackendError(
                f"torchrun started more processes than the {torch.cuda.device_count()} GPUs here; "
                "lower --nproc-per-node, or use --device cpu"
            )
        torch.cuda.set_device(local)
    try:
        _choose_interface()
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        line = str(error).splitlines()[0]
        raise BackendError(f"the processes of torchrun do not reach each other ({line}); start it again") from error
    try:
        yield current()
    finally:
        with suppress(RuntimeError):  # one that was lost cannot say goodbye
            dist.destroy_process_group()


@contextmanager
def _together() -> Iterator[None]:
    """Turns what torch raises where a process does not answer into one line.

    Raises:
        BackendError: a process is gone.
    """
    try:
        yield
    except RuntimeError as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BackendError(f"a process of torchrun was lost ({line[:_QUOTE]}); start them all again") from error


def _choose_interface() -> None:
    """Lets gloo use the interface that leads to the first process: the one of this host's name may lead nowhere."""
    if sys.platform != "linux" or "GLOO_SOCKET_IFNAME" in os.environ:
        return
    import fcntl

    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((os.environ.get("MASTER_ADDR", "127.0.0.1"), 9))  # sends nothing
        mine = socket.inet_aton(probe.getsockname()[0])
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # it has no address
                asked = struct.pack("256s", name.encode())
                if mine[0] != _LOOPBACK and fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, asked)[20:24] == mine:
                    os.environ["GLOO_SOCKET_IFNAME"] = name

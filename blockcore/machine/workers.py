"""Several processes that share one optimisation: each looks through its own views, and sums are added up.

Started by ``torchrun --nproc-per-node N -m blockcore optimize …``. Every process holds the same world and the same
logits. Views are dealt out; faces seen are exchanged once, sums over pixels are added once, or once a step where
pictures are compared pixel by pixel. All processes then decide the same, and the first one writes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from blockcore.errors import BackendError


@dataclass(frozen=True)
class Workers:
    """The processes that work together.

    Attributes:
        rank: this process's number.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    def mine(self, things: int) -> range:
        """Returns which of so many things are this process's share."""
        return range(self.rank, things, self.count)

    def add_up(self, sums: Any) -> Any:
        """Replaces a tensor by its sum over all processes, in place, and returns it; one addition for all of it."""
        if self.count > 1:
            import torch.distributed as dist

            dist.all_reduce(sums)
        return sums

    def exchange(
        self, pictures: Mapping[int, Any], sizes: Sequence[tuple[int, int]], device: Any, keep: Any
    ) -> list[Any]:
        """Gives every process the pictures of all.

        Args:
            pictures: this process's share, by number: (H, W) int32 arrays or tensors.
            sizes: width and height of all pictures.
            device: by way of which they travel.
            keep: where all of them end up; one process alone leaves them where they are.

        Returns:
            All pictures in order.
        """
        if self.count == 1:
            return [pictures[number] for number in range(len(sizes))]
        import torch
        import torch.distributed as dist

        every = []
        for number, (width, height) in enumerate(sizes):
            picture = torch.empty((height, width), dtype=torch.int32, device=device)
            if number in pictures:
                picture.copy_(torch.as_tensor(pictures[number]))
            dist.broadcast(picture, src=number % self.count)
            every.append(picture.to(keep))
        return every


ALONE = Workers()


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
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
    except (RuntimeError, ValueError) as error:
        line = str(error).splitlines()[0]
        raise BackendError(f"the processes of torchrun do not reach each other ({line}); start it again") from error
    try:
        yield current()
    finally:
        dist.destroy_process_group()

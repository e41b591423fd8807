"""The losses: each one object, in a registry. torch is imported when a descent asks for one's function of pictures."""

from __future__ import annotations

import numpy as np

from blockcore.assignment.losses import Errors, Loss, PictureLoss
from blockcore.errors import BackendError
from blockcore.model.settings import Comparison
from blockcore.ops import error_kinds


def _l2(_: Comparison) -> PictureLoss:
    return lambda rendered, target: (rendered - target).square().mean()


def _l1(_: Comparison) -> PictureLoss:
    return lambda rendered, target: (rendered - target).abs().mean()


def _huber(comparison: Comparison) -> PictureLoss:
    from blockcore.descent.picture_losses import huber

    return lambda rendered, target: huber(rendered, target, comparison.huber_width)


def _huber_of_errors(error: Errors, comparison: Comparison) -> Errors:
    width = comparison.huber_width
    return np.where(error > width, width * (2.0 * error - width), error**2)


def _ssim(_: Comparison) -> PictureLoss:
    from blockcore.descent.picture_losses import ssim_loss

    return ssim_loss


def _lowpass(comparison: Comparison) -> PictureLoss:
    from blockcore.descent.picture_losses import lowpass_loss

    return lambda rendered, target: lowpass_loss(rendered, target, comparison.blur)


def _lpips(_: Comparison) -> PictureLoss:
    try:
        import lpips
    except ImportError as error:
        raise BackendError("loss 'lpips' needs the package lpips; pip install lpips") from error
    net = lpips.LPIPS(net="alex", verbose=False)
    return lambda rendered, target: net.to(rendered.device)(2.0 * rendered - 1.0, 2.0 * target - 1.0).mean()


OWN = (
    Loss(
        "l2",
        "Squared",
        "Squared error of each pixel; right for clean pictures (L2)",
        _l2,
        lambda error, _: error**2,
        error_kinds.L2,
        is_squared=True,
    ),
    Loss(
        "l1",
        "Absolute",
        "Absolute error of each pixel; forgives single wrong pixels (L1)",
        _l1,
        lambda error, _: error,
        error_kinds.L1,
        power=1.0,
    ),
    Loss(
        "huber",
        "Huber",
        "Squared for small errors, absolute for large ones",
        _huber,
        _huber_of_errors,
        error_kinds.HUBER,
    ),
    Loss("ssim", "Structure", "Compares patterns rather than pixels (SSIM)", _ssim),
    Loss(
        "lowpass",
        "Seen from Afar",
        "Compares blurred pictures, which mixes materials like a dither",
        _lowpass,
        commits=False,
    ),
    Loss("lpips", "Perceptual", "Compares as people do; needs the lpips package (LPIPS)", _lpips),
)

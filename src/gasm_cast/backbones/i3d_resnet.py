"""I3D on ResNet-50, as PyTorchVideo's checkpoint `I3D_8x8_R50` has it.

State-dict keys are those of that file. Time is halved once, by a pooling after the first
stage, so that 16 frames give 8 time steps from the second stage (`blocks.3`) on. The
first convolution of a bottleneck looks at three frames in every block of the first
stage, in every second block of the later ones. Batch normalisation has an epsilon of
1e-5; pixels are x / 255 with mean 0.45 and deviation 0.225.

Sources:
    Carreira and Zisserman 2017 (I3D); Wang et al. 2018, "Non-local neural networks"
    (its form on ResNet-50); Fan et al. 2021 (PyTorchVideo, whose layer names these are).
"""

from __future__ import annotations

from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class ResNetI3D(nn.Module):
    """ResNet-50 inflated to three dimensions.

    Args:
        num_classes: Outputs of the classifier.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            [
                Stem(),
                Stage(64, 64, temporal=(True, True, True), stride=1),
                nn.MaxPool3d((2, 1, 1)),
                Stage(256, 128, temporal=(True, False, True, False), stride=2),
                Stage(512, 256, temporal=(True, False, True, False, True, False), stride=2),
                Stage(1024, 512, temporal=(False, True, False), stride=2),
                Head(2048, num_classes),
            ]
        )

    def endpoints(self, video: Float[Tensor, "batch 3 frames height width"]) -> Iterator[tuple[str, Tensor]]:
        """Name and output `[batch, channels, time, rows, cols]` of each block, in order, on demand."""
        x = video
        for index, block in enumerate(self.blocks[:-1]):
            x = block(x)
            yield f"blocks.{index}", x

    def forward(self, video: Float[Tensor, "batch 3 frames height width"]) -> Float[Tensor, "batch classes"]:
        """Class scores of a clip of at least 8 frames of 224 px."""
        *_, (_, x) = self.endpoints(video)
        scores: Tensor = self.blocks[-1](x)
        return scores


class Stem(nn.Module):
    """First convolution and pooling: a quarter of the rows and columns."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 64, (5, 7, 7), stride=(1, 2, 2), padding=(2, 3, 3), bias=False)
        self.norm = nn.BatchNorm3d(64)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[batch, 3, time, rows, cols]` to `[batch, 64, time, rows / 4, cols / 4]`."""
        x = F.relu(self.norm(self.conv(x)))
        return F.max_pool3d(x, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))


class Stage(nn.Module):
    """Residual blocks of one resolution; the first of them reduces it."""

    def __init__(self, num_in: int, num_inner: int, *, temporal: tuple[bool, ...], stride: int) -> None:
        super().__init__()
        self.res_blocks = nn.Sequential(
            *(
                ResidualBlock(
                    num_in if index == 0 else 4 * num_inner,
                    num_inner,
                    temporal=looks_in_time,
                    stride=stride if index == 0 else 1,
                )
                for index, looks_in_time in enumerate(temporal)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `[batch, in, time, rows, cols]` to `[batch, 4 * inner, time, rows / stride, cols / stride]`."""
        y: Tensor = self.res_blocks(x)
        return y


class ResidualBlock(nn.Module):
    """Bottleneck of three convolutions beside a shortcut, which is projected where shapes change."""

    def __init__(self, num_in: int, num_inner: int, *, temporal: bool, stride: int) -> None:
        super().__init__()
        num_out = 4 * num_inner
        self.projects = num_in != num_out
        if self.projects:
            self.branch1_conv = nn.Conv3d(num_in, num_out, 1, stride=(1, stride, stride), bias=False)
            self.branch1_norm = nn.BatchNorm3d(num_out)
        self.branch2 = Bottleneck(num_in, num_inner, temporal=temporal, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[batch, in, time, rows, cols]` to `[batch, out, time, rows / stride, cols / stride]`."""
        shortcut = self.branch1_norm(self.branch1_conv(x)) if self.projects else x
        return F.relu(shortcut + self.branch2(x))


class Bottleneck(nn.Module):
    """1x1 convolution (3 frames long if `temporal`), 3x3 convolution with the stride, 1x1 convolution."""

    def __init__(self, num_in: int, num_inner: int, *, temporal: bool, stride: int) -> None:
        super().__init__()
        length = 3 if temporal else 1
        self.conv_a = nn.Conv3d(num_in, num_inner, (length, 1, 1), padding=(length // 2, 0, 0), bias=False)
        self.norm_a = nn.BatchNorm3d(num_inner)
        self.conv_b = nn.Conv3d(
            num_inner, num_inner, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False
        )
        self.norm_b = nn.BatchNorm3d(num_inner)
        self.conv_c = nn.Conv3d(num_inner, 4 * num_inner, 1, bias=False)
        self.norm_c = nn.BatchNorm3d(4 * num_inner)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[batch, in, time, rows, cols]` to `[batch, 4 * inner, time, rows / stride, cols / stride]`."""
        x = F.relu(self.norm_a(self.conv_a(x)))
        x = F.relu(self.norm_b(self.conv_b(x)))
        y: Tensor = self.norm_c(self.conv_c(x))
        return y


class Head(nn.Module):
    """Classifier on windows of 4 x 7 x 7, averaged over the windows."""

    def __init__(self, num_in: int, num_classes: int) -> None:
        super().__init__()
        self.proj = nn.Linear(num_in, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[batch, in, time, rows, cols]` to `[batch, classes]`."""
        windows = F.avg_pool3d(x, (4, 7, 7), stride=1).movedim(1, -1)
        scores: Tensor = self.proj(windows)
        return scores.mean((1, 2, 3))

"""I3D on Inception-v1, as the checkpoints `rgb_imagenet.pt` and `rgb_charades.pt` have it.

State-dict keys are those of these files. Three details decide whether the features are
right, and none of them shows in the shapes: TensorFlow's SAME padding puts the odd pixel
after the data, not before it; batch normalisation has an epsilon of 1e-3; pixels lie in
[-1, 1].

`keep_time` sets the temporal stride of the last two poolings to 1, which changes no
weight: 16 frames then give 8 time steps at every endpoint after the first convolution.

Sources:
    Carreira and Zisserman 2017, "Quo vadis, action recognition?"; layer names and
    weights as in the public PyTorch port of the authors' TensorFlow model.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Triple = tuple[int, int, int]

# Output channels of the branches: 1x1x1; 1x1x1 then 3x3x3; 1x1x1 then 3x3x3; pooling then 1x1x1.
MIXED_3B = (64, 96, 128, 16, 32, 32)
MIXED_3C = (128, 128, 192, 32, 96, 64)
MIXED_4B = (192, 96, 208, 16, 48, 64)
MIXED_4C = (160, 112, 224, 24, 64, 64)
MIXED_4D = (128, 128, 256, 24, 64, 64)
MIXED_4E = (112, 144, 288, 32, 64, 64)
MIXED_4F = (256, 160, 320, 32, 128, 128)
MIXED_5B = (256, 160, 320, 32, 128, 128)
MIXED_5C = (384, 192, 384, 48, 128, 128)


class InceptionI3D(nn.Module):
    """Inception-v1 inflated to three dimensions.

    Args:
        num_classes: Outputs of the classifier.
        keep_time: Pool over space only after `Mixed_3c`.
    """

    def __init__(self, num_classes: int, *, keep_time: bool = False) -> None:
        super().__init__()
        time_stride = 1 if keep_time else 2
        self.logits = nn.ModuleDict({"conv3d": nn.Conv3d(1024, num_classes, kernel_size=1)})
        self.Conv3d_1a_7x7 = Unit3D(3, 64, kernel=(7, 7, 7), stride=(2, 2, 2))
        self.MaxPool3d_2a_3x3 = SamePool3D((1, 3, 3), stride=(1, 2, 2))
        self.Conv3d_2b_1x1 = Unit3D(64, 64)
        self.Conv3d_2c_3x3 = Unit3D(64, 192, kernel=(3, 3, 3))
        self.MaxPool3d_3a_3x3 = SamePool3D((1, 3, 3), stride=(1, 2, 2))
        self.Mixed_3b = Mixed(192, MIXED_3B)
        self.Mixed_3c = Mixed(256, MIXED_3C)
        self.MaxPool3d_4a_3x3 = SamePool3D((3, 3, 3), stride=(time_stride, 2, 2))
        self.Mixed_4b = Mixed(480, MIXED_4B)
        self.Mixed_4c = Mixed(512, MIXED_4C)
        self.Mixed_4d = Mixed(512, MIXED_4D)
        self.Mixed_4e = Mixed(512, MIXED_4E)
        self.Mixed_4f = Mixed(528, MIXED_4F)
        self.MaxPool3d_5a_2x2 = SamePool3D((2, 2, 2), stride=(time_stride, 2, 2))
        self.Mixed_5b = Mixed(832, MIXED_5B)
        self.Mixed_5c = Mixed(832, MIXED_5C)

    def endpoints(self, video: Float[Tensor, "batch 3 frames height width"]) -> Iterator[tuple[str, Tensor]]:
        """Name and output `[batch, channels, time, rows, cols]` of each layer, in order, on demand."""
        x = video
        for name, layer in self.named_children():
            if name != "logits":
                x = layer(x)
                yield name, x

    def forward(
        self, video: Float[Tensor, "batch 3 frames height width"]
    ) -> Float[Tensor, "batch classes steps"]:
        """Class scores of each time step of a clip of at least 9 frames of 224 px."""
        *_, (_, x) = self.endpoints(video)
        x = F.avg_pool3d(x, (2, 7, 7), stride=1)
        scores: Tensor = self.logits["conv3d"](x)
        return scores.squeeze((3, 4))


class Unit3D(nn.Module):
    """Convolution with SAME padding, batch normalisation, ReLU."""

    def __init__(
        self, num_in: int, num_out: int, *, kernel: Triple = (1, 1, 1), stride: Triple = (1, 1, 1)
    ) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(num_in, num_out, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(num_out, eps=1e-3)
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """Map `[batch, in, time, rows, cols]` to `[batch, out, time', rows', cols']`."""
        return F.relu(self.bn(self.conv3d(same_pad(x, self.kernel, self.stride))))


class SamePool3D(nn.Module):
    """Max pooling with SAME padding; zeros do for the padding, since all inputs are ReLU outputs."""

    def __init__(self, kernel: Triple, *, stride: Triple) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """Map `[batch, channels, time, rows, cols]` to fewer time steps, rows, columns."""
        return F.max_pool3d(same_pad(x, self.kernel, self.stride), self.kernel, self.stride)


class Mixed(nn.Module):
    """Inception module: four branches side by side."""

    def __init__(self, num_in: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        direct, narrow_1, wide_1, narrow_2, wide_2, pooled = widths
        self.b0 = Unit3D(num_in, direct)
        self.b1a = Unit3D(num_in, narrow_1)
        self.b1b = Unit3D(narrow_1, wide_1, kernel=(3, 3, 3))
        self.b2a = Unit3D(num_in, narrow_2)
        self.b2b = Unit3D(narrow_2, wide_2, kernel=(3, 3, 3))
        self.b3a = SamePool3D((3, 3, 3), stride=(1, 1, 1))
        self.b3b = Unit3D(num_in, pooled)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[batch, in, time, rows, cols]` to the branches' channels, one after the other."""
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))], 1)


def same_pad(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """Pad time, rows and columns with zeros so that each gives ceil(size / stride) outputs.

    As TensorFlow does: of an odd number of zeros the extra one comes after the data.
    """
    pads: list[int] = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max(k - (size % s or s), 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)

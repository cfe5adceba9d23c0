"""What the networks of the CIFAR form have in common: images in, convolutions, the mean over positions, logits out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from kd_uncertainty.networks.images.layers import Layers, initialise_as_he
from kd_uncertainty.networks.images.shapes import as_images, image_shape_of, inputs_to_try

Body = tuple[nn.Module, int]
"""From images to features (examples, channels, height, width), and how many channels those have."""


class ImageNetwork(nn.Module):
    """Map images, as rows or as (examples, channels, height, width), to logits (examples, num_classes).

    Convolutions start as He et al. (2015, arXiv:1502.01852) say, normal with variance ``2 / (k^2 out)``, which is how
    the networks' papers have it. Batch normalisation has running statistics, which each student of a population keeps
    as its own; such populations are trained by the loop.

    Args:
        num_inputs: numbers of an image.
        num_classes: logits of an example.
        image_shape: channels, height and width; by default a square image of one channel or three. A row holds one
            channel after another, each row by row.
        width: multiplies the channels of all layers but where a class says otherwise; 1 is the published network.
        dropout: probability of dropping a feature before the classifier (in wide residual networks, an element between
            the convolutions of a block); 0 builds no dropout layer at all.
        normalisation: "batch", or "group" (Wu & He 2018, arXiv:1803.08494) with 16 channels a group, which has as many
            parameters and no running statistics, so that teachers of every kind, and vmap on a GPU, take the network.

    Raises:
        ValueError: if an argument is of another kind, the shape is not that of the inputs, or the image is too small.
    """

    smallest_side: ClassVar[int] = 1
    """Pixels that an image needs in height and width."""

    drops_in_body: ClassVar[bool] = False
    """Whether dropout layers are those of the body, and there is none before the classifier."""

    head_std: ClassVar[float | None] = None
    """Standard deviation of the classifier's initial weights, whose biases are then 0; None for those of nn.Linear."""

    def __init__(
        self,
        num_inputs: int,
        num_classes: int,
        image_shape: Sequence[int] | None = None,
        width: float = 1.0,
        dropout: float = 0.0,
        normalisation: Literal["batch", "group"] = "batch",
    ) -> None:
        super().__init__()
        self.image_shape = image_shape_of(num_inputs, image_shape)
        if min(self.image_shape[1:]) < self.smallest_side:
            raise ValueError(
                f"images of shape {list(self.image_shape)} are too small for {type(self).__name__}, which needs "
                f"{self.smallest_side} pixels in height and width"
            )
        layers = Layers(width, dropout, normalisation)
        self.body, features = self.make_body(layers, self.image_shape[0])
        classifier = nn.Linear(features, num_classes)
        self.head = nn.Sequential(*([] if self.drops_in_body else layers.dropout()), classifier)
        initialise_as_he(self.body)
        if self.head_std is not None:
            nn.init.normal_(classifier.weight, std=self.head_std)
            nn.init.zeros_(classifier.bias)

    @classmethod
    def inputs_to_try(cls, arguments: Mapping[str, Any]) -> int:
        """Return a number of inputs that fits these arguments, to see that the network takes them."""
        return inputs_to_try(arguments)

    def make_body(self, layers: Layers, image_channels: int) -> Body:
        """Return the convolutional part."""
        raise NotImplementedError

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (examples, num_classes)."""
        features = self.body(as_images(inputs, self.image_shape))
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits

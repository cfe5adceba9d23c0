"""Networks of images: parameter counts against formulas by hand and published figures, layers against functions."""

import math
from itertools import pairwise, product

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import build_network, images
from kd_uncertainty.networks.options import NetworkOptions

RGB = 3 * 32 * 32
SMALL = {"ResNet8": 1, "ResNet20": 3, "ResNet32": 5, "ResNet56": 9}
LARGE = {"ResNet18": (2, 2, 2, 2), "ResNet34": (3, 4, 6, 3), "ResNet50": (3, 4, 6, 3), "ResNet101": (3, 4, 23, 3)}
BOTTLENECKS = {"ResNet50", "ResNet101"}
WIDE = {"WRN16x1": (2, 1), "WRN16x2": (2, 2), "WRN40x1": (6, 1), "WRN40x2": (6, 2)}
VGG = {"VGG8": 1, "VGG13": 2}
MOBILE = [(24, 2), (32, 3), (64, 4), (96, 3), (160, 3), (320, 1)]
"""Blocks in a stage, stages, channels: what the papers' tables say."""

PUBLISHED = {
    # Millions for CIFAR-100, as quoted for the networks of https://github.com/HobbitLong/RepDistiller; ResNet56 and
    # WRN16x2 by Heo et al. (2019, arXiv:1904.01866) too.
    "ResNet8": 0.08, "ResNet20": 0.28, "ResNet32": 0.47, "ResNet56": 0.86, "ResNet50": 23.71, "WRN16x2": 0.70,
    "WRN40x1": 0.57, "WRN40x2": 2.26, "VGG8": 3.97, "VGG13": 9.46, "MobileNetV2": 0.81,
    # The table at https://github.com/weiaicunzai/pytorch-cifar100/issues/59, to one place.
    "ResNet18": 11.2, "ResNet34": 21.3, "ResNet101": 42.7,
    # Zagoruyko & Komodakis (2017, arXiv:1612.03928), table 1, for CIFAR-10.
    "WRN16x1": 0.2,
}  # fmt: skip


def count(name, classes=100, **arguments):
    with torch.device("meta"):
        network = getattr(images, name)(RGB, classes, **arguments)
    return sum(values.numel() for values in network.parameters())


def conv(inputs, outputs, size=3, groups=1):
    """A convolution without biases, and the scale and shift of each channel that comes out."""
    return outputs * inputs // groups * size**2 + 2 * outputs


def by_hand(name, classes=100):
    if name in SMALL:
        stages = [(16, 16), (16, 32), (32, 64)]
        blocks = sum(conv(i, o) + conv(o, o) + (i != o) * conv(i, o, 1) for i, o in stages)
        return conv(3, 16) + blocks + sum((SMALL[name] - 1) * 2 * conv(o, o) for _, o in stages) + 65 * classes
    if name in BOTTLENECKS:
        total, inputs = conv(3, 64), 64
        for inner, blocks in zip((64, 128, 256, 512), LARGE[name], strict=True):
            outputs = 4 * inner
            total += conv(inputs, outputs, 1) + blocks * (conv(inner, inner) + conv(inner, outputs, 1))
            total += conv(inputs, inner, 1) + (blocks - 1) * conv(outputs, inner, 1)
            inputs = outputs
        return total + 2049 * classes
    if name in LARGE:
        stages = list(zip([(64, 64), (64, 128), (128, 256), (256, 512)], LARGE[name], strict=True))
        first = sum(conv(i, o) + conv(o, o) + (i != o) * conv(i, o, 1) for (i, o), _ in stages)
        return conv(3, 64) + first + sum((blocks - 1) * 2 * conv(o, o) for (_, o), blocks in stages) + 513 * classes
    if name in WIDE:
        blocks, widening = WIDE[name]
        channels = [16, *(widening * c for c in (16, 32, 64))]
        first = sum(9 * i * o + 9 * o * o + 2 * i + 2 * o + (i != o) * i * o for i, o in pairwise(channels))
        rest = sum((blocks - 1) * (18 * o * o + 4 * o) for o in channels[1:])
        return 9 * 3 * 16 + first + rest + 2 * channels[-1] + (channels[-1] + 1) * classes
    if name in VGG:
        pairs = pairwise((3, 64, 128, 256, 512, 512))  # a bias each, too
        return sum(conv(i, o) + o + (VGG[name] - 1) * (conv(o, o) + o) for i, o in pairs) + 513 * classes
    total, inputs = conv(3, 16) + conv(16, 16, 1) + conv(16, 16, 3, 16) + conv(16, 8, 1), 8
    for stage, blocks in MOBILE:
        for _ in range(blocks):
            inner, outputs = 6 * inputs, stage // 2
            total += conv(inputs, inner, 1) + conv(inner, inner, 3, inner) + conv(inner, outputs, 1)
            inputs = outputs
    return total + conv(160, 1280, 1) + 1281 * classes


@pytest.mark.parametrize("name", images.__all__)
def test_parameters_are_as_many_as_by_hand_and_as_published(name):
    found = count(name)
    assert found == by_hand(name)
    assert found == count(name, normalisation="group", dropout=0.5)
    assert count(name, classes=10) == by_hand(name, 10)
    published = PUBLISHED[name]
    assert round(found / 1e6, len(str(published).partition(".")[2])) == published


def test_parameters_for_ten_classes_are_those_of_the_architectures_papers():
    """He et al. (2016), table 6, whose shortcuts (option A) have none; Zagoruyko & Komodakis (2016), table 4."""
    shortcuts = 16 * 32 + 32 * 64 + 2 * (32 + 64)
    for name, published in {"ResNet20": 0.27, "ResNet32": 0.46, "ResNet56": 0.85}.items():
        assert round((count(name, 10) - shortcuts) / 1e6, 2) == published
    for name, published in {"WRN40x1": 0.6, "WRN40x2": 2.2}.items():
        assert round(count(name, 10) / 1e6, 1) == published


class Tape:
    """A network's parameters in their order, for functions that take one after another."""

    def __init__(self, network, normalisation):
        self.values, self.normalisation = iter(network.parameters()), normalisation

    def conv(self, x, stride=1, groups=1, bias=False):
        weight = next(self.values)
        shift = next(self.values) if bias else None
        return functional.conv2d(x, weight, shift, stride, padding=weight.shape[-1] // 2, groups=groups)

    def norm(self, x):
        """By the definitions: of a channel over the batch, or of 16 channels (or the next divisor) of each image."""
        weight, bias = (next(self.values)[:, None, None] for _ in range(2))
        shape = x.shape
        if self.normalisation == "batch":
            mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
        else:
            group = min([size for size in range(16, shape[1]) if shape[1] % size == 0], default=shape[1])
            x = x.reshape(len(x), -1, group, *shape[2:])
            mean, variance = x.mean((2, 3, 4), keepdim=True), x.var((2, 3, 4), correction=0, keepdim=True)
        return ((x - mean) / torch.sqrt(variance + 1e-5)).reshape(shape) * weight + bias

    def step(self, x, *arguments, **more):
        return functional.relu(self.norm(self.conv(x, *arguments, **more)))

    def shortcut(self, x, other):
        if x.shape == other.shape:
            return x
        return self.norm(self.conv(x, x.shape[-1] // other.shape[-1]))


def written_out(name, network, x, normalisation="batch"):
    """The logits in training mode, and the side of the last features."""
    tape = Tape(network, normalisation)
    if name in SMALL or name in LARGE:
        x = tape.step(x)
        blocks, strides = ([SMALL[name]] * 3, (1, 2, 2)) if name in SMALL else (LARGE[name], (1, 2, 2, 2))
        for stride, number in zip(strides, blocks, strict=True):
            for position in range(number):
                out = tape.step(x) if name in BOTTLENECKS else x
                out = tape.step(out, stride if position == 0 else 1)
                out = tape.norm(tape.conv(out))
                x = functional.relu(out + tape.shortcut(x, out))
    elif name in WIDE:
        x = tape.conv(x)
        for stride, position in product((1, 2, 2), range(WIDE[name][0])):
            first = functional.relu(tape.norm(x))
            out = tape.conv(tape.step(first, stride if position == 0 else 1))
            x = out + (x if x.shape == out.shape else tape.conv(first, x.shape[-1] // out.shape[-1]))
        x = functional.relu(tape.norm(x))
    elif name in VGG:
        for stage in range(5):
            for _ in range(VGG[name]):
                x = tape.step(x, bias=True)
            x = functional.max_pool2d(x, 2) if stage < 3 else x
    else:
        x = tape.step(x, 2)
        strides = [1, 1, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]
        for stride in strides:
            out = tape.step(x)
            out = tape.norm(tape.conv(tape.step(out, stride, groups=out.shape[1])))
            x = out + x if out.shape == x.shape else out
        x = tape.step(x)
    weight, bias = tape.values
    return x.mean((2, 3)) @ weight.T + bias, x.shape[-1]


FAMILIES = ["ResNet8", "ResNet20", "ResNet18", "ResNet50", "WRN16x2", "VGG13", "MobileNetV2"]


def tiny(name, num_inputs=RGB, num_classes=5, width=0.15, **arguments):
    torch.manual_seed(0)
    return getattr(images, name)(num_inputs, num_classes, width=width, **arguments)


@pytest.mark.parametrize("normalisation", ["batch", "group"])
@pytest.mark.parametrize("name", FAMILIES)
def test_networks_compute_what_is_written_out_in_functions(name, normalisation):
    network = tiny(name, normalisation=normalisation).double()
    with torch.no_grad():
        for values in network.parameters():  # scales and shifts that nothing cancels
            values.add_(0.1 * torch.randn_like(values))
    x = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    expected, side = written_out(name, network, x, normalisation)
    assert side == (8 if name in SMALL or name in WIDE else 2 if name == "MobileNetV2" else 4)
    torch.testing.assert_close(network(x), expected)
    torch.testing.assert_close(network(x.flatten(1)), expected)


def test_images_are_rows_channel_by_channel_of_the_shape_given_or_square():
    assert tiny("ResNet8").image_shape == (3, 32, 32)
    assert tiny("ResNet8", 64).image_shape == (1, 8, 8)
    network = tiny("ResNet8", 2 * 4 * 8, image_shape=[2, 4, 8]).eval()
    x = torch.randn(3, 2, 4, 8)
    rows = torch.stack([torch.cat([channel.flatten() for channel in image]) for image in x])
    assert torch.equal(network(rows), network(x))


@pytest.mark.parametrize("name", ["ResNet18", "WRN16x2", "VGG13", "MobileNetV2"])
def test_convolutions_start_normal_with_the_variance_of_he(name):
    """``2 / (k^2 out)``, within 5 standard errors of a variance, and of a mean."""
    network = tiny(name, width=0.5)
    weights = [layer.weight for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    scaled = [weight * math.sqrt(weight.shape[-1] ** 2 * len(weight) / 2) for weight in weights]
    for values in (*(one.flatten() for one in scaled), torch.cat([one.flatten() for one in scaled])):
        assert abs(values.mean()) < 5 / math.sqrt(len(values))
        assert abs(values.square().mean() - 1) < 5 * math.sqrt(2 / len(values))
    assert all((layer.bias == 0).all() for layer in network.body.modules() if getattr(layer, "bias", None) is not None)
    head = network.head[-1]
    if name in ("VGG13", "MobileNetV2"):
        assert (head.bias == 0).all()
        assert abs(head.weight.std() / 0.01 - 1) < 5 / math.sqrt(2 * head.weight.numel())
    else:
        assert head.weight.abs().max() <= 1 / math.sqrt(head.in_features)


@pytest.mark.parametrize(("name", "expected"), [("ResNet8", 1), ("MobileNetV2", 1), ("WRN16x2", 6)])
def test_dropout_is_before_the_classifier_or_within_wide_blocks(name, expected):
    found = [layer for layer in tiny(name, dropout=0.3).modules() if isinstance(layer, nn.Dropout)]
    assert [layer.p for layer in found] == [0.3] * expected
    assert not any(isinstance(layer, nn.Dropout) for layer in tiny(name).modules())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": [3, 32]}, "image_shape must be three positive integers"),
        ({"image_shape": "rgb"}, "image_shape must be three positive integers"),
        ({"image_shape": [0, 8, 8]}, "image_shape must be three positive integers"),
        ({"width": 0}, "width must be a positive number, not 0"),
        ({"dropout": 1.0}, "dropout must be a number from 0 to below 1"),
        ({"normalisation": "layer"}, "normalisation must be batch or group, not 'layer'"),
        ({"depth": 20}, "unexpected keyword argument 'depth'"),
        ({"image_shape": [3, 4, 4]}, "too small for VGG8, which needs 8 pixels"),
    ],
)
def test_configuration_refuses_bad_arguments_before_a_run(arguments, message):
    with pytest.raises(ValidationError, match=message):
        NetworkOptions.model_validate({"class": "kd_uncertainty.networks.images.VGG8", "arguments": arguments})


def test_images_of_another_size_are_refused_with_the_sizes():
    path = "kd_uncertainty.networks.images.ResNet8"
    NetworkOptions.model_validate({"class": path, "arguments": {"image_shape": [3, 8, 8]}})
    with pytest.raises(UserError, match=r"image_shape \[3, 8, 8\] has 192 numbers and an example 64"):
        build_network(path, {"image_shape": [3, 8, 8]}, 64, 10)
    with pytest.raises(UserError, match="63 inputs are no square image of one channel or of three"):
        build_network(path, {}, 63, 10)
    assert build_network(path, {"width": 0.1}, 64, 10).image_shape == (1, 8, 8)

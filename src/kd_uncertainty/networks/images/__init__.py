"""Networks of the CIFAR form, as studies of knowledge distillation on CIFAR-100 take them."""

from kd_uncertainty.networks.images.mobilenet import MobileNetV2
from kd_uncertainty.networks.images.resnet import (
    ResNet8,
    ResNet18,
    ResNet20,
    ResNet32,
    ResNet34,
    ResNet50,
    ResNet56,
    ResNet101,
)
from kd_uncertainty.networks.images.vgg import VGG8, VGG13
from kd_uncertainty.networks.images.wide_resnet import WRN16x1, WRN16x2, WRN40x1, WRN40x2

__all__ = [
    "VGG8",
    "VGG13",
    "MobileNetV2",
    "ResNet8",
    "ResNet18",
    "ResNet20",
    "ResNet32",
    "ResNet34",
    "ResNet50",
    "ResNet56",
    "ResNet101",
    "WRN16x1",
    "WRN16x2",
    "WRN40x1",
    "WRN40x2",
]

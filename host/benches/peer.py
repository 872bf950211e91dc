#!/usr/bin/env python3
"""The same work in PyTorch: one measurement a process, its result as a line of JSON.

    peer.py training --network resnet50 --batch 2 --size 321     # a step of SGD: forward, losses, backward, update
    peer.py view --network resnet38 --batch 1 --size 321         # a forward pass, softmax included
    peer.py pamr --size 81                                       # 21 classes, 48 neighbours, 10 iterations
    peer.py ... --device cuda --precision bf16                   # on a GPU; the peak is then of the GPU's memory
    peer.py depthwise --size 41 --stride 2                       # 728 kernels of 3x3, forward and all gradients

Needs torch. Written for this project from the description of the method; layer shapes, frozen norms and losses are those
of `wseg train --preset NAME`, weights are random.
"""
import argparse
import json
import resource
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

CLASSES = 20
DILATIONS = (1, 2, 4, 8, 12, 24)


class FrozenNorm(nn.BatchNorm2d):
    """A batch norm whose statistics and factors do not change."""

    def __init__(self, channels):
        super().__init__(channels)
        self.requires_grad_(False)

    def train(self, mode=True):
        return super().train(False)


class FixedNorm(nn.BatchNorm2d):
    """A batch norm whose statistics do not change; its factors learn."""

    def train(self, mode=True):
        return super().train(False)


def conv(i, o, kernel, dilation=1, stride=1, norm=None):
    layers = [nn.Conv2d(i, o, kernel, stride, dilation * (kernel // 2), dilation, bias=False)]
    return nn.Sequential(*layers, norm(o), nn.ReLU(inplace=True)) if norm else layers[0]


class Bottleneck(nn.Module):
    def __init__(self, i, width, stride, project):
        super().__init__()
        self.body = nn.Sequential(
            conv(i, width, 1, norm=FrozenNorm),
            conv(width, width, 3, stride=stride, norm=FrozenNorm),
            conv(width, 4 * width, 1),
            FrozenNorm(4 * width),
        )
        self.shortcut = nn.Sequential(conv(i, 4 * width, 1, stride=stride), FrozenNorm(4 * width)) if project else nn.Identity()

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


class ResNet50(nn.Module):
    """The last stage keeps its resolution: the deep feature is at stride 16, the shallow one at 4."""

    shallow, deep = 256, 2048

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv(3, 64, 7, stride=2, norm=FrozenNorm), nn.MaxPool2d(3, 2, 1))
        stages, i = [], 64
        for blocks, width, stride in ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 1)):
            stages.append(nn.Sequential(*(Bottleneck(i if b == 0 else 4 * width, width, stride if b == 0 else 1, b == 0) for b in range(blocks))))
            i = 4 * width
        self.stages = nn.ModuleList(stages)
        self.stem.requires_grad_(False)

    def forward(self, x):
        shallow = self.stages[0](self.stem(x))
        deep = shallow
        for stage in self.stages[1:]:
            deep = stage(deep)
        return shallow, deep


class WideBlock(nn.Module):
    """Norm and ReLU come first; where the shape changes the shortcut starts behind them."""

    def __init__(self, widths, geometry, dropout=0.0):
        super().__init__()
        self.entry = FrozenNorm(widths[0])
        body = []
        for index, (kernel, stride, dilation) in enumerate(geometry):
            if index:
                body += [FrozenNorm(widths[index]), nn.ReLU(inplace=True)]
                if dropout:
                    body.append(nn.Dropout2d(dropout))
            body.append(conv(widths[index], widths[index + 1], kernel, dilation, stride))
        self.body = nn.Sequential(*body)
        stride = geometry[0][1]
        self.shortcut = conv(widths[0], widths[-1], 1, stride=stride) if stride != 1 or widths[0] != widths[-1] else None

    def forward(self, x):
        active = F.relu(self.entry(x), inplace=False)
        return self.body(active) + (self.shortcut(active) if self.shortcut else x)


class ResNet38(nn.Module):
    """The deep feature is at stride 8, the shallow one at 4."""

    shallow, deep = 256, 4096

    def __init__(self):
        super().__init__()
        self.stem = conv(3, 64, 3)
        stages = []
        for blocks, i, inner, o, stride, first, dilation in (
            (3, 64, 128, 128, 2, 1, 1),
            (3, 128, 256, 256, 2, 1, 1),
            (6, 256, 512, 512, 2, 1, 1),
            (3, 512, 512, 1024, 1, 1, 2),
        ):
            head = WideBlock((i, inner, o), ((3, stride, first), (3, 1, dilation)))
            tail = [WideBlock((o, inner, o), ((3, 1, dilation),) * 2) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(head, *tail))
        for i, o, dropout in ((1024, 2048, 0.3), (2048, 4096, 0.5)):
            stages.append(WideBlock((i, o // 4, o // 2, o), ((1, 1, 1), (3, 1, 4), (1, 1, 1)), dropout))
        self.stages = nn.ModuleList(stages)
        self.exit = FrozenNorm(4096)
        self.stem.requires_grad_(False)
        self.stages[0].requires_grad_(False)

    def forward(self, x):
        shallow = self.stages[1](self.stages[0](self.stem(x)))
        deep = shallow
        for stage in self.stages[2:]:
            deep = stage(deep)
        return shallow, F.relu(self.exit(deep), inplace=True)


class SingleStage(nn.Module):
    """Atrous pyramid, decoder, global cue injection, stochastic gate, scores."""

    def __init__(self, backbone, width=256, skip=48, psi=0.3):
        super().__init__()
        self.backbone, self.psi = backbone, psi
        deep, shallow = backbone.deep, backbone.shallow
        self.branches = nn.ModuleList([conv(deep, width, 1, norm=FixedNorm)] + [conv(deep, width, 3, d, norm=FixedNorm) for d in (12, 24, 36)])
        self.whole = conv(deep, width, 1, norm=FixedNorm)
        self.project = nn.Sequential(conv(5 * width, width, 1, norm=FixedNorm), nn.Dropout(0.5))
        norm = nn.BatchNorm2d
        self.skip, self.fuse = conv(shallow, skip, 1, norm=norm), conv(width + skip, width, 3, norm=norm)
        self.cue = conv(width, 2 * width, 1, norm=norm)
        self.values = nn.Sequential(conv(shallow, width, 1), nn.BatchNorm2d(width, affine=False))
        self.mix = conv(width, width, 1, norm=norm)
        self.scores = nn.Sequential(
            conv(width, width, 3, norm=norm), nn.Dropout(0.5), conv(width, width, 3, norm=norm), nn.Dropout(0.1), nn.Conv2d(width, CLASSES, 1)
        )

    def forward(self, images):
        shallow, deep = self.backbone(images)
        whole = self.whole(deep.mean((2, 3), keepdim=True)).expand(-1, -1, *deep.shape[2:])
        deep = self.project(torch.cat([branch(deep) for branch in self.branches] + [whole], 1))
        deep = F.interpolate(deep, shallow.shape[2:], mode="bilinear", align_corners=True)
        deep = self.fuse(torch.cat([deep, self.skip(shallow)], 1))
        gamma, beta = self.cue(deep).amax((2, 3), keepdim=True).chunk(2, 1)
        shallow = self.mix(F.relu(self.values(shallow) * (gamma + 1) + beta))
        if self.training:
            keep = (torch.rand_like(deep) >= self.psi).to(deep.dtype)
            deep = keep * (deep - self.psi * shallow) / (1 - self.psi) + (1 - keep) * shallow
        scores = self.scores(deep)
        return torch.cat([torch.ones_like(scores[:, :1]), scores], 1)


def around(x, dilation, kernels):
    """The neighbours of every pixel as channels, by convolutions with kernels of one 1."""
    n, c, h, w = x.shape
    padded = F.pad(x, [dilation] * 4, mode="replicate").view(n * c, 1, h + 2 * dilation, w + 2 * dilation)
    return F.conv2d(padded, kernels, dilation=dilation).view(n, c, -1, h, w)


def pamr(image, masks, iterations=10):
    every = torch.eye(9).view(9, 1, 3, 3)
    others = every[[0, 1, 2, 3, 5, 6, 7, 8]]
    centre = every[4:5]
    sigma = torch.cat([around(image, d, every) for d in DILATIONS], 2).std(2, keepdim=True)
    distance = torch.cat([around(image, d, others - centre) for d in DILATIONS], 2).abs()
    affinity = (-distance / (1e-8 + 0.1 * sigma)).mean(1, keepdim=True).softmax(2)
    for _ in range(iterations):
        masks = (torch.cat([around(masks, d, others) for d in DILATIONS], 2) * affinity).sum(2)
    return masks


def losses(images, scores, labels):
    masks = scores.softmax(1)
    size = masks.mean((2, 3))
    classes = (masks * scores).sum((2, 3)) / (1 + masks.sum((2, 3))) + (1 - size) ** 3 * (0.01 + size).log()
    with torch.no_grad():
        small = F.interpolate(images, masks.shape[2:], mode="bilinear", align_corners=True)
        refined = pamr(small.sigmoid(), masks.detach())
        refined = F.interpolate(refined, images.shape[2:], mode="bilinear", align_corners=True)
        cut = refined.amax((2, 3), keepdim=True) * torch.tensor([0.7] + [0.6] * CLASSES).view(1, -1, 1, 1)
        claims = (refined > cut.clamp(min=0.2)).float()
        claims = claims * (claims.sum(1, keepdim=True) == 1)
    large = F.interpolate(scores, images.shape[2:], mode="bilinear", align_corners=True)
    weights = claims.sum((2, 3), keepdim=True)
    weights = 1 - weights / (1e-5 + weights.sum(1, keepdim=True))
    segmentation = -(weights * claims * large.log_softmax(1)).sum((1, 2, 3)) / (1e-5 + claims.sum((1, 2, 3)))
    return F.multilabel_soft_margin_loss(classes[:, 1:], labels) + segmentation.mean()


def work(arguments):
    """A function that does the work once."""
    n, size = arguments.batch, arguments.size
    if arguments.what == "pamr":
        image, masks = torch.rand(n, 3, size, size), torch.randn(n, CLASSES + 1, size, size).softmax(1)

        def once():
            with torch.no_grad():
                pamr(image, masks)

        return once
    if arguments.what == "depthwise":
        stride, dilation = arguments.stride, arguments.dilation
        x, weight = torch.randn(n, 728, size, size, requires_grad=True), torch.randn(728, 1, 3, 3, requires_grad=True)

        def once():
            x.grad = weight.grad = None
            y = F.conv2d(x, weight, None, stride, dilation, dilation, 728)
            y.backward(torch.ones_like(y))

        return once
    short = torch.autocast(torch.device(arguments.device).type, torch.bfloat16, enabled=arguments.precision == "bf16")
    network = SingleStage({"resnet50": ResNet50, "resnet38": ResNet38}[arguments.network]())
    images, labels = torch.rand(n, 3, size, size), torch.zeros(n, CLASSES)
    labels[:, [3, 7]] = 1
    if arguments.what == "view":
        network.eval()

        def once():
            with torch.no_grad(), short:
                network(images).softmax(1)

        return once
    network.train()
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=1e-4, momentum=0.9, weight_decay=5e-4)

    def once():
        with short:
            scores = network(images)
        loss = losses(images, scores.float(), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return once


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["training", "view", "pamr", "depthwise"])
    parser.add_argument("--network", choices=["resnet50", "resnet38"], default="resnet50")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, default=321)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--dilation", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--precision", choices=["f32", "tf32", "bf16"], default="f32", help="bf16 is autocast")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_default_device(arguments.device)
    cuda = torch.device(arguments.device).type == "cuda"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = arguments.precision == "tf32"
    bare = work(arguments)

    def once():
        bare()
        if cuda:
            torch.cuda.synchronize()

    # What is short is measured more often.
    times, often = [], 30 if arguments.what == "depthwise" else 1
    for _ in range(often):
        once()
    for _ in range(often * arguments.runs):
        start = time.perf_counter()
        once()
        times.append((time.perf_counter() - start) * 1e3)
    peak = torch.cuda.max_memory_allocated() / 2**20 if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"ms": statistics.median(times), "peak_mib": peak, "version": torch.__version__}))


main()

"""The network of core/nn/resnet.c in PyTorch, for comparing speed (bench/torch.h starts this).

    /usr/bin/python3 tools/torch_rn10.py THREADS

One job a line on standard input, as JSON; one line with a number, or with what went wrong, on
standard output:
  {"do": "net", "blocks": [1, 1, 1, 1], "last_stride": 2, "pool_stages": 2}
  {"do": "check", "file": F, "side": S, "batch": N}    -> largest difference of the features in F
  {"do": "embed", "type": "bf16"|"f32", "side": S, "batch": N, "times": K}   -> seconds
  {"do": "train", "type": ..., "side": S, "batch": N, "times": K, "classes": C}   -> seconds
  {"do": "augmented", ...}    -> likewise, every step on fresh views

All channels-last. The pixels are normalised and in place before the clock starts. Embedding in bf16
takes the faster of a bf16 model and autocast; training takes autocast with weights in f32. A
training step is forward, class-proxy softmax + NT-Xent on a projection (as core/learn has them),
backward and SGD with Nesterov momentum; there is no moving average of the weights. Augmentation is
SimCLR's by torchvision, in THREADS worker processes of a DataLoader.
"""
import json
import sys
import time

import numpy
import torch
import torch.nn.functional as F
from torch import nn


def conv_bn(a, c, k, stride):
    return [nn.Conv2d(a, c, k, stride, k // 2, bias=False), nn.BatchNorm2d(c)]


class Block(nn.Module):
    def __init__(self, a, c, stride):
        super().__init__()
        # The order in which core/nn/resnet.c numbers its parameters: the shortcut first.
        self.shortcut = nn.Sequential(*(conv_bn(a, c, 1, stride) if a != c or stride != 1 else []))
        self.body = nn.Sequential(*conv_bn(a, c, 3, stride), nn.ReLU(inplace=True),
                                  *conv_bn(c, c, 3, 1))

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


class Net(nn.Module):
    def __init__(self, blocks, last_stride, pool_stages):
        super().__init__()
        self.stem = nn.Sequential(*conv_bn(3, 64, 3, 2), nn.ReLU(inplace=True),
                                  nn.MaxPool2d(3, 2, 1))
        self.stages = nn.ModuleList()
        a = 64
        for s, n in enumerate(blocks):
            c, stride = 64 << s, (1, 2, 2, last_stride)[s]
            self.stages.append(nn.Sequential(
                *(Block(a if b == 0 else c, c, stride if b == 0 else 1) for b in range(n))))
            a = c
        self.pool_stages = pool_stages
        self.features = sum(64 << s for s in range(4 - pool_stages, 4))

    def forward(self, x):
        x, pooled = self.stem(x), []
        for s, stage in enumerate(self.stages):
            x = stage(x)
            if 4 - s <= self.pool_stages:
                pooled.append(x.mean((2, 3)))
        return torch.cat(pooled, 1)


class Learner(nn.Module):
    def __init__(self, net, classes):
        super().__init__()
        self.net, f = net, net.features
        self.head = nn.Sequential(nn.Linear(f, 512, bias=False), nn.BatchNorm1d(512),
                                  nn.ReLU(inplace=True), nn.Linear(512, 128))
        self.proxies = nn.Parameter(torch.randn(classes, f) / f ** 0.5)

    def forward(self, x, labels, bf16):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            features = self.net(x)
        features = features.float()
        cosines = F.normalize(features) @ F.normalize(self.proxies).T
        proxy = F.cross_entropy(cosines / 0.05, labels, label_smoothing=0.1)
        z = F.normalize(self.head(features))
        n = len(z) // 2
        similar = (z @ z.T / 0.2).masked_fill(torch.eye(2 * n, dtype=torch.bool), -torch.inf)
        return proxy + 0.5 * F.cross_entropy(similar, torch.arange(2 * n).roll(n))


class Views(torch.utils.data.Dataset):
    """Pictures of noise as they are kept, 88 px and more; two random views of each."""

    def __init__(self, side, classes):
        from PIL import Image
        from torchvision import transforms as T
        noise = numpy.random.default_rng(1)
        self.pictures = [Image.fromarray(noise.integers(0, 256, (88, 88 + i % 30, 3), "u1"))
                         for i in range(2048)]
        self.classes = classes
        self.view = T.Compose([
            T.RandomResizedCrop(side, scale=(0.2, 1)), T.RandomHorizontalFlip(),
            T.RandomApply([T.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8), T.RandomGrayscale(0.2),
            T.RandomApply([T.GaussianBlur(side // 20 * 2 + 1, (0.1, 2 * side / 224))], 0.5),
            T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, i):
        picture = self.pictures[i]
        return torch.stack([self.view(picture), self.view(picture)]), i % self.classes


def views_loader(job):
    return torch.utils.data.DataLoader(Views(job["side"], job["classes"]), job["batch"] // 2,
                                       shuffle=True, num_workers=torch.get_num_threads(),
                                       drop_last=True, persistent_workers=True)


def endless(loader):
    while True:
        yield from loader


class Bench:
    def __init__(self):
        self.kept = {}

    def net(self, job):
        self.shape = tuple(job["blocks"]), job["last_stride"], job["pool_stages"]
        return 0

    def new(self):
        torch.manual_seed(1)
        return Net(*self.shape).to(memory_format=torch.channels_last)

    def check(self, job):
        """FILE: floats of parameters, statistics and features, then the pixels as bytes."""
        net, at = self.new().eval(), 0
        data = open(job["file"], "rb").read()

        def take(tensor):
            nonlocal at
            values = numpy.frombuffer(data, "<f4", tensor.numel(), at)
            tensor.data.copy_(torch.from_numpy(values.copy()).view(tensor.shape))
            at += 4 * tensor.numel()

        for tensor in net.parameters():
            take(tensor)
        for name, tensor in net.named_buffers():
            if "running" in name:
                take(tensor)
        wanted = torch.zeros(job["batch"], net.features)
        take(wanted)
        pixels = numpy.frombuffer(data, "u1", offset=at).reshape(-1, job["side"], job["side"], 3)
        x = torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2).float() / 255
        x = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
            [0.229, 0.224, 0.225]).view(3, 1, 1)
        with torch.no_grad():
            return ((net(x) - wanted).abs().max() / wanted.abs().max()).item()

    @staticmethod
    def pixels(job, dtype=torch.float32):
        x = torch.randn(job["batch"], 3, job["side"], job["side"])
        return x.to(dtype).contiguous(memory_format=torch.channels_last)

    @staticmethod
    def seconds(go, times):
        start = time.perf_counter()
        for _ in range(times):
            go()
        return time.perf_counter() - start

    def embed_ways(self, job):
        net, x = self.new().eval(), self.pixels(job)

        def plain(net=net, x=x):
            with torch.no_grad():
                net(x)

        if job["type"] == "f32":
            return [plain]
        low, y = self.new().eval().to(torch.bfloat16), self.pixels(job, torch.bfloat16)

        def autocast():
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                net(x)

        return [autocast, lambda: plain(low, y)]

    def embed(self, job):
        key = self.shape, "embed", job["type"], job["side"], job["batch"]
        if key not in self.kept:
            ways = self.embed_ways(job)
            for go in ways:
                self.seconds(go, 3)
            self.kept[key] = min(ways, key=lambda go: min(self.seconds(go, 2) for _ in range(3)))
        return self.seconds(self.kept[key], job["times"])

    def train(self, job):
        key = self.shape, "train", job["type"], job["side"], job["batch"]
        if key not in self.kept:
            step = self.step(job)
            x, labels = self.pixels(job), torch.arange(job["batch"]) % job["classes"]
            self.kept[key] = lambda: step(x, labels)
            self.seconds(self.kept[key], 2)
        return self.seconds(self.kept[key], job["times"])

    def augmented(self, job):
        key = self.shape, "augmented", job["type"], job["side"], job["batch"]
        if key not in self.kept:
            step, batches = self.step(job), endless(views_loader(job))

            def go():
                x, labels = next(batches)
                x = torch.cat([x[:, 0], x[:, 1]]).contiguous(memory_format=torch.channels_last)
                step(x, labels.repeat(2))

            self.kept[key] = go
        self.seconds(self.kept[key], 2 * torch.get_num_threads() + 1)  # what is ready is used up
        return self.seconds(self.kept[key], job["times"])

    def step(self, job):
        """A training step as a function of pixels and labels."""
        learner = Learner(self.new(), job["classes"]).train()
        every = list(learner.parameters())
        sgd = torch.optim.SGD([{"params": [p for p in every if p.dim() > 1],
                                "weight_decay": 5e-4},
                               {"params": [p for p in every if p.dim() == 1]}],
                              lr=1e-3, momentum=0.9, nesterov=True)

        def step(x, labels):
            sgd.zero_grad(set_to_none=True)
            learner(x, labels, job["type"] == "bf16").backward()
            sgd.step()

        return step


def main():
    torch.set_num_threads(int(sys.argv[1]))
    print(torch.__version__, "with", torch.get_num_threads(), "threads", flush=True)
    bench = Bench()
    for line in sys.stdin:
        job = json.loads(line)
        try:
            print(getattr(bench, job["do"])(job), flush=True)
        except Exception as e:  # the other side says it and stops
            print("failed:", " ".join(str(e).split())[:400], flush=True)


if __name__ == "__main__":
    main()

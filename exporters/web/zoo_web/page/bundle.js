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

/** Load the runtime, which comes from npm; if it is missing, raise an error of the name "RuntimeMissing". */
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

  /** Every file of a graph, at every precision: {graph, file}. */
  get files() {
    return Object.entries(this.manifest.graphs).flatMap(([graph, { file, reduced = {} }]) =>
      [file, ...Object.values(reduced).map((one) => one.file)].map((own) => ({ graph, file: own })),
    );
  }

  /** Run a graph on arrays by name and return its outputs by name. */
  run(graph, arrays) {
    return this.runFile(this.manifest.graphs[graph].file, arrays);
  }

  /** Run a graph's file. */
  async runFile(file, arrays) {
    const session = await (this.#sessions[file] ??= this.#opened(file));
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

  /** Forget a file, so that its memory is free. */
  async release(file) {
    const session = this.#sessions[file];
    delete this.#sessions[file];
    await (await session)?.release();
  }

  async #opened(file) {
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

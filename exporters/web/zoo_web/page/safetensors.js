// A file of safetensors: eight bytes of length, a header of JSON, then the tensors one after another.

const KINDS = {
  F64: ["float64", Float64Array],
  F32: ["float32", Float32Array],
  F16: ["float16", Uint16Array],
  I64: ["int64", BigInt64Array],
  I32: ["int32", Int32Array],
  U8: ["uint8", Uint8Array],
  I8: ["int8", Int8Array],
  BOOL: ["bool", Uint8Array],
};

/** Return the tensors of a file by name, each as {dtype, shape, data}. */
export function tensorsOf(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [start, end] }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    if (!(dtype in KINDS)) throw new Error(`the tensor ${name} has the type ${dtype}, which this page does not read`);
    const [kind, Typed] = KINDS[dtype];
    // A slice is a copy, so that the numbers lie where the machine can read them.
    tensors[name] = { dtype: kind, shape, data: new Typed(buffer.slice(8 + length + start, 8 + length + end)) };
  }
  return tensors;
}
